/*-------------------------------------------------------------------------
 *
 * fence.h
 *	  The write fence: who may write, and since when nobody may.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FENCE_H
#define DU_FENCE_H

#include "datatype/timestamp.h"

/* ----
 * fence_state.c
 *
 * Which write fences are up, as all processes see it.
 * ----
 */

/* What fences are up for; one of each kind at a time. */
typedef enum FenceReason
{
	FENCE_SCHEMA_AHEAD,			/* the binary is older than the schema */
	FENCE_MANUAL,				/* fence_writes() */
	FENCE_MAINTENANCE			/* the custom resource wishes it */
} FenceReason;

extern PGDLLEXPORT void du_fence_raise(FenceReason reason, int64 cutover,
									   const char *why, const char *hint);
extern PGDLLEXPORT bool du_fence_lift(FenceReason reason);
extern TimestampTz du_fence_since(void);
extern char *du_fence_reasons_of(Oid database);
extern PGDLLEXPORT void du_fence_looked(bool in_recovery);

/* ----
 * fence_hooks.c
 *
 * Keeps the sessions of a database from writing while a fence is up.
 * ----
 */

extern void du_fence_install(void);
extern char *du_fence_notice(void);
extern char *du_fence_sentence(void);

/* ----
 * fence_reconcile.c
 *
 * Has the fences for maintenance be what the table and the resource say.
 * ----
 */

/* What the custom resource says of maintenance. */
typedef enum MaintenanceRequest
{
	MAINTENANCE_UNKNOWN,		/* it cannot be read: as it was */
	MAINTENANCE_OFF,
	MAINTENANCE_ON
} MaintenanceRequest;

extern PGDLLEXPORT void du_fence_follow(bool primary, MaintenanceRequest wish,
										const char *resource);
extern PGDLLEXPORT void du_fence_follow_databases(void);
extern PGDLLEXPORT void du_fence_abandon(void);

#endif							/* DU_FENCE_H */
