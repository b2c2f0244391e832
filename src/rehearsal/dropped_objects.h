/*-------------------------------------------------------------------------
 *
 * dropped_objects.h
 *	  The names that dropped objects had.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_DROPPED_OBJECTS_H
#define DU_DROPPED_OBJECTS_H

#include "catalog/objectaddress.h"

/* An object that was dropped, and its name. */
typedef struct DroppedObject
{
	ObjectAddress object;		/* hash key */
	const char *kind;			/* NULL where the server has no name for it */
	const char *identity;
} DroppedObject;

extern void du_dropped_watch(void);
extern void du_dropped_unwatch(void);
extern const DroppedObject *du_dropped_find(Oid classid, Oid objid, int subid);
extern const char *du_dropped_role_name(Oid role);
extern bool du_dropped_is_new_relation(Oid relation);

#endif							/* DU_DROPPED_OBJECTS_H */
