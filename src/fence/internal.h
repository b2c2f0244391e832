/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FENCE_INTERNAL_H
#define DU_FENCE_INTERNAL_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

#include "fence/fence.h"
#include "processes/processes.h"

/* ----
 * fence_state.c
 *
 * Which write fences are up, as all processes see it.
 * ----
 */

#define FENCE_REASONS 3

typedef struct Fence
{
	Oid			database;		/* InvalidOid: not up */
	bool		everywhere;		/* around every other one too */
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

/* Those of one database. */
typedef struct FencedDatabase
{
	Oid			database;		/* InvalidOid: free */
	volatile FenceLook looked;	/* read without the lock, to be quick */
	ClockMs		waiting_since;	/* for such a look; 0: nobody did */
	Fence		fences[FENCE_REASONS];
} FencedDatabase;

typedef struct Fences
{
	/* These are read without the lock, to be quick. */
	volatile uint32 nraised;
	volatile uint32 changes;

	int			size;
	FencedDatabase databases[FLEXIBLE_ARRAY_MEMBER];
} Fences;

extern Fences *du_fences(void);
extern void du_fence_state_install(void);
extern FencedDatabase *du_fence_place_of(Oid database, bool make);
extern void du_fence_count(void);
extern bool du_fence_forget_dropped(void);
extern FenceClaim du_fence_claim(FenceReason reason, uint32 changes, const Fence *wanted,
								 Fence *previous);
extern void du_fence_raise_again(FenceReason reason, const Fence *wanted);
extern bool du_fence_from_elsewhere(Fence *copy);
extern void du_fence_conclude(FenceReason reason, int64 cutover, const Fence *next);
extern bool du_fence_settle(FenceReason reason, uint32 changes, const Fence *wanted,
							bool *changed);
extern Fence du_fence_read(FenceReason reason);
extern bool du_fence_is_pending(const Fence *fence);

/* ----
 * cutover.c
 *
 * Raises and lifts fences for maintenance, and keeps table cutovers.
 * ----
 */

/* A row of table cutovers that has not ended. */
typedef struct Cutover
{
	int64		id;				/* 0: there is none */
	FenceReason reason;
	char	   *text;			/* why, in the words of who raised it */
	char	   *raised_by;
	TimestampTz raised_at;
	XLogRecPtr	lsn;
	TimestampTz drained_at;		/* 0: not yet */
	XLogRecPtr	drained_lsn;
	bool		everywhere;
} Cutover;

extern bool du_cutover_table_exists(void);
extern Cutover du_cutover_find(FenceReason reason);
extern Cutover du_cutover_lock(FenceReason reason);
extern bool du_cutover_begin(FenceReason reason, uint32 changes, const char *text,
							 const char *raised_by, bool everywhere, Cutover *cutover);
extern void du_cutover_store(const Cutover *cutover);
extern bool du_cutover_end(FenceReason reason);
extern void du_cutover_set_drained(Cutover *cutover);
extern bool du_cutover_store_drained(const Cutover *cutover);
extern void du_cutover_forget_drained(int64 id);
extern Fence du_cutover_fence(const Cutover *cutover);
extern int64 du_cutover_count_writers(TimestampTz since, bool everywhere);

/* ----
 * fence_file.c
 *
 * Has write fences outlive the server's memory.
 * ----
 */

extern void du_fence_file_install(void);
extern void du_fence_file_write(int elevel);
extern void du_fence_file_discard(void);

/* ----
 * fence_hooks.c
 *
 * Keeps the sessions of a database from writing while a fence is up.
 * ----
 */

extern void du_fence_let_write(void);
extern void du_fence_end_writing(void);
extern bool du_fence_is_exempt(Oid role);

#endif							/* DU_FENCE_INTERNAL_H */
