/*-------------------------------------------------------------------------
 *
 * lock_budget.c
 *	  Ends an upgrade before it takes more of the lock table than it may.
 *
 * How many locks a script takes depends on code and data that no text shows,
 * so they are counted while it runs: what this process has in the shared lock
 * table, which is what others could be short of.  A count walks the process's
 * own list, so it is made only now and then: at events (a statement that is
 * analysed or executed, an object that is accessed), ever more often the less
 * of the budget is left.
 *
 * A script can catch the error, as it can catch any.  Then the next event
 * raises it again, and so does the end of the step.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"

#include "base/base.h"

/* Counts per budget: no event is thought to take more than this part of it. */
#define COUNTS_PER_BUDGET	128

static bool running = false;
static bool exceeded = false;
static int64 budget = 0;
static int64 peak = 0;
static int64 events_left = 0;	/* before the next count */

static bool installed = false;

/* Entries of this process in the shared lock table; the fast path has none. */
static int64
count_entries(void)
{
	int64		n = 0;

	for (int i = 0; i < NUM_LOCK_PARTITIONS; i++)
	{
		LWLock	   *lock = LockHashPartitionLockByIndex(i);

		LWLockAcquire(lock, LW_SHARED);
		n += du_count_proc_locks(MyProc, i);
		LWLockRelease(lock);
	}
	return n;
}

static void
raise_exceeded(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("upgrade needs more than " INT64_FORMAT " entries of the shared lock table", budget),
			 errdetail("It was ended before other sessions could run out of them; everything is rolled back."),
			 errhint("Raise max_locks_per_transaction, on standbys first, restart PostgreSQL, and rehearse the upgrade to see how many entries it takes.")));
}

/* Counts, and raises when there are too many. */
static void
count_and_judge(void)
{
	int64		n = count_entries();

	peak = Max(peak, n);
	if (n > budget)
		exceeded = true;
	if (exceeded)
		raise_exceeded();
	events_left = (budget - n) / COUNTS_PER_BUDGET;
}

static void
note_access(ObjectAccessType access, Oid classid, Oid objid, int subid)
{
	du_lock_budget_note();
}

/*
 * Begins to count, for an upgrade that may take so many entries.  What this
 * transaction holds already counts.  Must be stopped with
 * du_lock_budget_stop() on every path.
 */
void
du_lock_budget_start(int64 entries)
{
	if (!installed)
	{
		du_hooks_add_access(note_access);
		installed = true;
	}
	budget = entries;
	peak = 0;
	events_left = 0;
	exceeded = false;
	running = true;
}

/*
 * One event.  Raises 53400 when the budget is exceeded.
 */
void
du_lock_budget_note(void)
{
	if (!running)
		return;
	if (exceeded)
		raise_exceeded();
	if (events_left-- <= 0)
		count_and_judge();
}

/*
 * Counts now.  Raises 53400 when the budget is exceeded, or was and something
 * has caught the error.
 */
void
du_lock_budget_check(void)
{
	if (running)
		count_and_judge();
}

/*
 * Ends it; the highest count stays known.  May be called more than once.
 */
void
du_lock_budget_stop(void)
{
	running = false;
}

/*
 * True when the last upgrade exceeded its budget.
 */
bool
du_lock_budget_exceeded(void)
{
	return exceeded;
}

/*
 * The most entries that the last upgrade was counted with.
 */
int64
du_lock_budget_peak(void)
{
	return peak;
}
