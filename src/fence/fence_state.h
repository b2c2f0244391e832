/*-------------------------------------------------------------------------
 *
 * fence_state.h
 *	  Which write fences are up, as all processes see it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FENCE_STATE_H
#define DU_FENCE_STATE_H

#include "datatype/timestamp.h"

#include "processes/shared_status.h"

/* What fences are up for; one of each kind at a time. */
typedef enum FenceReason
{
	FENCE_SCHEMA_AHEAD,			/* the binary is older than the schema */
	FENCE_MANUAL,				/* fence_writes() */
	FENCE_MAINTENANCE			/* the custom resource wishes it */
} FenceReason;

#define FENCE_REASONS 3

typedef struct Fence
{
	Oid			database;		/* InvalidOid: not up */
	int64		cutover;		/* row of table cutovers, 0: none */
	TimestampTz since;			/* it is in force on this server */
	pid_t		owner;			/* whose transaction has raised it and has not
								 * ended; 0: it stands */
	LocalTransactionId transaction;
	char		why[SHARED_TEXT_LENGTH];	/* a sentence */
	char		hint[SHARED_TEXT_LENGTH];
} Fence;

/* What came of raising one on behalf of a transaction. */
typedef enum FenceClaim
{
	FENCE_CLAIMED,
	FENCE_PENDING,				/* another transaction is raising one */
	FENCE_CHANGED				/* something has changed: look again */
} FenceClaim;

/* As what the worker has seen this server since it started. */
typedef enum FenceLook
{
	LOOKED_NEVER,
	LOOKED_IN_RECOVERY,
	LOOKED_AS_PRIMARY
} FenceLook;

typedef struct Fences
{
	/* These are read without the lock, to be quick. */
	volatile FenceLook looked;
	volatile uint32 nraised;
	volatile uint32 changes;

	TimestampTz waiting_since;	/* for such a look; 0: nobody did */
	Fence		fences[FENCE_REASONS];
} Fences;

extern Fences *du_fences(void);
extern PGDLLEXPORT void du_fence_raise(FenceReason reason, int64 cutover,
									   const char *why, const char *hint);
extern PGDLLEXPORT void du_fence_lift(FenceReason reason);
extern bool du_fence_lift_here(FenceReason reason);
extern FenceClaim du_fence_claim(FenceReason reason, uint32 changes, int64 cutover,
								 const char *why, const char *hint, Fence *previous);
extern void du_fence_conclude(FenceReason reason, int64 cutover, const Fence *next);
extern bool du_fence_settle(FenceReason reason, uint32 changes, const Fence *wanted,
							bool *changed);
extern Fence du_fence_read(FenceReason reason);
extern bool du_fence_is_pending(const Fence *fence);
extern TimestampTz du_fence_since(void);
extern PGDLLEXPORT void du_fence_looked(bool in_recovery);

#endif							/* DU_FENCE_STATE_H */
