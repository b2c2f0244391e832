/*-------------------------------------------------------------------------
 *
 * leave_requests.c
 *	  Who wants a database for himself, and who of us is about to go there.
 *
 * Sessions say which database they want, and workers leave it and stay away.
 * A process that is not connected yet cannot be told: so it says where it is
 * going before it goes, unless somebody wants that database by then, and
 * whoever wants one waits for those who are on their way or on a short visit.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "utils/wait_event.h"

#include "base/base.h"

#define LEAVE_REQUESTS 64		/* at the same time; more are not heard */
#define VISITORS 64				/* more come later */
#define LONGEST_VISIT_MS 5000	/* that others wait for; the server waits as long */

/* A process, 0 being none, and the database that it wants or goes to. */
typedef struct Entry
{
	pid_t		pid;
	Oid			database;
} Entry;

/* What a process is told that is started for a database. */
typedef struct Visit
{
	uint32		seen;			/* how often somebody had wanted the database */
	uint32		reloads;		/* how many there had been */
	char		set[NAMEDATALEN];	/* for which managed set it comes */
} Visit;

typedef struct LeaveRequests
{
	Entry		requests[LEAVE_REQUESTS];
	Entry		visitors[VISITORS];
} LeaveRequests;

static LeaveRequests *
all(void)
{
	StaticAssertStmt(sizeof(LeaveRequests) <= SHARED_ROOM_SIZE, "the requests must fit");
	return du_shared_room(ROOM_LEAVE_REQUESTS);
}

/*
 * The entry of this process, else one that is free, or NULL.  An entry is its
 * owner's until he takes it back, which he does however he ends.  Whether he
 * is alive cannot be asked: the server lists nobody before he connects.
 */
static Entry *
find_place(Entry *entries, int n)
{
	Entry	   *found = NULL;

	for (int i = 0; i < n; i++)
	{
		if (entries[i].pid == MyProcPid)
			return &entries[i];
		if (found == NULL && entries[i].pid == 0)
			found = &entries[i];
	}
	return found;
}

/* True when there is an entry for a database. */
static bool
has_entry(const Entry *entries, int n, Oid database)
{
	for (int i = 0; i < n; i++)
	{
		if (entries[i].pid != 0 && entries[i].database == database)
			return true;
	}
	return false;
}

/*
 * Asks the worker to leave a database, and to stay away while this session
 * lives or until InvalidOid takes it back.  Several sessions can want the same
 * one, as a template.
 */
void
du_shared_ask_to_leave(Oid database)
{
	Entry	   *request;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	request = find_place(all()->requests, LEAVE_REQUESTS);
	if (request != NULL)
	{
		request->pid = OidIsValid(database) ? MyProcPid : 0;
		request->database = database;
	}
	if (OidIsValid(database))
		du_records_count_request(database);
	LWLockRelease(du_shared_lock());
	if (OidIsValid(database))
		du_shared_wake_workers_of(database);
	else
		du_shared_wake_launcher();
}

/*
 * True when somebody wants this database for himself.
 */
bool
du_shared_wanted_by_others(Oid database)
{
	bool		wanted;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	wanted = has_entry(all()->requests, LEAVE_REQUESTS, database);
	LWLockRelease(du_shared_lock());
	return wanted;
}

/* The same of the database of this process. */
bool
du_shared_asked_to_leave(void)
{
	return du_shared_wanted_by_others(MyDatabaseId);
}

/*
 * Says that this process's visit has ended, or that it can be told to leave
 * from now on.
 */
void
du_visit_end(void)
{
	Entry	   *visitors = all()->visitors;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	for (int i = 0; i < VISITORS; i++)
	{
		if (visitors[i].pid == MyProcPid)
			visitors[i].pid = 0;
	}
	LWLockRelease(du_shared_lock());
	ConditionVariableBroadcast(du_shared_changed());
}

static void
at_exit(int code, Datum arg)
{
	du_visit_end();
}

/*
 * Gives a process that the launcher is about to start for a database what it
 * needs for the next function.
 */
void
du_visit_prepare(BackgroundWorker *process, Oid database, const char *set)
{
	DatabaseSlot *slot;
	Visit		visit = {0};

	StaticAssertStmt(sizeof(Visit) <= BGW_EXTRALEN, "the visit must fit");
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	slot = du_slot_find(database, "");
	if (slot != NULL)
		visit.seen = slot->seen;
	visit.reloads = du_reloads_count();
	LWLockRelease(du_shared_lock());
	strlcpy(visit.set, set, sizeof(visit.set));
	memcpy(process->bgw_extra, &visit, sizeof(visit));
}

/*
 * Says that this process is about to connect to a database, and selects the
 * managed set for which it comes; false when it must not connect, because somebody
 * wants that for himself, or has since the launcher saw it: it may be gone.
 */
bool
du_visit_begin(Oid database)
{
	Entry	   *visitor;
	Visit		visit;
	bool		has_news;

	memcpy(&visit, MyBgworkerEntry->bgw_extra, sizeof(visit));
	du_main_select(visit.set);
	before_shmem_exit(at_exit, (Datum) 0);
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	visitor = has_entry(all()->requests, LEAVE_REQUESTS, database) ||
		!du_records_is_unasked(database, visit.seen) ? NULL :
		find_place(all()->visitors, VISITORS);
	if (visitor != NULL)
	{
		visitor->pid = MyProcPid;
		visitor->database = database;
	}
	has_news = du_reloads_begin(visit.reloads);
	LWLockRelease(du_shared_lock());
	if (has_news)
		du_shared_wake_launcher();
	if (visitor == NULL)
	{
		du_records_want_visit(database);
		return false;
	}
	return true;
}

static bool
is_visited(Oid database)
{
	bool		visited;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	visited = has_entry(all()->visitors, VISITORS, database);
	LWLockRelease(du_shared_lock());
	return visited;
}

/*
 * Waits until nobody visits a database, not for ever.  The caller has said
 * that it wants it.
 */
void
du_visit_await_end(Oid database)
{
	ClockMs		end = du_clock_ms() + LONGEST_VISIT_MS;

	if (!is_visited(database))
		return;
	ConditionVariablePrepareToSleep(du_shared_changed());
	while (is_visited(database) && du_clock_ms() < end)
		(void) ConditionVariableTimedSleep(du_shared_changed(), 100, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
}
