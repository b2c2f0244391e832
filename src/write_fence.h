/*-------------------------------------------------------------------------
 *
 * write_fence.h
 *	  Keeps the sessions of a database from writing while a fence is up.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_WRITE_FENCE_H
#define DU_WRITE_FENCE_H

/* What fences are up for; one of each kind at a time. */
typedef enum FenceReason
{
	FENCE_SCHEMA_AHEAD
} FenceReason;

#define FENCE_REASONS 1

extern void du_fence_install(void);
extern PGDLLEXPORT void du_fence_raise(FenceReason reason, const char *why, const char *hint);
extern PGDLLEXPORT void du_fence_lift(FenceReason reason);
extern PGDLLEXPORT void du_fence_looked(void);
extern char *du_fence_notice(void);

#endif							/* DU_WRITE_FENCE_H */
