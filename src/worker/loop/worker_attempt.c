/*-------------------------------------------------------------------------
 *
 * worker_attempt.c
 *	  What the worker makes of attempts: when the next one, or none.
 *
 * A failure whose cause may pass by itself is retried with an exponential
 * backoff with jitter; after five in a row one warning names who is in the way,
 * and the pace drops to retry_max.  Any other failure is final until the target,
 * the files or the mind of a human changes: no error every ten seconds for
 * ever.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/loop/internal.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "finalize/finalize.h"
#include "plan/plan.h"
#include "processes/processes.h"
#include "status/status.h"

#define FAILURES_BEFORE_WARNING 5

static void
forget(Worker *worker)
{
	worker->facts.gave_up = false;
	worker->facts.failures = 0;
	worker->facts.next_retry = 0;
	worker->facts.last_error[0] = '\0';
	worker->failures.target[0] = '\0';
	worker->failures.fingerprint[0] = '\0';
}

/* How long to wait after that many failures in a row, in milliseconds. */
static int
backoff(int64 failures)
{
	double		wait = du_guc_retry_min;

	if (failures >= FAILURES_BEFORE_WARNING)
		wait = du_guc_retry_max;
	else
		wait *= (int64) 1 << (failures - 1);
	wait = Min(wait, du_guc_retry_max);
	return (int) (wait * (0.5 + pg_prng_double(&pg_global_prng_state) / 2));
}

/* The wait begins with the failure, which may be an earlier worker's. */
static void
try_later(Worker *worker, TimestampTz failed_at)
{
	long		passed = TimestampDifferenceMilliseconds(failed_at, GetCurrentTimestamp());

	worker->facts.next_retry = du_clock_ms() + Max(backoff(worker->facts.failures) - passed, 0);
}

/*
 * What a failure of this kind means for the future.
 */
static void
remember(Worker *worker, bool final, const char *target, const char *fingerprint,
		 const char *message, TimestampTz at)
{
	WorkerFacts *facts = &worker->facts;

	strlcpy(worker->failures.target, target, sizeof(worker->failures.target));
	strlcpy(worker->failures.fingerprint, fingerprint, sizeof(worker->failures.fingerprint));
	du_shared_copy_text(facts->last_error, message);
	facts->gave_up = final;
	facts->next_retry = 0;
	if (!final)
		try_later(worker, at);
}

/*
 * Takes up what history says of earlier failures; once in a worker's life with
 * one history.
 */
void
du_worker_recall(Worker *worker, const Assessment *assessment)
{
	FailureMemory memory;

	if (worker->failures.recalled)
		return;
	forget(worker);
	if (du_shared_exists())
		worker->failures.retries_seen = du_shared_retries_asked();

	worker->failures.alter_first |= du_history_library_refuses(du_assessment_main(assessment)->name);
	du_history_recall_failures(du_assessment_main(assessment)->name, &memory);
	worker->failures.recalled = true;
	if (memory.message == NULL || memory.target == NULL)
		return;
	worker->facts.failures = memory.count;
	remember(worker, !du_history_heals(memory.cause),
			 memory.target, memory.fingerprint ? memory.fingerprint : "",
			 memory.message, memory.at);
}

/*
 * Forgets failures that say nothing about the present: another target,
 * other files, or the target reached.
 */
void
du_worker_forget_if_changed(Worker *worker, const Assessment *assessment)
{
	const WorkerFailures *failures = &worker->failures;

	if (assessment->decided.decision != DECISION_FINALIZE)
		worker->facts.next_retry = 0;
	if (failures->target[0] == '\0')
		return;
	if (assessment->decided.decision != DECISION_FINALIZE ||
		strcmp(assessment->decided.target, failures->target) != 0 ||
		(worker->facts.gave_up && failures->fingerprint[0] != '\0' &&
		 strcmp(du_assessment_fingerprint(assessment), failures->fingerprint) != 0))
		forget(worker);
}

/*
 * Forgets failures when retry() was called.
 */
void
du_worker_take_retries(Worker *worker)
{
	uint64		asked;

	if (!du_shared_exists() || !worker->failures.recalled)
		return;
	asked = du_shared_retries_asked();
	if (asked == worker->failures.retries_seen)
		return;
	worker->failures.retries_seen = asked;
	forget(worker);
}

/* Warns once that an attempt keeps failing. */
static void
warn_of_failures(Worker *worker, const AttemptOutcome *outcome)
{
	if (worker->facts.failures != FAILURES_BEFORE_WARNING)
		return;
	ereport(WARNING,
			(errcode(outcome->sqlstate ? outcome->sqlstate : ERRCODE_WARNING),
			 errmsg("finalize of extension \"%s\" to \"%s\" has failed %d times in a row: %s",
					worker->order.extension, worker->order.target,
					worker->facts.failures, outcome->message),
			 outcome->detail[0] ? errdetail_internal("%s", outcome->detail) : 0,
			 errhint("It is tried again at the pace of documentdb_upgrade.retry_max.")));
}

/*
 * Takes an outcome into the worker's state.
 */
static void
take_outcome(Worker *worker, const AttemptOutcome *outcome)
{
	WorkerFacts *facts = &worker->facts;
	const char *message = outcome->message[0] ? outcome->message :
	"the attempt's process ended without telling an outcome";
	bool		refused = outcome->cause == CAUSE_LIBRARY;

	/* What is refused in every form there is does not heal. */
	bool		final = !du_history_heals(outcome->cause) || (refused && worker->order.alter_first);

	if (outcome->result == ATTEMPT_SUCCEEDED)
	{
		forget(worker);
		du_announce_succeeded(worker);
		return;
	}
	if (outcome->cause == CAUSE_HOLD)
	{
		facts->next_retry = du_clock_ms() + du_guc_retry_min;
		return;
	}
	if (refused && !worker->order.alter_first)
	{
		worker->failures.alter_first = true;
		ereport(LOG,
				(errmsg("an attempt at extension \"%s\" has to begin with the update: %s",
						worker->order.extension, message)));
		return;
	}
	facts->failures++;
	remember(worker, final, worker->order.target, worker->order.fingerprint,
			 message, GetCurrentTimestamp());
	if (!final)
		warn_of_failures(worker, outcome);
}

/*
 * Starts an attempt as ordered: in a process of its own, or in a single pass
 * in this one, which then is a fresh one as well; not fresh enough for one that
 * has to begin with the update.
 */
void
du_worker_start_attempt(Worker *worker)
{
	AttemptOutcome outcome = {0};

	worker->wants_attempt = false;
	if (!worker->once && !du_shared_take_turn())
		return;					/* whose turn it is wakes us when it ends */
	worker->facts.next_retry = 0;
	du_announce_started(worker);
	if (worker->once)
	{
		if (worker->order.alter_first)
		{
			(void) du_attempt_detach(&worker->order, &outcome);
			strlcpy(worker->facts.state, outcome.result == ATTEMPT_SUCCEEDED ? "verifying" : "failed",
					sizeof(worker->facts.state));
		}
		else
			du_attempt_carry_out(&worker->order, &outcome, NULL);
		take_outcome(worker, &outcome);
		return;
	}
	worker->attempt_runs = du_attempt_start(&worker->order);
	if (worker->attempt_runs)
		return;

	du_shared_end_turn();
	outcome.result = ATTEMPT_FAILED;
	outcome.sqlstate = ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
	strlcpy(outcome.message, "no background worker is free (max_worker_processes)",
			sizeof(outcome.message));
	take_outcome(worker, &outcome);
}

/*
 * Takes the outcome of an attempt that has ended.  After one that began with
 * the update this process, which knows the old version, makes room for another.
 */
void
du_worker_conclude_attempt(Worker *worker)
{
	AttemptOutcome outcome;

	worker->attempt_runs = false;
	du_shared_end_turn();
	du_attempt_outcome(&outcome);
	take_outcome(worker, &outcome);
	if (outcome.result == ATTEMPT_SUCCEEDED && worker->order.alter_first)
	{
		du_shared_want_restart();
		proc_exit(0);
	}
}
