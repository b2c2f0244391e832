/*-------------------------------------------------------------------------
 *
 * announced_holds.c
 *	  Holds whose transactions have not ended yet.
 *
 * hold() ends the attempt that runs at once, but its row can be seen only
 * when its transaction has committed.  Until then an entry in shared memory
 * stands for it, so that no other attempt begins in between.  Whoever looks
 * for holds looks here first and at the table after that: a transaction that
 * has ended by the first look is seen by the second.
 *
 * An entry names a transaction and is void when that has ended, however it
 * has.  So nobody needs to clean up, and nothing can be left behind.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"

#include "base/base.h"
#include "processes/processes.h"

typedef struct AnnouncedHold
{
	pid_t		pid;			/* 0: free */
	Oid			database;
	LocalTransactionId transaction; /* of that process */
} AnnouncedHold;

/* More than these would go unannounced; they stop the running attempt all the same. */
#define ANNOUNCED_HOLDS 64

static bool wake_needed = false;

static AnnouncedHold *
entries(void)
{
	StaticAssertStmt(sizeof(AnnouncedHold) * ANNOUNCED_HOLDS <= SHARED_ROOM_SIZE,
					 "the entries must fit");
	return du_shared_room(ROOM_ANNOUNCED_HOLDS);
}

/* False when the transaction that made the entry has ended. */
static bool
is_in_force(const AnnouncedHold *entry)
{
	PGPROC	   *proc = entry->pid != 0 ? BackendPidGetProc(entry->pid) : NULL;

	return proc != NULL && du_proc_transaction(proc) == entry->transaction;
}

/*
 * The worker looks again when the transaction has ended, also by an abort.  A
 * hold that is prepared holds from COMMIT PREPARED on.
 */
static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (!wake_needed || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
						 event != XACT_EVENT_PREPARE))
		return;
	wake_needed = false;
	du_shared_wake_worker();
}

/*
 * Announces that the current transaction is placing a hold in this database.
 */
void
du_announced_hold_add(void)
{
	static bool registered = false;

	if (!du_shared_exists())
		return;
	if (!registered)
		RegisterXactCallback(at_end_of_transaction, NULL);
	registered = true;
	wake_needed = true;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	for (int i = 0; i < ANNOUNCED_HOLDS; i++)
	{
		AnnouncedHold *entry = &entries()[i];

		if (entry->pid != MyProcPid && is_in_force(entry))
			continue;
		entry->pid = MyProcPid;
		entry->database = MyDatabaseId;
		entry->transaction = du_proc_transaction(MyProc);
		break;
	}
	LWLockRelease(du_shared_lock());
}

/*
 * A process other than this one that is placing a hold in a database, 0: none.
 */
pid_t
du_announced_hold_find(Oid database)
{
	pid_t		found = 0;

	if (!du_shared_exists())
		return 0;
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	for (int i = 0; i < ANNOUNCED_HOLDS && found == 0; i++)
	{
		const AnnouncedHold *entry = &entries()[i];

		if (entry->database == database && entry->pid != MyProcPid && is_in_force(entry))
			found = entry->pid;
	}
	LWLockRelease(du_shared_lock());
	return found;
}
