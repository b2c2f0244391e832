/*-------------------------------------------------------------------------
 *
 * control_functions.c
 *	  The SQL functions that show the worker and steer it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "status/internal.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "base/base.h"
#include "extension/extension.h"
#include "finalize/finalize.h"
#include "guards/guards.h"
#include "processes/processes.h"

#define LONGEST_NAP_MS 250

PG_FUNCTION_INFO_V1(documentdb_upgrade_running_attempts);
PG_FUNCTION_INFO_V1(documentdb_upgrade_worker_counters);
PG_FUNCTION_INFO_V1(documentdb_upgrade_main_extension);
PG_FUNCTION_INFO_V1(documentdb_upgrade_worker_location);
PG_FUNCTION_INFO_V1(documentdb_upgrade_in_kubernetes);
PG_FUNCTION_INFO_V1(documentdb_upgrade_outside_answers);
PG_FUNCTION_INFO_V1(documentdb_upgrade_cancel);
PG_FUNCTION_INFO_V1(documentdb_upgrade_stop_for_hold);
PG_FUNCTION_INFO_V1(documentdb_upgrade_await_holds);
PG_FUNCTION_INFO_V1(documentdb_upgrade_wake_at_commit);
PG_FUNCTION_INFO_V1(documentdb_upgrade_notify_at_commit);
PG_FUNCTION_INFO_V1(documentdb_upgrade_retry);
PG_FUNCTION_INFO_V1(documentdb_upgrade_wait_for);

/*
 * running_attempts() returns the rows of view progress
 */
Datum
documentdb_upgrade_running_attempts(PG_FUNCTION_ARGS)
{
	RunningAttempt attempts[RUNNING_ATTEMPTS];
	int			n = du_running_list(attempts);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		const RunningAttempt *attempt = &attempts[i];
		ResultRow	row = {0};

		if (attempt->database != MyDatabaseId || attempt->extension[0] == '\0')
			continue;
		du_row_add_int(&row, attempt->pid);
		du_row_add_text(&row, attempt->actor);
		du_row_add_text(&row, attempt->extension);
		du_row_add_text(&row, attempt->from_version);
		du_row_add_text(&row, attempt->target);
		du_row_add_int(&row, attempt->step);
		du_row_add_int(&row, attempt->nsteps);
		du_row_add_text(&row, attempt->step > 0 ? attempt->step_extension : NULL);
		du_row_add_text(&row, attempt->step > 0 ? attempt->step_from : NULL);
		du_row_add_text(&row, attempt->step > 0 ? attempt->step_to : NULL);
		du_row_add_time(&row, attempt->started_at);
		du_row_add(&row, BoolGetDatum(attempt->cancel_requested));
		du_row_add(&row, BoolGetDatum(attempt->commit_begun));
		du_row_put(fcinfo, &row);
	}
	return (Datum) 0;
}

/* Puts the row of one managed set; arg is the call. */
static void
put_counters(void *arg)
{
	WorkerFacts worker;
	bool		served = du_shared_serving(&worker);
	ResultRow	row = {0};

	du_row_add_text(&row, du_main_extension());
	du_row_add(&row, BoolGetDatum(served));
	du_row_add(&row, Int64GetDatum(served ? worker.source_reads : 0));
	du_row_add(&row, Int64GetDatum(served ? worker.source_failures : 0));
	du_row_add(&row, Int64GetDatum(served ? worker.reports_delivered : 0));
	du_row_add(&row, Int64GetDatum(served ? worker.reports_failed : 0));
	du_row_add(&row, Int64GetDatum(served ? worker.events_dropped : 0));
	du_row_put(arg, &row);
}

/*
 * worker_counters() returns what view metrics takes from the workers
 */
Datum
documentdb_upgrade_worker_counters(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	du_main_run_each(put_counters, fcinfo);
	return (Datum) 0;
}

/*
 * main_extension() returns text
 *
 * The one that is meant now, where setting documentdb_upgrade.extension can be a
 * list.
 */
Datum
documentdb_upgrade_main_extension(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(du_main_extension()));
}

/*
 * worker_location() returns text
 */
Datum
documentdb_upgrade_worker_location(PG_FUNCTION_ARGS)
{
	WorkerFacts worker;

	if (!du_shared_serving(&worker) || worker.location[0] == '\0')
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(worker.location));
}

/*
 * in_kubernetes() returns boolean
 */
Datum
documentdb_upgrade_in_kubernetes(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(du_process_in_pod() || du_guc_source == SOURCE_KIND_KUBERNETES);
}

/*
 * outside_answers() returns what a worker has found out for the health reports
 *
 * An answer counts for as long as two looks may be apart.
 */
Datum
documentdb_upgrade_outside_answers(PG_FUNCTION_ARGS)
{
	OutsideAnswer *answers = palloc(OUTSIDE_ANSWERS * sizeof(OutsideAnswer));
	int			n = du_guc_kubernetes_reads ? du_outside_list(answers) : 0;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		const OutsideAnswer *answer = &answers[i];
		bool		answered = answer->status[0] != '\0';
		ResultRow	row = {0};

		du_row_add_text(&row, answer->check_name);
		du_row_add_text(&row, answered ? answer->status : NULL);
		du_row_add_text(&row, answered ? answer->detail : NULL);
		du_row_add_time(&row, answered ? answer->answered_at : 0);
		du_row_add(&row, BoolGetDatum(answer->answered == 0 ||
									  du_clock_exceeds(answer->answered, 2 * (int64) du_guc_resync_interval)));
		du_row_add_text(&row, answer->problem[0] != '\0' ? answer->problem : NULL);
		du_row_put(fcinfo, &row);
	}
	return (Datum) 0;
}

/*
 * cancel() returns boolean
 */
Datum
documentdb_upgrade_cancel(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(du_running_cancel(MyDatabaseId, NULL, CANCELLED_BY_CALL) == CANCEL_SENT);
}

/*
 * stop_for_hold() returns boolean: false when it is too late for the attempt
 * that runs
 */
Datum
documentdb_upgrade_stop_for_hold(PG_FUNCTION_ARGS)
{
	/* First, or an attempt could begin unseen by both. */
	du_announced_hold_add();
	PG_RETURN_BOOL(du_running_cancel(MyDatabaseId, NULL, CANCELLED_BY_HOLD) != CANCEL_TOO_LATE);
}

/*
 * await_holds() returns void
 *
 * Waits for the transactions that write to table holds now.  A lock on the
 * table would do as well, but have the next hold() queue behind it.
 */
Datum
documentdb_upgrade_await_holds(PG_FUNCTION_ARGS)
{
	Oid			table = get_relname_relid("holds", get_namespace_oid("documentdb_upgrade", false));
	LOCKTAG		tag;

	if (OidIsValid(table))
	{
		SET_LOCKTAG_RELATION(tag, MyDatabaseId, table);
		WaitForLockers(tag, ShareLock, false);
	}
	PG_RETURN_VOID();
}

/*
 * wake_at_commit() returns void
 */
Datum
documentdb_upgrade_wake_at_commit(PG_FUNCTION_ARGS)
{
	du_shared_wake_worker_at_commit();
	PG_RETURN_VOID();
}

/*
 * notify_at_commit(payload text) returns void
 */
Datum
documentdb_upgrade_notify_at_commit(PG_FUNCTION_ARGS)
{
	du_notice_at_commit(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}

static Datum
retry(FunctionCallInfo fcinfo)
{
	ExecutionContext context;
	WorkerFacts worker;
	bool		served = du_shared_serving(&worker);
	bool		dismissed;

	du_context_enter(&context);
	SPI_connect();
	dismissed = du_history_dismiss_failures(du_main_extension());
	SPI_finish();
	du_context_leave(&context);
	if (served)
		du_shared_ask_for_retry();
	du_shared_wake_worker_at_commit();
	PG_RETURN_BOOL(dismissed || (served && (worker.gave_up || worker.next_retry != 0)));
}

/*
 * retry(extension text) returns boolean
 */
Datum
documentdb_upgrade_retry(PG_FUNCTION_ARGS)
{
	return du_main_call(retry, fcinfo, 0);
}

/*
 * True when the main extension is at a version, the library has taken it up
 * where it tells, and the standbys see it.
 */
static bool
is_reached(const ExtensionVersion *target)
{
	Assessment		assessment;
	WorkerFacts worker;
	bool		served;
	ExtensionVersion version;
	const char *reason;
	const char *straggler;
	char	   *installed;
	char	   *gate;

	/* A transaction that holds its lock on the catalogue would see no news. */
	InvalidateCatalogSnapshot();
	installed = du_extension_installed_version(du_main_extension(), NULL);
	if (installed == NULL || !du_version_parse(installed, &version, &reason) ||
		du_version_compare(&version, target) != 0)
		return false;

	served = du_shared_serving(&worker);
	du_assessment_open(&assessment);
	straggler = du_assessment_straggler(&assessment, served ? &worker : NULL);
	gate = du_loaded_gate(installed);
	du_assessment_close(&assessment);
	return straggler == NULL &&
		(gate == NULL || !du_version_parse(gate, &version, &reason) ||
		 du_version_compare(&version, target) == 0);
}

/* Waits for the next change, or a little while. */
static void
nap(ClockMs end)
{
	long		left = Min(du_clock_left(end), LONGEST_NAP_MS);

	if (du_shared_exists())
		(void) ConditionVariableTimedSleep(du_shared_changed(), left, PG_WAIT_EXTENSION);
	else
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 left, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	CHECK_FOR_INTERRUPTS();
}

/* Looks at the catalogue, which is of now in any transaction. */
static Datum
wait_for(FunctionCallInfo fcinfo)
{
	char	   *argument;
	ClockMs		end;
	MemoryContext context;
	ExtensionVersion target;
	const char *reason;
	bool		reached;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	argument = text_to_cstring(PG_GETARG_TEXT_PP(0));
	end = du_clock_after(PG_GETARG_INTERVAL_P(1));
	if (!du_version_parse(argument, &target, &reason))
		du_version_error(argument, reason);

	context = AllocSetContextCreate(CurrentMemoryContext, "documentdb_upgrade wait",
									ALLOCSET_SMALL_SIZES);
	for (;;)
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		reached = is_reached(&target);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
		if (reached || du_clock_ms() >= end)
			break;
		nap(end);
	}
	if (du_shared_exists())
		ConditionVariableCancelSleep();
	MemoryContextDelete(context);
	PG_RETURN_BOOL(reached);
}

/*
 * wait_for(target text, timeout interval, extension text) returns boolean
 */
Datum
documentdb_upgrade_wait_for(PG_FUNCTION_ARGS)
{
	return du_main_call(wait_for, fcinfo, 2);
}
