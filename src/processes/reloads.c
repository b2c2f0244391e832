/*-------------------------------------------------------------------------
 *
 * reloads.c
 *	  Has no process of ours go by settings that were reloaded while it started.
 *
 * The signal that tells of a reload is lost on a process that has been forked
 * and has not come to its first instructions: the server has it ignore that
 * signal until it begins with its own work, and what was pending is gone then.  So
 * the launcher counts reloads, and gives a process that it starts the count.  One that
 * the launcher has missed itself is known to any process that is forked after it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "utils/timestamp.h"

#include "base/base.h"

typedef struct Reloads
{
	uint32		count;			/* that the launcher has heard of */
	TimestampTz heard_at;		/* settings of the launcher are not older */
	bool		is_missed;		/* by the launcher */
} Reloads;

static uint32 known;			/* the count that this process has followed */

/*
 * Notes that this process, the launcher, goes by the settings as they are now;
 * after a reload has the workers do the same.
 */
void
du_reloads_follow(bool is_reload)
{
	Reloads    *reloads = du_shared_room(ROOM_RELOADS);

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	reloads->count += is_reload ? 1 : 0;
	reloads->heard_at = PgReloadTime;
	reloads->is_missed = false;
	LWLockRelease(du_shared_lock());
	if (is_reload)
		du_shared_wake_workers();
}

/*
 * True when somebody has found that the launcher has missed one.
 */
bool
du_reloads_missed_by_launcher(void)
{
	const Reloads *reloads = du_shared_room(ROOM_RELOADS);
	bool		missed;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	missed = reloads->is_missed;
	LWLockRelease(du_shared_lock());
	return missed;
}

/*
 * How many the launcher has heard of.  The lock must be held.
 */
uint32
du_reloads_count(void)
{
	return ((const Reloads *) du_shared_room(ROOM_RELOADS))->count;
}

/*
 * Begins with the count as it was before this process was forked, and tells the
 * launcher of a reload that came before that and that it has not heard of.  The
 * lock must be held; true when the launcher is to be woken.
 */
bool
du_reloads_begin(uint32 count)
{
	Reloads    *reloads = du_shared_room(ROOM_RELOADS);

	known = count;
	if (PgReloadTime > reloads->heard_at)
		reloads->is_missed = true;
	return reloads->is_missed;
}

/*
 * True once after each reload that this process may not have heard of.
 */
bool
du_reloads_missed(void)
{
	uint32		count;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	count = du_reloads_count();
	LWLockRelease(du_shared_lock());
	if (count == known)
		return false;
	known = count;
	return true;
}
