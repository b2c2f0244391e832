/*-------------------------------------------------------------------------
 *
 * database_looks.c
 *	  Has databases looked at that no worker serves.
 *
 * A process must be connected to a database to see its extensions, so one
 * comes for each, one at a time, looks and goes; at a slow pace, and sooner
 * where somebody has changed something.  The launcher starts them.
 *
 * None may be in the way of those who want a database for themselves.  So a
 * process tells which database it visits before it connects, unless somebody
 * wants that database, and whoever does waits for the visitor.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/base.h"

#define LONGEST_VISIT_MS 5000	/* that others wait for; the server waits as long */
#define NO_PROCESS_WAIT_MS 60000

/* Of the process that looks now, or NULL. */
static BackgroundWorkerHandle *look = NULL;
static Oid	look_at;			/* this database */
static TimestampTz no_process_until = 0;

/* Starts a process that looks at a database; false when none is to be had. */
static bool
start_look(Oid database)
{
	BackgroundWorker process;
	MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
	bool		started;

	du_process_describe(&process, "look", "documentdb_upgrade_look_main");
	process.bgw_main_arg = ObjectIdGetDatum(database);
	process.bgw_notify_pid = MyProcPid;
	started = RegisterDynamicBackgroundWorker(&process, &look);
	MemoryContextSwitchTo(context);
	if (!started)
		look = NULL;
	return started;
}

/* True when the last look has ended. */
static bool
is_free(void)
{
	pid_t		pid;

	if (look == NULL)
		return true;
	if (GetBackgroundWorkerPid(look, &pid) != BGWH_STOPPED)
		return false;
	pfree(look);
	look = NULL;
	du_records_end_look(look_at);
	return true;
}

/* When a database is to be looked at; TIMESTAMP_INFINITY: not at all. */
static TimestampTz
due_time(const DatabaseRecord *record)
{
	if (du_guc_database_look_interval == 0 || du_shared_serves(record->database) ||
		du_shared_wanted_by_others(record->database))
		return PG_INT64_MAX;
	if (record->look_wanted || record->tried_at == 0)
		return 0;
	return TimestampTzPlusMilliseconds(record->tried_at, du_guc_database_look_interval);
}

/*
 * Starts the look that is due, if one is and no other goes on.  Gives back
 * when to come again at the latest, PG_INT64_MAX when somebody will tell.
 */
TimestampTz
du_looks_advance(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = PG_INT64_MAX;
	Oid			database = InvalidOid;
	DatabaseRecord *records;
	int			n;

	if (!is_free())
		return PG_INT64_MAX;	/* its end sets our latch */
	records = du_records_list(&n);
	for (int i = 0; i < n; i++)
	{
		TimestampTz due = due_time(&records[i]);

		if (due >= next)
			continue;
		next = due;
		database = records[i].database;
	}
	if (!OidIsValid(database) || next > now)
		return next;
	if (now < no_process_until)
		return no_process_until;
	du_records_begin_look(database);
	look_at = database;
	if (start_look(database))
		return PG_INT64_MAX;
	du_records_want_look(database);
	no_process_until = TimestampTzPlusMilliseconds(now, NO_PROCESS_WAIT_MS);
	return no_process_until;
}

static void
at_exit(int code, Datum arg)
{
	du_shared_end_visit();
}

/*
 * Says that this process is about to connect to a database, until it ends;
 * false when it must not, because somebody wants the database for himself or
 * another visitor is under way.
 */
bool
du_look_begin(Oid database)
{
	if (!du_shared_begin_visit(database))
	{
		du_records_want_look(database);
		return false;
	}
	before_shmem_exit(at_exit, (Datum) 0);
	return true;
}

/*
 * Waits until nobody visits a database, not for ever.  The caller has said
 * that it wants it.
 */
void
du_look_await(Oid database)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LONGEST_VISIT_MS);

	if (!du_shared_is_visited(database))
		return;
	ConditionVariablePrepareToSleep(du_shared_changed());
	while (du_shared_is_visited(database) && GetCurrentTimestamp() < end)
		(void) ConditionVariableTimedSleep(du_shared_changed(), 100, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
}
