/*-------------------------------------------------------------------------
 *
 * attempt_turns.c
 *	  Whose attempt it is to run.
 *
 * Attempts of workers take turns: one set after the other, whatever becomes of
 * it.  So the lock table, the disk and the eyes of people have one upgrade at a
 * time to bear, and a server with many databases goes through them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"

#include "base/base.h"

/* Whose attempt it is to run. */
typedef struct Turn
{
	pid_t		pid;			/* a worker; void when it is gone, 0: nobody's */
	Oid			database;
	char		set[NAMEDATALEN];
} Turn;

/* Serves the next function. */
static void
find_next(DatabaseSlot *slot, void *arg)
{
	DatabaseSlot **next = arg;

	if (slot->worker.pid != 0 && slot->waits_since != 0 &&
		(*next == NULL || slot->waits_since < (*next)->waits_since))
		*next = slot;
}

/*
 * Wakes the worker that has waited longest for its turn, when that is free.  To
 * wake all would cost a server with many databases a look at each of them for
 * each of them.  Should the one not want it any more, the others come at their
 * next look.
 */
void
du_shared_wake_next(void)
{
	const Turn *turn = du_shared_room(ROOM_TURN);
	DatabaseSlot *next = NULL;
	pid_t		pid = 0;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	if (turn->pid == 0)
		du_slot_visit_all(find_next, &next);
	if (next != NULL)
	{
		next->waits_since = 0;
		pid = next->worker.pid;
	}
	LWLockRelease(du_shared_lock());
	du_process_wake(pid);
}

/*
 * Takes the turn for an attempt of this process, a worker; false while it is
 * another's, who wakes the next when it is through.
 */
bool
du_shared_take_turn(void)
{
	Turn	   *turn = du_shared_room(ROOM_TURN);
	bool		elsewhere = du_running_elsewhere();
	DatabaseSlot *slot;
	bool		taken;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	taken = !elsewhere &&
		(turn->pid == 0 || BackendPidGetProc(turn->pid) == NULL ||
		 (turn->database == MyDatabaseId && strcmp(turn->set, du_main_selected()) == 0));
	if (taken)
	{
		turn->pid = MyProcPid;
		turn->database = MyDatabaseId;
		strlcpy(turn->set, du_main_selected(), sizeof(turn->set));
	}
	slot = du_slot_own();
	if (slot != NULL && taken)
		slot->waits_since = 0;
	else if (slot != NULL && slot->waits_since == 0)
		slot->waits_since = du_clock_ms();
	LWLockRelease(du_shared_lock());
	return taken;
}

/*
 * Gives it to the next, if it is this process's.
 */
void
du_shared_end_turn(void)
{
	Turn	   *turn = du_shared_room(ROOM_TURN);
	bool		was_ours;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	was_ours = turn->pid == MyProcPid;
	if (was_ours)
		turn->pid = 0;
	LWLockRelease(du_shared_lock());
	if (was_ours)
		du_shared_wake_next();
}
