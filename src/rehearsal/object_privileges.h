/*-------------------------------------------------------------------------
 *
 * object_privileges.h
 *	  The privileges that a catalogue row grants.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_OBJECT_PRIVILEGES_H
#define DU_OBJECT_PRIVILEGES_H

#include "nodes/pg_list.h"

#include "rehearsal/watched_catalogs.h"

extern List *du_privileges_of(const WatchedCatalog *catalog, HeapTuple row, TupleDesc desc);
extern List *du_privileges_usual(const WatchedCatalog *catalog, HeapTuple row, TupleDesc desc);
extern List *du_privileges_without(List *a, List *b);

#endif							/* DU_OBJECT_PRIVILEGES_H */
