/*-------------------------------------------------------------------------
 *
 * watched_catalogs.h
 *	  Which rows of which catalogues are about which objects.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_WATCHED_CATALOGS_H
#define DU_WATCHED_CATALOGS_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "catalog/objectaddress.h"

typedef struct WatchedCatalog
{
	Oid			catalogue;
	Oid			classid;		/* class of the objects that rows are about */
	AttrNumber	id;				/* column with the object's OID */
	AttrNumber	subid;			/* with its part, or InvalidAttrNumber */
	bool		part;			/* a row is a part of an object's definition */
	AttrNumber	acl;			/* or InvalidAttrNumber */

	/* True for objects that come and go with others; NULL: none do. */
	bool		(*is_derived) (HeapTuple row, TupleDesc desc);

	/* True for rows that stay behind; NULL: none do. */
	bool		(*is_gone) (HeapTuple row, TupleDesc desc);

	/* For what the server has no name for. */
	const char *kind;
	char	   *(*describe) (HeapTuple row, TupleDesc desc);
} WatchedCatalog;

extern const WatchedCatalog du_watched[];
extern const int du_watched_count;

extern ObjectAddress du_watched_identify(const WatchedCatalog *catalog, HeapTuple row,
										 TupleDesc desc);
extern bool du_watched_is_bookkeeping(const WatchedCatalog *catalog, AttrNumber column);
extern bool du_watched_is_storage(const WatchedCatalog *catalog, AttrNumber column);
extern bool du_watched_is_privileges(const WatchedCatalog *catalog);
extern bool du_watched_acl_type(const WatchedCatalog *catalog, HeapTuple row,
								TupleDesc desc, ObjectType *type);

#endif							/* DU_WATCHED_CATALOGS_H */
