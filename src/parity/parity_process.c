/*-------------------------------------------------------------------------
 *
 * parity_process.c
 *	  A process of a parity run.
 *
 * It asks the engine what to do, in a short transaction, does it here, on the
 * other server or on both at once, and answers with the next question.  What
 * statements raise is their outcome; what the engine itself raises ends this
 * process, after the engine was told.
 *
 * The first process leads: it holds the snapshot of the other server, from
 * before the run has a number until no other process works any more.
 *
 * A statement is under way on the other server while one runs here, but no
 * transaction is open here while the other server is waited for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "parity/internal.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"

#include "processes/processes.h"

#define LONGEST_NAP_MS	1000

PGDLLEXPORT void documentdb_upgrade_parity_main(Datum main_arg);

/* This process's part in a run. */
typedef struct Part
{
	ParityOrder *order;
	int			member;
	int64		run;			/* 0 before it is known */
	const RemoteApi *api;		/* NULL when there is no other server */
	RemoteSession *session;		/* for statements */
	RemoteSession *holder;		/* of the snapshot, the leader's alone */
} Part;

static Part part;

/*
 * Starts a process for a member of an order; false when none is to be had.
 * The caller's latch is set when it starts and when it ends.
 */
bool
du_parity_process_start(dsm_handle order, int member, BackgroundWorkerHandle **handle)
{
	BackgroundWorker process;

	du_process_describe(&process, "parity", "documentdb_upgrade_parity_main");
	process.bgw_start_time = BgWorkerStart_RecoveryFinished;
	process.bgw_main_arg = UInt32GetDatum(order);
	memcpy(process.bgw_extra, &member, sizeof(member));
	process.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&process, handle);
}

/*
 * However this process ends, nothing of it goes on elsewhere, and the others
 * know.
 */
static void
at_exit(int code, Datum arg)
{
	if (part.session != NULL)
		part.api->close(part.session);
	if (part.holder != NULL)
		part.api->close(part.holder);
	if (du_parity_order_get_state(part.order, part.member) == MEMBER_AT_WORK)
		du_parity_order_set_state(part.order, part.member, MEMBER_LOST);
}

/* Waits for the latch, and answers interrupts. */
static void
nap(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Loads what is needed for the other server; nothing is sent yet.
 */
static void
prepare_remote(void)
{
	RemoteRequest request = {0};
	StatementOutcome problem = {0};
	RemoteApiFunction function;
	RemoteTarget *target;
	const char *why = NULL;

	request.conninfo = du_parity_order_text(part.order, part.order->conninfo);
	if (request.conninfo == NULL)
		return;
	function = (RemoteApiFunction) du_process_worker_function("documentdb_upgrade_remote_api", &why);
	if (function == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot connect to another server: %s", why),
				 errhint("%s. Or compare checksums of table_checksums() by hand.",
						 du_process_library_help())));
	part.api = function();
	request.password_required = part.order->password_required;
	request.settings = du_parity_settings;
	target = part.api->parse(&request, &problem);
	if (target == NULL)
		du_outcome_raise(&problem);
	part.session = part.api->create(target);
	if (part.member == PARITY_LEADER)
		part.holder = part.api->create(target);
}

/*
 * Begins the run, for all.
 */
static void
lead(void)
{
	StatementOutcome problem = {0};
	char	   *snapshot = NULL;

	if (part.holder != NULL)
	{
		pgstat_report_activity(STATE_RUNNING, "connecting to the other server");
		snapshot = part.api->hold_snapshot(part.holder, &problem);
		if (snapshot == NULL)
			du_outcome_raise(&problem);
	}
	part.run = du_parity_begin(du_parity_order_text(part.order, part.order->options),
							   part.order->role, part.order->caller->pid);
	du_parity_order_publish(part.order, part.run, snapshot);
}

/*
 * Waits until the leader has begun; false when it will not.
 */
static bool
follow(void)
{
	while (!du_parity_order_is_published(part.order))
	{
		if (du_parity_order_is_over(part.order))
			return false;
		nap(LONGEST_NAP_MS);
	}
	part.run = part.order->run;
	return true;
}

/* Sees whether the snapshot of the other server is still held. */
static void
look_after_snapshot(void)
{
	if (part.holder != NULL && part.api->is_lost(part.holder))
		du_parity_order_lose_snapshot(part.order);
}

/*
 * Has a statement begin on the other server; false, with the outcome, when it
 * cannot.
 */
static bool
send_remote(const char *statement, bool exported, StatementOutcome *outcome)
{
	if (part.api == NULL)
	{
		du_outcome_fail(outcome, ERRCODE_CONNECTION_DOES_NOT_EXIST, "there is no other server in this run", NULL, NULL);
		return false;
	}
	look_after_snapshot();
	if (exported && du_parity_order_has_lost_snapshot(part.order))
	{
		du_outcome_fail(outcome, ERRCODE_CONNECTION_FAILURE, "the remote snapshot is lost", NULL, NULL);
		return false;
	}
	part.api->send(part.session, statement, exported ? part.order->remote_snapshot : NULL);
	return true;
}

static void
receive_remote(StatementOutcome *outcome)
{
	part.api->receive(part.session, outcome);
	if (!part.api->missed_snapshot(part.session))
		return;
	du_parity_order_lose_snapshot(part.order);
	du_outcome_fail(outcome, ERRCODE_CONNECTION_FAILURE, "the remote snapshot is lost", outcome->message, NULL);
}

/*
 * Carries a step out, here and there at the same time; gives back the answer.
 */
static char *
carry_out(const ParityStep *step, bool exported)
{
	StatementOutcome local = {0};
	StatementOutcome remote = {0};
	bool		sent = false;
	StringInfoData answer;

	pgstat_report_activity(STATE_RUNNING, step->remote != NULL ? step->remote : step->local);
	if (step->remote != NULL)
		sent = send_remote(step->remote, exported, &remote);
	if (step->local != NULL)
		du_parity_run(part.order, step->local, exported, &local);
	if (sent)
	{
		pgstat_report_activity(STATE_RUNNING, step->remote);
		receive_remote(&remote);
	}
	pgstat_report_activity(STATE_IDLE, NULL);

	initStringInfo(&answer);
	appendStringInfoChar(&answer, '{');
	du_outcome_check(&local);
	du_outcome_check(&remote);
	if (step->local != NULL)
		du_outcome_write(&answer, "local", &local);
	if (step->remote != NULL)
		du_outcome_write(&answer, "remote", &remote);
	appendStringInfoChar(&answer, '}');
	return answer.data;
}

static void
wait_as_told(long ms)
{
	ClockMs		end = du_clock_ms() + ms;
	long		left;

	while ((left = du_clock_left(end)) > 0 &&
		   !du_parity_order_is_over(part.order))
		nap(Min(left, LONGEST_NAP_MS));
}

/*
 * Works until the engine says that it is done.  Answers and steps live in
 * turns in one of two contexts, so neither grows.
 */
static void
work(void)
{
	MemoryContext contexts[2];
	int			turn = 0;
	char	   *answer = NULL;

	for (int i = 0; i < 2; i++)
		contexts[i] = AllocSetContextCreate(TopMemoryContext, "documentdb_upgrade parity", ALLOCSET_DEFAULT_SIZES);
	while (!du_parity_order_is_over(part.order))
	{
		ParityStep	step = {0};

		turn = 1 - turn;
		MemoryContextReset(contexts[turn]);
		MemoryContextSwitchTo(contexts[turn]);
		CHECK_FOR_INTERRUPTS();
		look_after_snapshot();

		du_parity_next(part.run, part.member, answer, &step);
		answer = NULL;
		if (strcmp(step.action, "run") == 0 || strcmp(step.action, "run_now") == 0)
			answer = carry_out(&step, strcmp(step.action, "run") == 0);
		else if (strcmp(step.action, "wait") == 0)
			wait_as_told(step.wait_ms);
		else if (strcmp(step.action, "done") == 0)
			return;
		else
			elog(ERROR, "unknown parity step \"%s\"", step.action);
	}
}

/*
 * Tells of the error that is being handled: the engine, when there is a run,
 * and if that fails too the caller.
 */
static void
tell_error(void)
{
	MemoryContext context;
	StatementOutcome problem = {0};
	StringInfoData error;

	context = MemoryContextSwitchTo(TopMemoryContext);
	du_outcome_take_error(&problem);
	AbortCurrentTransaction();
	MemoryContextSwitchTo(TopMemoryContext);
	if (part.run == 0)
	{
		du_parity_order_fail(part.order, &problem);
		MemoryContextSwitchTo(context);
		return;
	}

	initStringInfo(&error);
	du_outcome_write_error(&error, &problem);
	PG_TRY();
	{
		du_parity_fail(part.run, error.data);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(TopMemoryContext);
		FlushErrorState();
		AbortCurrentTransaction();
		du_parity_order_fail(part.order, &problem);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
}

/* Keeps the snapshot for the others. */
static void
outlast_others(void)
{
	while (!du_parity_order_others_ended(part.order, part.member))
		nap(LONGEST_NAP_MS);
}

/*
 * Entry point of the process; the argument is the order's handle, and the
 * number of the member is in bgw_extra.
 */
void
documentdb_upgrade_parity_main(Datum main_arg)
{
	/* As in an ordinary session: a shutdown ends it with an error. */
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	memcpy(&part.member, MyBgworkerEntry->bgw_extra, sizeof(part.member));
	part.order = du_parity_order_attach(DatumGetUInt32(main_arg), part.member);
	if (part.order == NULL)
		proc_exit(0);			/* the caller has gone already */

	/* Called after the server's own, which ends a transaction. */
	before_shmem_exit(at_exit, 0);
	BackgroundWorkerInitializeConnectionByOid(part.order->database, InvalidOid, 0);
	du_parity_pin_settings();

	PG_TRY();
	{
		if (!du_parity_order_is_over(part.order))
			prepare_remote();
		if (part.member == PARITY_LEADER && !du_parity_order_is_over(part.order))
			lead();
		if (follow())
			work();
	}
	PG_CATCH();
	{
		tell_error();
	}
	PG_END_TRY();

	if (part.member == PARITY_LEADER)
		outlast_others();
	du_parity_order_set_state(part.order, part.member, MEMBER_THROUGH);
	proc_exit(0);
}
