/*-------------------------------------------------------------------------
 *
 * worker_slots.c
 *	  What each worker lets every session see, and what sessions ask of it.
 *
 * A worker has the slot of its managed set in its database.  What a session
 * asks, it asks of the workers of its own database; a database that none serves
 * is looked at by somebody who comes for that.  What is one for the whole server
 * is in the first slot of the main database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"

#include "base/base.h"

static const WorkerFacts *own_facts = NULL;
static const WorkerFacts *first_facts = NULL;

/*
 * The slot of what is meant in this process's database; the lock must be held.
 */
DatabaseSlot *
du_slot_own(void)
{
	return OidIsValid(MyDatabaseId) ? du_slot_find(MyDatabaseId, du_main_selected()) : NULL;
}

/* True when what the workers beside the first one follow has changed. */
static bool
is_news(const WorkerFacts *before, const WorkerFacts *now)
{
	return before->pid != now->pid || before->desired_known != now->desired_known ||
		strcmp(before->desired, now->desired) != 0 || before->source_ok != now->source_ok ||
		before->held != now->held || strcmp(before->hold_reason, now->hold_reason) != 0;
}

/*
 * Publishes the facts of this process, a worker, as a whole.  From the first
 * time on it can be told to leave.
 */
void
du_shared_set_worker(const WorkerFacts *facts)
{
	static bool is_known = false;
	DatabaseSlot *slot;
	bool		news = false;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	slot = du_slot_own();
	if (slot != NULL)
	{
		news = du_main_selected()[0] == '\0' && is_news(&slot->worker, facts);
		slot->worker = *facts;
	}
	LWLockRelease(du_shared_lock());
	ConditionVariableBroadcast(du_shared_changed());
	if (news)
		du_shared_wake_workers_of(MyDatabaseId);
	if (is_known)
		return;
	is_known = true;
	du_visit_end();
	SetLatch(MyLatch);			/* it may have been told before */
}

/*
 * Has this process take these facts for those of the worker: it makes a single
 * pass in its stead.  They must stay in place.
 */
void
du_shared_pretend(const WorkerFacts *facts)
{
	own_facts = facts;
}

/*
 * The same of the facts of the first worker, where this process makes a pass in
 * the stead of another one.
 */
void
du_shared_pretend_first(const WorkerFacts *facts)
{
	first_facts = facts;
}

/*
 * Copies the facts and says true when a worker serves what is meant in this
 * session's database.  Works without the memory: then none does.
 */
bool
du_shared_serving(WorkerFacts *facts)
{
	DatabaseSlot *slot;

	memset(facts, 0, sizeof(WorkerFacts));
	if (own_facts != NULL)
	{
		*facts = *own_facts;
		return true;
	}
	if (!du_shared_exists())
		return false;
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	slot = du_slot_own();
	if (slot != NULL)
		*facts = slot->worker;
	LWLockRelease(du_shared_lock());
	return facts->pid != 0;
}

/*
 * The same of the worker of the first main extension, who knows what a custom
 * resource or a file says.
 */
bool
du_shared_first_worker(WorkerFacts *facts)
{
	DatabaseSlot *slot;

	memset(facts, 0, sizeof(WorkerFacts));
	if (first_facts != NULL)
		*facts = *first_facts;
	else if (du_shared_exists() && OidIsValid(MyDatabaseId))
	{
		LWLockAcquire(du_shared_lock(), LW_SHARED);
		slot = du_slot_find(MyDatabaseId, "");
		if (slot != NULL)
			*facts = slot->worker;
		LWLockRelease(du_shared_lock());
	}
	return facts->pid != 0;
}

/* Serves the next function. */
static void
take_main(DatabaseSlot *slot, void *arg)
{
	if (slot->worker.pid != 0 && slot->worker.is_main)
		*(WorkerFacts *) arg = slot->worker;
}

/*
 * Copies the facts of the worker of the main database; false when there is
 * none.
 */
bool
du_shared_main_worker(WorkerFacts *facts)
{
	memset(facts, 0, sizeof(WorkerFacts));
	if (own_facts != NULL)
		*facts = *own_facts;
	else if (du_shared_exists())
	{
		LWLockAcquire(du_shared_lock(), LW_SHARED);
		du_slot_visit_all(take_main, facts);
		LWLockRelease(du_shared_lock());
	}
	return facts->pid != 0;
}

/* The process that serves a managed set of a database, 0: none. */
static pid_t
worker_of(Oid database, const char *set)
{
	DatabaseSlot *slot;
	pid_t		pid;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	slot = OidIsValid(database) ? du_slot_find(database, set) : NULL;
	pid = slot != NULL ? slot->worker.pid : 0;
	LWLockRelease(du_shared_lock());
	return pid;
}

/*
 * True while a worker serves a managed set of a database, "" being the first.
 */
bool
du_shared_serves(Oid database, const char *set)
{
	return worker_of(database, set) != 0;
}

/*
 * The same where its word is not enough: it may have died without taking that
 * back.
 */
bool
du_shared_worker_lives(Oid database, const char *set)
{
	pid_t		pid = worker_of(database, set);

	return pid != 0 && BackendPidGetProc(pid) != NULL;
}

/*
 * True in the main database.
 */
bool
du_shared_in_main_database(void)
{
	DatabaseSlot *slot;
	bool		is_main;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	slot = du_slot_find(MyDatabaseId, "");
	is_main = slot != NULL && slot->is_main;
	LWLockRelease(du_shared_lock());
	return is_main;
}

/*
 * True when what is meant in this process's database is to be served.  To be
 * called in a transaction.
 */
bool
du_shared_is_to_serve(void)
{
	const char *name = get_database_name(MyDatabaseId);

	return name != NULL && du_guc_means_database(name, OidIsValid(du_context_own_extension())) &&
		(du_main_selected()[0] == '\0' || du_main_is_further(du_main_selected()));
}

/*
 * Ends this process, a worker, when its main extension is one that the settings
 * name no longer, or as the first, which has a worker; and the attempt at it, as
 * far as that is possible.
 */
void
du_shared_leave_other_set(void)
{
	if (du_main_selected()[0] == '\0' || du_main_is_further(du_main_selected()))
		return;
	(void) du_running_cancel(MyDatabaseId, du_main_selected(), CANCELLED_BY_WITHDRAWAL);
	proc_exit(0);
}

/*
 * Takes back the entry of the worker that ends: this process.
 */
void
du_shared_clear_worker(void)
{
	DatabaseSlot *slot;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	slot = du_slot_own();
	if (slot != NULL && slot->worker.pid == MyProcPid)
		slot->worker.pid = 0;
	LWLockRelease(du_shared_lock());
	du_shared_end_turn();
	ConditionVariableBroadcast(du_shared_changed());
}

/*
 * Sets the latch of a process, if it is there (0: nobody).
 */
void
du_process_wake(pid_t pid)
{
	PGPROC	   *proc = pid != 0 ? BackendPidGetProc(pid) : NULL;

	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

/* Serves the next function; arg is a database. */
static void
wake_if_of(DatabaseSlot *slot, void *arg)
{
	if (slot->record.database == *(Oid *) arg)
		du_process_wake(slot->worker.pid);
}

/*
 * Wakes the workers of a database.
 */
void
du_shared_wake_workers_of(Oid database)
{
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	du_slot_visit_all(wake_if_of, &database);
	LWLockRelease(du_shared_lock());
}

/*
 * Has whoever serves this process's database look again; where nobody does,
 * somebody comes to look at it.
 */
void
du_shared_wake_worker(void)
{
	if (!OidIsValid(MyDatabaseId))
		return;
	du_shared_wake_workers_of(MyDatabaseId);
	if (du_shared_serves(MyDatabaseId, ""))
		return;
	du_records_want_look(MyDatabaseId);
	du_shared_wake_launcher();
}

/* Serves the next function. */
static void
wake_slot(DatabaseSlot *slot, void *arg)
{
	du_process_wake(slot->worker.pid);
}

/*
 * Has all workers look again.
 */
void
du_shared_wake_workers(void)
{
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	du_slot_visit_all(wake_slot, NULL);
	LWLockRelease(du_shared_lock());
}

static bool wake_asked = false;

static void
wake_after_commit(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (wake_asked && event == XACT_EVENT_COMMIT)
		du_shared_wake_worker();
	wake_asked = false;
}

/*
 * Has the worker look again when this transaction has committed.  Works
 * without the memory: then there is no worker.
 */
void
du_shared_wake_worker_at_commit(void)
{
	static bool registered = false;

	if (!du_shared_exists())
		return;
	if (!registered)
		RegisterXactCallback(wake_after_commit, NULL);
	registered = true;
	wake_asked = true;
}

/*
 * Wakes the launcher, if there is one, to look again.
 */
void
du_shared_wake_launcher(void)
{
	LauncherFacts facts;

	du_shared_read_launcher(&facts);
	du_process_wake(facts.pid);
}

/*
 * Asks the worker to forget its failures.
 */
void
du_shared_ask_for_retry(void)
{
	DatabaseSlot *slot;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	slot = du_slot_own();
	if (slot != NULL)
		slot->retries_asked++;
	LWLockRelease(du_shared_lock());
	du_shared_wake_worker();
}

/* How often that was asked since the server started. */
uint64
du_shared_retries_asked(void)
{
	DatabaseSlot *slot;
	uint64		count;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	slot = du_slot_own();
	count = slot != NULL ? slot->retries_asked : 0;
	LWLockRelease(du_shared_lock());
	return count;
}

/* Serves the next function. */
static void
ask_for_read(DatabaseSlot *slot, void *arg)
{
	if (slot->record.database == MyDatabaseId)
		slot->reads_asked++;
}

/*
 * Asks the workers to read the desired version anew.
 */
void
du_shared_ask_for_read(void)
{
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	du_slot_visit_all(ask_for_read, NULL);
	LWLockRelease(du_shared_lock());
	du_shared_wake_worker();
}

/*
 * The same of the worker of the first main extension of this process's
 * database; false where this process itself has just read.
 */
bool
du_shared_ask_first_for_read(void)
{
	DatabaseSlot *slot;
	pid_t		pid = 0;

	if (first_facts != NULL)
		return false;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	slot = du_slot_find(MyDatabaseId, "");
	if (slot != NULL)
	{
		slot->reads_asked++;
		pid = slot->worker.pid;
	}
	LWLockRelease(du_shared_lock());
	du_process_wake(pid);
	return true;
}

/* How often that was asked since the server started. */
uint64
du_shared_reads_asked(void)
{
	DatabaseSlot *slot;
	uint64		count;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	slot = du_slot_own();
	count = slot != NULL ? slot->reads_asked : 0;
	LWLockRelease(du_shared_lock());
	return count;
}

/*
 * Says that the worker, this process, ends in order to start anew.
 */
void
du_shared_want_restart(void)
{
	DatabaseSlot *slot;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	slot = du_slot_own();
	if (slot != NULL)
		slot->restart_wanted = true;
	LWLockRelease(du_shared_lock());
}

/*
 * Notes what is stored in the way of settings for this process, a worker, and says
 * whether it has read the same when it connected: the worker before it has seen
 * them, or there was none and they are in effect.
 */
bool
du_shared_settings_known(const char *digest, bool in_effect)
{
	DatabaseSlot *slot;
	bool		known = true;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	slot = du_slot_own();
	if (slot != NULL)
	{
		known = slot->settings[0] != '\0' ? strcmp(slot->settings, digest) == 0 : in_effect;
		strlcpy(slot->settings, digest, sizeof(slot->settings));
	}
	LWLockRelease(du_shared_lock());
	return known;
}

/* True once after it was said. */
bool
du_shared_restart_wanted(Oid database, const char *set)
{
	DatabaseSlot *slot;
	bool		wanted = false;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	slot = du_slot_find(database, set);
	if (slot != NULL)
	{
		wanted = slot->restart_wanted;
		slot->restart_wanted = false;
	}
	LWLockRelease(du_shared_lock());
	return wanted;
}

/*
 * SHARED_EXCHANGE_SIZE bytes under du_shared_lock(), for the worker of a managed
 * set and its attempt; NULL when that has no slot any more.
 */
void *
du_shared_exchange(Oid database, const char *set)
{
	DatabaseSlot *slot = du_slot_find(database, set);

	return slot != NULL ? slot->exchange.bytes : NULL;
}
