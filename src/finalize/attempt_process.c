/*-------------------------------------------------------------------------
 *
 * attempt_process.c
 *	  One attempt in a process of its own, ordered by the worker.
 *
 * The order and its outcome pass through shared memory.  A fresh process has
 * no leftovers of earlier attempts, and the worker stays free to watch, to
 * report and to cancel.  An outcome is a value with the cause that history has
 * too, so that what follows is the same before and after a restart.  Whoever
 * reads it looks at the catalogue all the same: a process can end between
 * its commit and its last word.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "base/base.h"
#include "processes/processes.h"

#define LONGEST_LOCK_WAIT_MS 1000

typedef struct Exchange
{
	AttemptOrder order;
	AttemptOutcome outcome;
} Exchange;

PGDLLEXPORT void documentdb_upgrade_attempt_main(Datum main_arg);

/* Of the process started last, NULL when another worker has started it. */
static BackgroundWorkerHandle *started = NULL;

/* That of the worker of a managed set, or NULL; the lock must be held. */
static Exchange *
exchange(Oid database, const char *set)
{
	StaticAssertStmt(sizeof(Exchange) <= SHARED_EXCHANGE_SIZE, "the exchange must fit");
	return du_shared_exchange(database, set);
}

/*
 * Starts a process for an order; false when no process can be had.  One at a
 * time: the caller makes sure that none runs.  The caller's latch is set when
 * the process starts and when it ends.
 */
bool
du_attempt_start(const AttemptOrder *order)
{
	BackgroundWorker worker;
	MemoryContext context;
	Exchange   *own;
	bool		registered;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	own = exchange(MyDatabaseId, du_main_selected());
	if (own != NULL)
	{
		memset(own, 0, sizeof(Exchange));
		own->order = *order;
	}
	LWLockRelease(du_shared_lock());
	if (own == NULL)
		return false;

	du_process_describe(&worker, "attempt", "documentdb_upgrade_attempt_main");
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId);
	strlcpy(worker.bgw_extra, du_main_selected(), sizeof(worker.bgw_extra));
	worker.bgw_notify_pid = MyProcPid;

	if (started != NULL)
		pfree(started);
	started = NULL;
	context = MemoryContextSwitchTo(TopMemoryContext);
	registered = RegisterDynamicBackgroundWorker(&worker, &started);
	MemoryContextSwitchTo(context);
	return registered;
}

/*
 * True while an attempt of the worker runs or is about to, also one that an
 * earlier worker has started.
 */
bool
du_attempt_is_running(void)
{
	pid_t		pid;

	if (started != NULL)
	{
		BgwHandleStatus status = GetBackgroundWorkerPid(started, &pid);

		if (status != BGWH_STOPPED && status != BGWH_POSTMASTER_DIED)
			return true;
		pfree(started);
		started = NULL;
	}
	return du_running_worker_attempt(MyDatabaseId, du_main_selected()) != 0;
}

/*
 * The last order.
 */
void
du_attempt_order(AttemptOrder *order)
{
	Exchange   *own;

	memset(order, 0, sizeof(AttemptOrder));
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	own = exchange(MyDatabaseId, du_main_selected());
	if (own != NULL)
		*order = own->order;
	LWLockRelease(du_shared_lock());
}

/*
 * The outcome of the last order, ATTEMPT_UNKNOWN while there is none.
 */
void
du_attempt_outcome(AttemptOutcome *outcome)
{
	Exchange   *own;

	memset(outcome, 0, sizeof(AttemptOutcome));
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	own = exchange(MyDatabaseId, du_main_selected());
	if (own != NULL)
		*outcome = own->outcome;
	LWLockRelease(du_shared_lock());
}

/*
 * What is said of an order that this process's settings do not fit: they are
 * read when a process connects, so they may be newer than the worker's.
 */
static bool
fits_settings(const AttemptOrder *order, AttemptOutcome *outcome)
{
	if (strcmp(order->extension, du_main_extension()) == 0 &&
		(du_main_selected()[0] == '\0' || du_main_is_further(du_main_selected())))
		return true;
	outcome->result = ATTEMPT_FAILED;
	outcome->cause = CAUSE_GUARD;
	outcome->sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
	if (du_main_selected()[0] != '\0')
		snprintf(outcome->message, sizeof(outcome->message),
				 "settings have changed: \"%s\" is not one of several main extensions any more", order->extension);
	else
		snprintf(outcome->message, sizeof(outcome->message),
				 "settings have changed: the main extension is \"%s\" now", du_main_extension());
	return false;
}

/*
 * Finalizes as ordered, in the current transaction; gives back the row of
 * history.
 */
static Datum
finalize(const AttemptOrder *order, AttemptOutcome *outcome)
{
	FinalizeRequest request = {0};
	bool		isnull;
	Datum		row;

	request.target = order->target[0] ? order->target : NULL;
	request.from = order->from[0] ? order->from : NULL;
	request.expected_fingerprint = order->fingerprint[0] ? order->fingerprint : NULL;
	if (!SplitIdentifierString(pstrdup(order->skip_guards), ',', &request.skip_guards))
		elog(ERROR, "invalid names of guards: \"%s\"", order->skip_guards);
	request.alter_first = order->alter_first;
	request.actor = order->actor;
	request.role_name = order->role_name[0] ? order->role_name : NULL;
	request.resource_uid = order->resource_uid[0] ? order->resource_uid : NULL;
	request.resource_generation = order->resource_generation;
	request.cause = &outcome->cause;
	row = du_finalize(&request, &isnull);
	if (isnull)
		elog(ERROR, "a history row was expected");
	return row;
}

/* Makes an outcome of an error. */
static void
take_error(AttemptOutcome *outcome, const ErrorData *edata)
{
	outcome->result = ATTEMPT_FAILED;
	outcome->sqlstate = edata->sqlerrcode;
	du_shared_copy_text(outcome->message, edata->message);
	du_shared_copy_text(outcome->detail, edata->detail ? edata->detail : "");
	du_shared_copy_text(outcome->hint, edata->hint ? edata->hint : "");
}

/* Stores a record in this process's own time, between two transactions. */
static void
record(const char *json)
{
	StartTransactionCommand();
	du_recorder_record_now(json);
	CommitTransactionCommand();
}

/* Copies a row that its transaction has made, with all that belongs to it. */
static Datum
copy_row(Datum row, MemoryContext memory)
{
	MemoryContext context = MemoryContextSwitchTo(memory);
	Datum		copy = datumCopy(row, false, -1);

	MemoryContextSwitchTo(context);
	return copy;
}

/*
 * Carries an order out in a transaction of its own, and tells how it went; a
 * success gives its row of history to *row, in the current memory context,
 * unless row is NULL.  This process must run no transaction.  Raises nothing
 * that the attempt raises, except what ends the process.
 */
void
du_attempt_carry_out(const AttemptOrder *order, AttemptOutcome *outcome, Datum *row)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool committing = false;
	Oid			own_role;
	int			own_security;

	memset(outcome, 0, sizeof(AttemptOutcome));
	if (!fits_settings(order, outcome))
		return;

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		pgstat_report_activity(STATE_RUNNING, "upgrading the schema");
		outcome->cause = CAUSE_LOCK;
		(void) du_own_relations_lock(LONGEST_LOCK_WAIT_MS);
		PushActiveSnapshot(GetTransactionSnapshot());
		GetUserIdAndSecContext(&own_role, &own_security);
		if (OidIsValid(order->caller))
			SetUserIdAndSecContext(order->caller, SECURITY_LOCAL_USERID_CHANGE);
		if (row != NULL)
			*row = copy_row(finalize(order, outcome), context);
		else
			(void) finalize(order, outcome);
		PopActiveSnapshot();
		committing = true;

		/* What is deferred to the commit runs with the caller's rights too. */
		CommitTransactionCommand();
		SetUserIdAndSecContext(own_role, own_security);
		outcome->result = ATTEMPT_SUCCEEDED;
	}
	PG_CATCH();
	{
		ErrorData  *edata;
		char	   *json = NULL;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		take_error(outcome, edata);
		if (committing)
		{
			/* What fails now, the scripts have left for the commit. */
			outcome->cause = du_attempt_cause_of(edata, CAUSE_SCRIPT);
			json = du_recorder_take_newest();
			if (json != NULL)
				json = du_history_json_failed(json, outcome->cause, edata);
		}
		AbortCurrentTransaction();
		if (json != NULL)
			record(json);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * Settings that decide about the transaction itself, whatever this database
 * has as defaults.
 */
void
du_attempt_pin_settings(void)
{
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);

	/* 17 ends a session whose transaction lasts longer than this. */
#if PG_VERSION_NUM >= 170000
	SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
#endif
}

/*
 * Entry point of the process.
 */
void
documentdb_upgrade_attempt_main(Datum main_arg)
{
	AttemptOrder order;
	AttemptOutcome outcome;
	Oid			database = DatumGetObjectId(main_arg);
	Exchange   *shared;

	/* As in an ordinary session: a shutdown ends it with an error. */
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	du_main_select(MyBgworkerEntry->bgw_extra);
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	shared = exchange(database, du_main_selected());
	if (shared != NULL)
		order = shared->order;
	LWLockRelease(du_shared_lock());
	if (shared == NULL)
		proc_exit(0);			/* the database is gone */

	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	du_running_announce();
	du_attempt_pin_settings();

	du_attempt_carry_out(&order, &outcome, NULL);

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	shared = exchange(database, du_main_selected());
	if (shared != NULL)
		shared->outcome = outcome;
	LWLockRelease(du_shared_lock());

	/* The worker is woken when the slot is free. */
	proc_exit(0);
}
