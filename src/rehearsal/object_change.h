/*-------------------------------------------------------------------------
 *
 * object_change.h
 *	  What has happened to one object, by its row before and after.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_OBJECT_CHANGE_H
#define DU_OBJECT_CHANGE_H

#include "rehearsal/catalog_changes.h"
#include "rehearsal/watched_catalogs.h"

/* One object, with the versions of its row before and after. */
typedef struct TouchedObject
{
	ObjectAddress object;		/* hash key */
	const WatchedCatalog *catalog;	/* NULL: only rows about its parts */
	HeapTuple	before;
	HeapTuple	after;
	List	   *parts_before;	/* rows about its parts */
	List	   *parts_after;
} TouchedObject;

extern CatalogChange *du_change_conclude(const TouchedObject *entry, bool with_relation);
extern void du_change_set_privileges(CatalogChange *change, List *before, List *after);

#endif							/* DU_OBJECT_CHANGE_H */
