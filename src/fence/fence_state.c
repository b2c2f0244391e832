/*-------------------------------------------------------------------------
 *
 * fence_state.c
 *	  Which write fences are up, as all processes see it.
 *
 * One place in shared memory for each reason.  A fence that a transaction has
 * raised names it, like an announced hold: what becomes of the fence is
 * decided by the end of that transaction, and until then nobody else touches
 * it.  Whoever compares with the table cutovers counts the changes here first
 * and reads the table after that: what has been raised by then is seen there
 * or here, and what has changed since is left for the next look.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fence/internal.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "processes/processes.h"

/*
 * The fences; the shared memory must exist, as in all that follows.
 */
Fences *
du_fences(void)
{
	static Fences *fences = NULL;

	StaticAssertStmt(sizeof(Fences) <= SHARED_ROOM_SIZE, "the fences must fit");
	if (fences == NULL)
		fences = du_shared_room(ROOM_WRITE_FENCE);
	return fences;
}

/*
 * Puts a fence in its place, or none there; the lock must be held.
 */
static void
place(FenceReason reason, const Fence *fence)
{
	Fences	   *fences = du_fences();

	fences->fences[reason] = *fence;
	fences->nraised = 0;
	for (int i = 0; i < FENCE_REASONS; i++)
		fences->nraised += OidIsValid(fences->fences[i].database) ? 1 : 0;
	fences->changes++;
}

static void
compose(Fence *fence, int64 cutover, const char *why, const char *hint)
{
	memset(fence, 0, sizeof(Fence));
	fence->database = MyDatabaseId;
	fence->cutover = cutover;
	strlcpy(fence->why, why, sizeof(fence->why));
	strlcpy(fence->hint, hint, sizeof(fence->hint));
}

/* True when they stop the same writes for the same reason. */
static bool
is_same(const Fence *a, const Fence *b)
{
	return a->database == b->database && a->cutover == b->cutover &&
		strcmp(a->why, b->why) == 0 && strcmp(a->hint, b->hint) == 0;
}

/*
 * Replaces a fence by one that stands.  It is in force since the one before
 * was, if that was up in the same database.
 */
static bool
replace(FenceReason reason, const Fence *wanted)
{
	const Fence *known = &du_fences()->fences[reason];
	Fence		fence = *wanted;

	if (is_same(known, &fence) && known->owner == 0)
		return false;
	fence.since = known->database == fence.database ? known->since : 0;
	place(reason, &fence);
	if (fence.since == 0 && OidIsValid(fence.database))
		du_fences()->fences[reason].since = GetCurrentTimestamp();
	return true;
}

/*
 * Raises a fence around this process's database, or changes what an existing
 * one says.
 */
void
du_fence_raise(FenceReason reason, int64 cutover, const char *why, const char *hint)
{
	Fence		fence;
	bool		changed;

	compose(&fence, cutover, why, hint);
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	changed = replace(reason, &fence);
	LWLockRelease(du_shared_lock());
	if (changed)
		ConditionVariableBroadcast(du_shared_changed());
}

static bool
lift(FenceReason reason, bool elsewhere)
{
	static const Fence none = {0};
	const Fence *known = &du_fences()->fences[reason];
	bool		changed;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	changed = OidIsValid(known->database) && (elsewhere || known->database == MyDatabaseId);
	if (changed)
		place(reason, &none);
	LWLockRelease(du_shared_lock());
	if (changed)
		ConditionVariableBroadcast(du_shared_changed());
	return changed;
}

/*
 * Takes a fence away, if it is up.
 */
void
du_fence_lift(FenceReason reason)
{
	(void) lift(reason, true);
}

/*
 * The same where it is up around this process's database; true if it was.
 */
bool
du_fence_lift_here(FenceReason reason)
{
	return lift(reason, false);
}

/*
 * True while the transaction that has raised a fence has not ended.
 */
bool
du_fence_is_pending(const Fence *fence)
{
	PGPROC	   *proc = fence->owner != 0 ? BackendPidGetProc(fence->owner) : NULL;

	return proc != NULL && du_proc_transaction(proc) == fence->transaction;
}

/*
 * Raises a fence on behalf of this transaction, and copies what was in its
 * place.  Nothing is done when another transaction, that of the previous one's
 * owner, is raising one now, or when fences have changed since they were so
 * many changes old.
 */
FenceClaim
du_fence_claim(FenceReason reason, uint32 changes, int64 cutover,
			   const char *why, const char *hint, Fence *previous)
{
	Fences	   *fences = du_fences();
	FenceClaim	claim = FENCE_CLAIMED;
	Fence		fence;

	compose(&fence, cutover, why, hint);
	fence.owner = MyProcPid;
	fence.transaction = du_proc_transaction(MyProc);

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	*previous = fences->fences[reason];
	if (previous->owner != MyProcPid && du_fence_is_pending(previous))
		claim = FENCE_PENDING;
	else if (fences->changes != changes)
		claim = FENCE_CHANGED;
	else
	{
		place(reason, &fence);

		/* Whatever begins from now on meets it. */
		fences->fences[reason].since = GetCurrentTimestamp();
	}
	LWLockRelease(du_shared_lock());
	if (claim == FENCE_CLAIMED)
		ConditionVariableBroadcast(du_shared_changed());
	return claim;
}

/*
 * Ends what a transaction has begun: the fence of that cutover stands from now
 * on (next NULL), or makes room for another or for none.  One that is another
 * cutover's by now is left alone.  Does not raise.
 */
void
du_fence_conclude(FenceReason reason, int64 cutover, const Fence *next)
{
	Fences	   *fences = du_fences();
	Fence		fence;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	fence = fences->fences[reason];
	if (OidIsValid(fence.database) && fence.cutover == cutover)
	{
		if (next != NULL)
			fence = *next;
		fence.owner = 0;
		fence.transaction = InvalidLocalTransactionId;
		place(reason, &fence);
	}
	LWLockRelease(du_shared_lock());
	ConditionVariableBroadcast(du_shared_changed());
}

/*
 * Puts in force what the table wants around this database: a fence, or none
 * (wanted NULL).  False, and nothing is done, when fences have changed since
 * they were so many changes old, a transaction has not ended, or another
 * database is meant.
 */
bool
du_fence_settle(FenceReason reason, uint32 changes, const Fence *wanted, bool *changed)
{
	Fences	   *fences = du_fences();
	const Fence *known = &fences->fences[reason];
	Fence		fence = {0};
	bool		settled;

	if (wanted != NULL)
		compose(&fence, wanted->cutover, wanted->why, wanted->hint);
	*changed = false;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	settled = fences->changes == changes && !du_fence_is_pending(known) &&
		(!OidIsValid(known->database) || known->database == MyDatabaseId);
	if (settled)
		*changed = replace(reason, &fence);
	LWLockRelease(du_shared_lock());
	if (*changed)
		ConditionVariableBroadcast(du_shared_changed());
	return settled;
}

/*
 * A copy of one.
 */
Fence
du_fence_read(FenceReason reason)
{
	Fence		fence;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	fence = du_fences()->fences[reason];
	LWLockRelease(du_shared_lock());
	return fence;
}

/*
 * Since when writes to this database are stopped for maintenance, 0: they are
 * not.
 */
TimestampTz
du_fence_since(void)
{
	TimestampTz since = 0;

	for (int i = FENCE_MANUAL; i < FENCE_REASONS; i++)
	{
		Fence		fence = du_fence_read(i);

		if (OidIsValid(fence.database) && fence.database == MyDatabaseId &&
			(since == 0 || fence.since < since))
			since = fence.since;
	}
	return since;
}

/*
 * Says that the fences of the worker's database are up that are to be, as seen
 * in a look that began in recovery, or not.
 */
void
du_fence_looked(bool in_recovery)
{
	Fences	   *fences = du_fences();
	FenceLook	look = in_recovery ? LOOKED_IN_RECOVERY : LOOKED_AS_PRIMARY;

	if (fences->looked == look)
		return;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	fences->waiting_since = 0;
	fences->looked = look;
	LWLockRelease(du_shared_lock());
	ConditionVariableBroadcast(du_shared_changed());
}
