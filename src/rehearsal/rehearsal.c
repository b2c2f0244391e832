/*-------------------------------------------------------------------------
 *
 * rehearsal.c
 *	  Runs a real upgrade and takes it back.
 *
 * The same stages and the same steps as a finalize, in a subtransaction that
 * is always rolled back, so the caller's transaction goes on whatever happens
 * in it.  What the steps did is read before the rollback; what the rollback
 * does not bring back, the sequences, after it.
 *
 * A rehearsal that fails is no error: its report is what was asked for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "finalize/finalize.h"
#include "guards/guards.h"
#include "plan/plan.h"

#define ROW_COLUMNS \
	"extension, from_version, to_version, extensions, outcome, scratch, role_name, client," \
	" started_at, finished_at, fingerprint, steps_run, lock_entries, wal_bytes," \
	" risk, report, sqlstate, message, detail, hint, context, script, script_line"

typedef struct Rehearsal
{
	Attempt		attempt;
	GuardResults *guards;
	int64		locks_named;	/* entries that the scripts were known to take */
	List	   *sequences;		/* as they stood before */
	StringInfoData steps;		/* JSON objects */
	OutsideFindings findings;
	const char *members;		/* JSON array of what the steps left, or NULL */
	StepRisk	worst;
	int			nsteps;			/* that ran to their end */
	int			lock_entries;
	uint64		wal_bytes;
	const char *checks;			/* how far the checks got */
	const char *deferred;		/* what became of deferred constraints */
} Rehearsal;

static void
before_step(void *arg, const PlanStep *step)
{
	du_effects_begin_step();
}

static void
after_step(void *arg, const PlanStep *step, double ms)
{
	Rehearsal  *rehearsal = arg;
	StepEffects *effects = du_effects_end_step(step);
	StepRisk	risk = du_risk_of(effects);

	const char *extension = rehearsal->attempt.facts->extensions[step->extension].name;

	du_rehearsal_write_step(&rehearsal->steps, extension, step, ms, effects, &risk);
	du_findings_add(&rehearsal->findings, extension, step, effects);
	if (rehearsal->nsteps == 0 || risk.rank > rehearsal->worst.rank)
		rehearsal->worst = risk;
	rehearsal->nsteps++;
	rehearsal->lock_entries = effects->lock_entries;
	rehearsal->wal_bytes += effects->wal_bytes;
}

/*
 * The guards that speak against a rehearsal too: those that name what cannot
 * work.
 */
static GuardResults *
objections_to_rehearsal(const GuardResults *guards)
{
	GuardResults *objections = palloc0(sizeof(GuardResults));

	objections->results = palloc0(guards->nresults * sizeof(GuardResult));
	for (int i = 0; i < guards->nresults; i++)
	{
		const GuardResult *result = &guards->results[i];

		if (result->status == GUARD_FAIL && result->hard)
			objections->results[objections->nresults++] = *result;
	}
	objections->nfailed = objections->nresults;
	return objections;
}

/* Looks and decides under the locks of the extensions. */
static bool
prepare(Rehearsal *rehearsal)
{
	Attempt    *attempt = &rehearsal->attempt;
	GuardInput	input;
	GuardResults *objections;

	du_stage_lock_and_look(attempt);
	attempt->record.fingerprint = du_fingerprint(attempt->facts);
	if (du_stage_decide(attempt).decision == DECISION_NONE)
		return false;
	du_plan_read_scripts(attempt->plan, attempt->facts);
	input = du_guards_gather(attempt->facts, attempt->plan, attempt->caller, true);
	attempt->server_facts = input.server_facts;
	rehearsal->locks_named = input.locks->named;
	du_lock_budget_start(du_lock_count_budget(input.locks));
	rehearsal->guards = du_guards_evaluate(&input, NIL);
	objections = objections_to_rehearsal(rehearsal->guards);
	if (objections->nfailed > 0)
		du_stage_refuse(attempt, objections, "rehearse an update of");
	return true;
}

static void
fire_deferred(void *arg)
{
	du_execute("SET CONSTRAINTS ALL IMMEDIATE");
}

/*
 * Fires what is deferred to the commit, which else would never be tried.  Not
 * before the steps: a script may count on it, or fail because of it.  Where
 * the caller's own work does not meet its constraints yet, nothing can be
 * said about that of the scripts.
 */
static void
try_deferred(Rehearsal *rehearsal, const ErrorData *before)
{
	if (before != NULL)
	{
		rehearsal->deferred = psprintf("not tried, because the transaction did not meet them before: %s",
									   before->message);
		return;
	}
	fire_deferred(NULL);
	rehearsal->deferred = "met";
}

/* Runs the steps and the checks, and looks on. */
static void
run_steps(Rehearsal *rehearsal)
{
	Attempt    *attempt = &rehearsal->attempt;
	StepObserver observer = {before_step, after_step, rehearsal};
	ErrorData  *deferred;

	attempt->stage = STAGE_LOCKING_RELATIONS;
	du_settings_pin(attempt->facts);
	rehearsal->sequences = du_sequences_read();
	du_effects_start(attempt->facts);
	du_locks_take_relations(du_plan_locks(attempt->plan));
	du_effects_take_early_locks();

	deferred = du_subtransaction_run(fire_deferred, NULL, SUBTRANSACTION_ROLL_BACK);
	if (deferred != NULL && deferred->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(deferred);
	attempt->stage = STAGE_RUNNING;
	rehearsal->checks = "no check was met";
	du_checks_run("pre");
	rehearsal->checks = "the pre-checks were met";
	du_steps_start(&attempt->steps, attempt->facts, attempt->plan, attempt->caller);
	attempt->steps.observer = &observer;
	du_own_scripts_begin();
	du_steps_run(&attempt->steps);
	du_own_scripts_end();
	du_checks_run("post");
	rehearsal->members = du_fresh_list_members(attempt->facts);
	try_deferred(rehearsal, deferred);
	rehearsal->checks = "all checks were met";
}

/* The work of the subtransaction. */
static void
rehearse_within_limits(void *arg)
{
	Rehearsal  *rehearsal = arg;
	MemoryContext context = CurrentMemoryContext;

	du_stage_start_limits(&rehearsal->attempt);
	SPI_connect();
	MemoryContextSwitchTo(context);

	if (prepare(rehearsal))
		run_steps(rehearsal);

	SPI_finish();
	MemoryContextSwitchTo(context);
	du_limits_stop();
	du_limits_check();
}

/* Adds the step that failed, and what came after it and did not run. */
static void
write_missing_steps(Rehearsal *rehearsal)
{
	const Attempt *attempt = &rehearsal->attempt;
	StepRisk	unknown = du_risk_unknown();

	if (attempt->record.message == NULL)
		return;
	for (int i = rehearsal->nsteps; i < attempt->plan->nsteps; i++)
	{
		const PlanStep *step = &attempt->plan->steps[i];

		du_rehearsal_write_step(&rehearsal->steps, attempt->facts->extensions[step->extension].name,
							 step, 0, NULL, &unknown);
	}
	if (attempt->plan->nsteps == 0 || rehearsal->nsteps < attempt->plan->nsteps)
		rehearsal->worst = unknown;
}

static char *
build_report(Rehearsal *rehearsal)
{
	StringInfoData buf;

	initStringInfo(&buf);
	write_missing_steps(rehearsal);
	du_write_open(&buf, NULL, '{');
	du_write_open(&buf, "steps", '[');
	appendStringInfoString(&buf, rehearsal->steps.data);
	du_write_close(&buf, ']');
	du_findings_write(&rehearsal->findings, &buf);
	du_rehearsal_write_guards(&buf, rehearsal->guards);
	du_rehearsal_write_sequences(&buf, rehearsal->sequences,
							  rehearsal->sequences != NIL ? du_sequences_read() : NIL);
	du_write_text(&buf, "checks", rehearsal->checks);
	du_write_text(&buf, "deferred", rehearsal->deferred);
	du_write_int(&buf, "locks_named", rehearsal->locks_named);
	if (rehearsal->members != NULL)
	{
		du_write_key(&buf, "members");
		appendStringInfoString(&buf, rehearsal->members);
	}
	du_write_close(&buf, '}');
	return buf.data;
}

/* The row of table rehearsals, as a JSON object. */
static char *
build_row(Rehearsal *rehearsal)
{
	AttemptRecord *record = &rehearsal->attempt.record;
	StringInfoData buf;
	char	   *report = build_report(rehearsal);

	record->finished_at = GetCurrentTimestamp();
	record->steps = NULL;
	initStringInfo(&buf);
	appendStringInfoString(&buf, du_history_json(record));
	buf.data[--buf.len] = '\0'; /* its closing bracket */
	du_write_key(&buf, "scratch");
	appendStringInfoString(&buf, "false");
	du_write_int(&buf, "steps_run", rehearsal->nsteps);
	if (rehearsal->attempt.stage >= STAGE_LOCKING_RELATIONS)
		rehearsal->lock_entries = Max(rehearsal->lock_entries, du_lock_budget_peak());
	du_write_int(&buf, "lock_entries", rehearsal->lock_entries);
	du_write_int(&buf, "wal_bytes", rehearsal->wal_bytes);
	du_write_text(&buf, "risk", rehearsal->worst.name);
	du_write_key(&buf, "report");
	appendStringInfoString(&buf, report);
	du_write_close(&buf, '}');
	return buf.data;
}

/*
 * Stores a row of table rehearsals, a JSON object with its columns, and gives
 * it back in the current memory context.  SPI must be connected.
 */
Datum
du_rehearsal_store(const char *json, bool *isnull)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	Datum		row;

	values[0] = CStringGetTextDatum(json);
	if (du_query("INSERT INTO documentdb_upgrade.rehearsals AS r (" ROW_COLUMNS ")"
				 " SELECT " ROW_COLUMNS
				 " FROM pg_catalog.jsonb_populate_record("
				 "   NULL::documentdb_upgrade.rehearsals, $1::pg_catalog.jsonb)"
				 " RETURNING r", 1, types, values) != 1)
		elog(ERROR, "a row of rehearsals was expected");
	row = du_query_datum(0, 1, isnull);
	row = datumCopy(row, false, -1);
	SPI_freetuptable(SPI_tuptable);
	return row;
}

/*
 * Rehearses an update of the managed set to the target (NULL: the binary
 * version) and gives back the row of table rehearsals, in the current memory
 * context.  Takes the locks of the upgrade until it has been rolled back.
 * Raises 25001, 25006 and 55006 as a finalize does, 57014 when somebody
 * cancels; what goes wrong in the upgrade is in the row.
 */
Datum
du_rehearse(const char *target, bool *isnull)
{
	MemoryContext context = CurrentMemoryContext;
	FinalizeRequest request = {0};
	ExecutionContext execution;
	Rehearsal	rehearsal = {0};
	Attempt    *attempt = &rehearsal.attempt;
	ErrorData  *error;
	Datum		row;

	du_stage_check_transaction("rehearse");
	ereport(NOTICE,
			(errmsg("the rehearsal takes the real locks of the upgrade for a moment"),
			 errdetail("It waits for them %d ms at most, and gives them back at its end.",
					   du_guc_lock_timeout)));

	request.target = target;
	request.actor = "rehearsal";
	attempt->request = &request;
	attempt->caller = GetUserId();
	attempt->record.actor = request.actor;
	attempt->record.started_at = GetCurrentTimestamp();
	attempt->record.outcome = "passed";
	attempt->steps.current = -1;
	initStringInfo(&rehearsal.steps);
	du_findings_start(&rehearsal.findings);

	du_context_enter(&execution);
	SPI_connect();
	MemoryContextSwitchTo(context);

	du_stage_look(attempt);
	du_stage_set_running(true);
	error = du_subtransaction_run(rehearse_within_limits, &rehearsal, SUBTRANSACTION_ROLL_BACK);
	du_stage_set_running(false);
	du_limits_stop();
	du_trace_stop();
	du_effects_stop();

	/* Standbys keep the locks until they hear of the rollback. */
	XLogFlush(XactLastRecEnd);
	if (error != NULL)
	{
		du_attempt_explain(attempt, error);
		if (strcmp(attempt->record.outcome, "cancelled") == 0)
			ReThrowError(error);
	}
	row = du_rehearsal_store(build_row(&rehearsal), isnull);

	SPI_finish();
	du_context_leave(&execution);
	MemoryContextSwitchTo(context);
	return row;
}
