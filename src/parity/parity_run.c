/*-------------------------------------------------------------------------
 *
 * parity_run.c
 *	  SQL function run_parity(): starts the processes of a run and waits.
 *
 * The caller lends its snapshot, which lasts as long as its transaction, and
 * its rights.  However the wait ends, the processes end with it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "parity/internal.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"

#include "base/base.h"

#define LOOK_INTERVAL_MS	1000	/* at what the processes wait for */
#define LONGEST_FAREWELL_MS 1000

typedef struct ParityRun
{
	ParityOrder *order;
	int			nmembers;
	BackgroundWorkerHandle *handles[PARITY_MEMBERS];
} ParityRun;

PG_FUNCTION_INFO_V1(documentdb_upgrade_run_parity);

/*
 * Refuses callers that cannot lend a snapshot, or could not see what the
 * processes write.
 */
static void
check_transaction(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot compare on a standby"),
				 errhint("Connect to the primary, or name this server as the other one.")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot compare in a REPEATABLE READ or SERIALIZABLE transaction"),
				 errdetail("It could not see what the processes of the run store."),
				 errhint("Use a READ COMMITTED transaction.")));
}

/*
 * How many processes are asked for; 22023 when that is no number from 1 to
 * what is possible.
 */
static int
count_workers(Jsonb *options)
{
	JsonbValue	found;
	JsonbValue *workers = NULL;
	int			n = 1;

	if (JB_ROOT_IS_OBJECT(options))
		workers = getKeyJsonValueFromContainer(&options->root, "workers", strlen("workers"), &found);
	if (workers != NULL && workers->type == jbvNumeric)
		n = DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(workers->val.numeric)));
	else if (workers != NULL && workers->type != jbvNull)
		n = 0;
	if (n < 1 || n > PARITY_MEMBERS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of workers must be from 1 to %d", PARITY_MEMBERS)));
	return n;
}

static dsm_segment *
write_order(Jsonb *options, const char *conninfo)
{
	StringInfoData settings;
	dsm_segment *segment;
	ParityOrder *order;
	char	   *snapshot = ExportSnapshot(GetActiveSnapshot());

	initStringInfo(&settings);
	du_parity_collect_settings(&settings);
	segment = du_parity_order_create(JsonbToCString(NULL, &options->root, VARSIZE(options)),
									 &settings, conninfo);
	order = dsm_segment_address(segment);
	order->role = GetUserId();
	order->password_required = !superuser();
	strlcpy(order->snapshot, snapshot, SNAPSHOT_LENGTH);
	return segment;
}

/*
 * Starts as many processes as are to be had.
 */
static void
start(ParityRun *run, dsm_segment *segment, int wanted)
{
	for (int i = 0; i < wanted; i++)
		du_parity_order_set_state(run->order, i, MEMBER_EXPECTED);
	while (run->nmembers < wanted &&
		   du_parity_process_start(dsm_segment_handle(segment), run->nmembers,
								   &run->handles[run->nmembers]))
		run->nmembers++;
	for (int i = run->nmembers; i < wanted; i++)
		du_parity_order_set_state(run->order, i, MEMBER_ABSENT);
	if (run->nmembers == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a background worker for the comparison"),
				 errhint("Raise max_worker_processes.")));
}

/* True when no process is left. */
static bool
have_ended(ParityRun *run)
{
	bool		ended = true;

	for (int i = 0; i < run->nmembers; i++)
	{
		pid_t		pid;

		if (GetBackgroundWorkerPid(run->handles[i], &pid) != BGWH_STOPPED)
			ended = false;
		else if (du_parity_order_get_state(run->order, i) != MEMBER_THROUGH)
			du_parity_order_set_state(run->order, i, MEMBER_LOST);
	}
	return ended;
}

/*
 * Ends the processes, and waits a moment for that: whoever must take leave of
 * another server has not ended at once.
 */
static void
end_processes(int code, Datum arg)
{
	ParityRun  *run = (ParityRun *) DatumGetPointer(arg);
	ClockMs		end = du_clock_ms() + LONGEST_FAREWELL_MS;
	long		left;

	for (int i = 0; i < run->nmembers; i++)
		TerminateBackgroundWorker(run->handles[i]);
	while (!have_ended(run) &&
		   (left = du_clock_left(end)) > 0)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	SetLatch(MyLatch);
}

/* A process that somebody has ended leaves a table behind half done. */
static void
check_losses(ParityRun *run)
{
	for (int i = 0; i < run->nmembers; i++)
	{
		if (du_parity_order_get_state(run->order, i) == MEMBER_LOST)
			ereport(ERROR,
					(errcode(ERRCODE_OPERATOR_INTERVENTION),
					 errmsg("a process of the comparison ended before its time"),
					 run->order->run != 0 ?
					 errhint("Resume run " INT64_FORMAT ", or see the server log.", run->order->run) :
					 errhint("Try again, or see the server log.")));
	}
}

/*
 * A process that waits for a lock of this transaction would wait for ever, and
 * the deadlock detector does not know that this one waits for it.
 */
static void
check_locks(ParityRun *run)
{
	for (int i = 0; i < run->nmembers; i++)
	{
		pid_t		pid;
		ArrayType  *blockers;
		int32	   *pids;

		if (GetBackgroundWorkerPid(run->handles[i], &pid) != BGWH_STARTED)
			continue;
		blockers = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid)));
		pids = (int32 *) ARR_DATA_PTR(blockers);
		for (int n = ArrayGetNItems(ARR_NDIM(blockers), ARR_DIMS(blockers)); n > 0; n--)
		{
			if (pids[n - 1] == MyProcPid)
				ereport(ERROR,
						(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
						 errmsg("a process of the comparison waits for a lock that this transaction holds"),
						 errhint("Compare in a transaction of its own.")));
		}
		pfree(blockers);
	}
}

/*
 * Tells how far the processes are: how many tables, and how much of the bytes
 * of all, of those that are read a part by the rows that are expected.
 */
static void
tell_progress(Progress *progress, const ParityRun *run)
{
	ExecutionContext context;
	Oid			types[1] = {INT8OID};
	Datum		values[1];
	double		done;
	char	   *position;

	values[0] = Int64GetDatum(run->order->run);
	du_context_enter(&context);
	SPI_connect();
	if (du_query("SELECT pg_catalog.format('%s of %s tables, %s of %s', count(*) FILTER (WHERE t.state = 'done'), count(*),"
				 "   pg_catalog.pg_size_pretty(sum(t.bytes * p.part)::pg_catalog.int8),"
				 "   pg_catalog.pg_size_pretty(sum(t.bytes))),"
				 " coalesce(sum(t.bytes * p.part) / nullif(sum(t.bytes), 0), 0)::pg_catalog.float8"
				 " FROM documentdb_upgrade.parity_tables t, LATERAL (SELECT CASE WHEN t.state = 'done' THEN 1"
				 "   WHEN t.estimate > 0 THEN least(0.99, t.row_count::pg_catalog.numeric / t.estimate) ELSE 0 END) AS p(part)"
				 " WHERE t.run = $1 HAVING count(*) > 0", 1, types, values) == 1)
	{
		position = du_query_text(0, 1);
		done = du_query_double(0, 2);
	}
	else
	{
		position = pstrdup("listing what there is");
		done = 0;
	}
	du_progress_tell(progress, position, done);
	SPI_finish();
	du_context_leave(&context);
}

static void
await_end(ParityRun *run)
{
	Progress	progress;
	ClockMs		look = du_clock_ms() + LOOK_INTERVAL_MS;

	du_progress_start(&progress, "comparison");
	while (!have_ended(run))
	{
		long		left = du_clock_left(look);

		if (!du_parity_order_is_over(run->order))
			check_losses(run);
		if (left <= 0)
		{
			check_locks(run);
			if (du_progress_is_due(&progress))
				tell_progress(&progress, run);
			look = du_clock_ms() + LOOK_INTERVAL_MS;
			continue;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Has the processes carry the order out, and takes care that they end.
 */
static void
carry_out(ParityRun *run, dsm_segment *segment, int wanted)
{
	StatementOutcome problem = {0};

	PG_ENSURE_ERROR_CLEANUP(end_processes, PointerGetDatum(run));
	{
		start(run, segment, wanted);
		await_end(run);
		du_progress_end();
	}
	PG_END_ENSURE_ERROR_CLEANUP(end_processes, PointerGetDatum(run));

	if (du_parity_order_get_problem(run->order, &problem))
		du_outcome_raise(&problem);
	check_losses(run);
}

/*
 * run_parity(options jsonb, conninfo text) returns bigint
 */
Datum
documentdb_upgrade_run_parity(PG_FUNCTION_ARGS)
{
	ParityRun	run = {0};
	Jsonb	   *options;
	char	   *conninfo;
	dsm_segment *segment;
	int			workers;
	int64		id;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("options must not be null")));
	options = PG_GETARG_JSONB_P(0);
	conninfo = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	check_transaction();
	workers = count_workers(options);
	segment = write_order(options, conninfo);

	run.order = dsm_segment_address(segment);
	carry_out(&run, segment, workers);
	id = run.order->run;
	dsm_detach(segment);
	PG_RETURN_INT64(id);
}
