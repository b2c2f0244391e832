/*-------------------------------------------------------------------------
 *
 * fence_reconcile.h
 *	  Has the fences for maintenance be what the table and the resource say.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FENCE_RECONCILE_H
#define DU_FENCE_RECONCILE_H

/* What the custom resource says of maintenance. */
typedef enum MaintenanceWish
{
	MAINTENANCE_UNKNOWN,		/* it cannot be read: as it was */
	MAINTENANCE_OFF,
	MAINTENANCE_ON
} MaintenanceWish;

extern PGDLLEXPORT void du_fence_follow(bool primary, MaintenanceWish wish,
										const char *resource);
extern PGDLLEXPORT void du_fence_abandon(void);

#endif							/* DU_FENCE_RECONCILE_H */
