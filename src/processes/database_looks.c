/*-------------------------------------------------------------------------
 *
 * database_looks.c
 *	  Has databases looked at that no worker serves.
 *
 * A process must be connected to a database to see its extensions, so one
 * comes for each, one at a time, looks and goes; at a slow pace, and sooner
 * where somebody has changed something.  The launcher starts them.
 *
 * None is in the way of those who want a database for themselves: see
 * leave_requests.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/base.h"

#define NO_PROCESS_WAIT_MS 60000

/* Of the process that looks now, or NULL. */
static BackgroundWorkerHandle *look = NULL;
static Oid	look_at;			/* this database */
static ClockMs no_process_until = 0;

/* Starts a process that looks at a database; false when none is to be had. */
static bool
start_look(Oid database)
{
	BackgroundWorker process;
	MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
	bool		started;

	du_process_describe(&process, "look", "documentdb_upgrade_look_main");
	process.bgw_main_arg = ObjectIdGetDatum(database);
	du_visit_prepare(&process, database, "");
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

/*
 * When a database is to be looked at; PG_INT64_MAX: not at all.  Where every
 * database with this extension is to be served, that is to be found out once
 * and after changes, at whatever pace.
 */
static ClockMs
due_time(const DatabaseRecord *record, bool every)
{
	bool		never = du_guc_database_look_interval == 0 &&
	(!every || (record->tried != 0 && !record->look_wanted));

	/* Who looks at a database looks at all its sets. */
	if (never || record->set[0] != '\0' || du_shared_serves(record->database, "") ||
		du_shared_wanted_by_others(record->database))
		return PG_INT64_MAX;
	if (record->look_wanted || record->tried == 0)
		return 0;
	return record->tried + du_guc_database_look_interval;
}

/*
 * Starts the look that is due, if one is and no other goes on.  Gives back
 * when to come again at the latest, PG_INT64_MAX when somebody will tell.
 */
ClockMs
du_looks_advance(void)
{
	ClockMs		now = du_clock_ms();
	ClockMs		next = PG_INT64_MAX;
	Oid			database = InvalidOid;
	DatabaseRecord *records;
	bool		every;
	int			n;

	if (!is_free())
		return PG_INT64_MAX;	/* its end sets our latch */
	(void) du_guc_databases(&every);
	records = du_records_list(&n);
	for (int i = 0; i < n; i++)
	{
		ClockMs		due = due_time(&records[i], every);

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
	no_process_until = now + NO_PROCESS_WAIT_MS;
	return no_process_until;
}
