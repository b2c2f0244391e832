/*-------------------------------------------------------------------------
 *
 * shared_status.c
 *	  What the worker lets every session see, and what sessions ask of it.
 *
 * One piece of shared memory, there only when the library is preloaded.  All
 * values are of fixed size; readers copy under a shared lock, writers
 * replace under an exclusive one, and a condition variable announces each
 * change, so nobody needs to poll.  Nothing here survives a restart of the
 * server: what must is in tables, the rest is found out again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"

#include "base/base.h"

#define LEAVE_REQUESTS 64		/* at the same time; more are not heard */

/* A session that wants a database for itself. */
typedef struct LeaveRequest
{
	pid_t		asker;			/* void when this process is gone, 0: free */
	Oid			database;
} LeaveRequest;

typedef struct SharedStatus
{
	LWLock	   *lock;
	LWLock	   *file_lock;
	ConditionVariable changed;
	LauncherFacts launcher;
	WorkerFacts worker;
	uint64		retries_asked;
	uint64		reads_asked;
	LeaveRequest leave[LEAVE_REQUESTS];
	bool		restart_wanted; /* by the worker that ends */
	union
	{
		char		bytes[SHARED_ROOM_SIZE];
		int64		alignment;
	}			rooms[SHARED_ROOMS];
} SharedStatus;

static SharedStatus *shared = NULL;
static const WorkerFacts *own_facts = NULL;

static void
start_memory(void *memory, LWLockPadded *locks, bool is_new)
{
	shared = memory;
	if (!is_new)
		return;
	shared->lock = &locks[0].lock;
	shared->file_lock = &locks[1].lock;
	ConditionVariableInit(&shared->changed);
}

/*
 * Copies a text into a field of SHARED_TEXT_LENGTH bytes.  One that is too
 * long loses whole characters: what people are shown must stay text.
 */
void
du_shared_copy_text(char *field, const char *text)
{
	int			length = pg_mbcliplen(text, strnlen(text, SHARED_TEXT_LENGTH), SHARED_TEXT_LENGTH - 1);

	memcpy(field, text, length);
	field[length] = '\0';
}

/*
 * Asks for the memory; to be called while libraries are preloaded.
 */
void
du_shared_install(void)
{
	static const SharedPart part = {"documentdb_upgrade", sizeof(SharedStatus), 2, start_memory};

	du_shared_memory_add(&part);
}

/*
 * False in a server that has not preloaded this library.
 */
bool
du_shared_exists(void)
{
	return shared != NULL;
}

/* The lock over all of it; the memory must exist, as in all that follows. */
LWLock *
du_shared_lock(void)
{
	return shared->lock;
}

/* The lock over files that are made of it; to be had before the other one. */
LWLock *
du_shared_file_lock(void)
{
	return shared->file_lock;
}

/* SHARED_ROOM_SIZE bytes under du_shared_lock(). */
void *
du_shared_room(SharedRoom room)
{
	return shared->rooms[room].bytes;
}

/*
 * Broadcast after each change.
 */
ConditionVariable *
du_shared_changed(void)
{
	return &shared->changed;
}

void
du_shared_set_launcher(const LauncherFacts *facts)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher = *facts;
	LWLockRelease(shared->lock);
	ConditionVariableBroadcast(&shared->changed);
}

void
du_shared_read_launcher(LauncherFacts *facts)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	*facts = shared->launcher;
	LWLockRelease(shared->lock);
}

/*
 * Publishes the worker's facts, as a whole; only the worker may.
 */
void
du_shared_set_worker(const WorkerFacts *facts)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->worker = *facts;
	LWLockRelease(shared->lock);
	ConditionVariableBroadcast(&shared->changed);
}

void
du_shared_read_worker(WorkerFacts *facts)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	*facts = shared->worker;
	LWLockRelease(shared->lock);
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
 * Copies the facts and says true when a worker serves this session's
 * database.  Works without the memory: then none does.
 */
bool
du_shared_serving(WorkerFacts *facts)
{
	memset(facts, 0, sizeof(WorkerFacts));
	if (own_facts != NULL)
	{
		*facts = *own_facts;
		return true;
	}
	if (shared == NULL)
		return false;
	du_shared_read_worker(facts);
	return facts->pid != 0 && facts->database == MyDatabaseId;
}

/*
 * Takes back the entry of the worker that ends: this process.
 */
void
du_shared_clear_worker(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shared->worker.pid == MyProcPid)
		shared->worker.pid = 0;
	LWLockRelease(shared->lock);
	ConditionVariableBroadcast(&shared->changed);
}

static void
wake(pid_t pid)
{
	PGPROC	   *proc = pid != 0 ? BackendPidGetProc(pid) : NULL;

	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

/*
 * Wakes the worker, if there is one, to look again.
 */
void
du_shared_wake_worker(void)
{
	WorkerFacts facts;

	du_shared_read_worker(&facts);
	wake(facts.pid);
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

	if (shared == NULL)
		return;
	if (!registered)
		RegisterXactCallback(wake_after_commit, NULL);
	registered = true;
	wake_asked = true;
}

static void
shared_wake_launcher(void)
{
	LauncherFacts facts;

	du_shared_read_launcher(&facts);
	wake(facts.pid);
}

/* Counts one more request of this kind, and wakes the worker. */
static void
ask(uint64 *counter)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	(*counter)++;
	LWLockRelease(shared->lock);
	du_shared_wake_worker();
}

static uint64
asked(const uint64 *counter)
{
	uint64		count;

	LWLockAcquire(shared->lock, LW_SHARED);
	count = *counter;
	LWLockRelease(shared->lock);
	return count;
}

/*
 * Asks the worker to forget its failures.
 */
void
du_shared_ask_for_retry(void)
{
	ask(&shared->retries_asked);
}

/* How often that was asked since the server started. */
uint64
du_shared_retries_asked(void)
{
	return asked(&shared->retries_asked);
}

/*
 * Asks the worker to read the desired version anew.
 */
void
du_shared_ask_for_read(void)
{
	ask(&shared->reads_asked);
}

/* How often that was asked since the server started. */
uint64
du_shared_reads_asked(void)
{
	return asked(&shared->reads_asked);
}

/* The request of this process, else one that is free, or NULL. */
static LeaveRequest *
find_leave_request(void)
{
	LeaveRequest *found = NULL;

	for (int i = 0; i < LEAVE_REQUESTS; i++)
	{
		LeaveRequest *request = &shared->leave[i];

		if (request->asker == MyProcPid)
			return request;
		if (found == NULL &&
			(request->asker == 0 || BackendPidGetProc(request->asker) == NULL))
			found = request;
	}
	return found;
}

/*
 * Asks the worker to leave a database, and to stay away while this session
 * lives or until InvalidOid takes it back.  Several sessions can want the same
 * one, as a template.
 */
void
du_shared_ask_to_leave(Oid database)
{
	LeaveRequest *request;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	request = find_leave_request();
	if (request != NULL)
	{
		request->asker = OidIsValid(database) ? MyProcPid : 0;
		request->database = database;
	}
	LWLockRelease(shared->lock);
	if (OidIsValid(database))
		du_shared_wake_worker();
	else
		shared_wake_launcher();
}

/*
 * True when somebody wants this database for himself.
 */
bool
du_shared_wanted_by_others(Oid database)
{
	bool		wanted = false;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < LEAVE_REQUESTS && !wanted; i++)
	{
		const LeaveRequest *request = &shared->leave[i];

		wanted = request->asker != 0 && request->database == database &&
			BackendPidGetProc(request->asker) != NULL;
	}
	LWLockRelease(shared->lock);
	return wanted;
}

/* The same of the database of this process. */
bool
du_shared_asked_to_leave(void)
{
	return du_shared_wanted_by_others(MyDatabaseId);
}

/*
 * Says that the worker, this process, ends in order to start anew.
 */
void
du_shared_want_restart(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->restart_wanted = true;
	LWLockRelease(shared->lock);
}

/* True once after it was said. */
bool
du_shared_restart_wanted(void)
{
	bool		wanted;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	wanted = shared->restart_wanted;
	shared->restart_wanted = false;
	LWLockRelease(shared->lock);
	return wanted;
}
