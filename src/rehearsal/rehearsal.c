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
 * Where a library refuses the update in a session that has used the old
 * version, a process of its own rehearses (detached_rehearsal.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
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
	const Cluster *cluster;		/* that the steps are carried through, or NULL */
	const char *nodes;			/* JSON array of what they did there, or NULL */
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
	const Rehearsal *rehearsal = arg;

	du_effects_begin_step(!rehearsal->attempt.alter_first);
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

/* The guards of both, in this order. */
static GuardResults *
join_guards(const GuardResults *a, const GuardResults *b)
{
	GuardResults *all = palloc0(sizeof(GuardResults));

	all->nresults = a->nresults + b->nresults;
	all->results = palloc(all->nresults * sizeof(GuardResult));
	memcpy(all->results, a->results, a->nresults * sizeof(GuardResult));
	memcpy(all->results + a->nresults, b->results, b->nresults * sizeof(GuardResult));
	all->nfailed = a->nfailed + b->nfailed;
	return all;
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
	if (attempt->alter_first)
	{
		input = du_guards_look(attempt->facts, attempt->plan, attempt->caller);
		rehearsal->guards = du_guards_evaluate_first(&input, NIL);
	}
	else
	{
		input = du_guards_gather(attempt->facts, attempt->plan, attempt->caller, true, GUARD_NODES_ALL, 0);
		rehearsal->guards = du_guards_evaluate(&input, NIL);
	}
	attempt->server_facts = input.server_facts;
	rehearsal->cluster = attempt->alter_first ? NULL : input.cluster;
	rehearsal->locks_named = input.locks->named;
	du_lock_budget_start(du_lock_count_budget(input.locks));
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

/* Notes steps that nobody has looked at. */
static void
write_unseen_steps(Rehearsal *rehearsal)
{
	const Attempt *attempt = &rehearsal->attempt;
	StepRisk	unknown = du_risk_unknown();

	for (int i = 0; i < attempt->plan->nsteps; i++)
		du_rehearsal_write_step(&rehearsal->steps,
								attempt->facts->extensions[attempt->plan->steps[i].extension].name,
								&attempt->plan->steps[i], 0, NULL, &unknown);
	rehearsal->worst = unknown;
	rehearsal->nsteps = attempt->plan->nsteps;
}

/* What comes before the steps and is made of queries. */
static ErrorData *
ask_before(Rehearsal *rehearsal)
{
	List	   *checks = du_checks_find("pre");
	ErrorData  *deferred;

	deferred = du_subtransaction_run(fire_deferred, NULL, SUBTRANSACTION_ROLL_BACK);
	if (deferred != NULL && deferred->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(deferred);
	rehearsal->attempt.stage = STAGE_RUNNING;
	du_checks_run("pre", checks);
	rehearsal->checks = "the pre-checks were met";
	return deferred;
}

/* The same of a rehearsal that begins with the update, after the steps. */
static void
ask_afterwards(Rehearsal *rehearsal)
{
	Attempt    *attempt = &rehearsal->attempt;
	GuardInput	input = du_guards_gather(attempt->facts, attempt->plan, attempt->caller, false,
											 GUARD_NODES_VERSIONS, 0);

	rehearsal->locks_named = input.locks->named;
	rehearsal->guards = join_guards(rehearsal->guards, du_guards_evaluate_rest(&input, NIL));
	du_checks_run("pre", du_checks_find("pre"));
	rehearsal->checks = "the pre-checks were met";
}

/* Runs the steps and the checks, and looks on. */
static void
run_steps(Rehearsal *rehearsal)
{
	Attempt    *attempt = &rehearsal->attempt;
	StepObserver observer = {before_step, after_step, rehearsal};
	bool		looks_on = !attempt->alter_first || attempt->plan->nsteps == 1;
	ErrorData  *deferred = NULL;
	const char *name;

	attempt->stage = STAGE_LOCKING_RELATIONS;
	du_settings_pin(attempt->facts, attempt->alter_first);
	du_stage_announce_to_nodes(attempt);
	name = du_nodes_announce_rehearsal(rehearsal->cluster);
	if (!attempt->alter_first)
		rehearsal->sequences = du_sequences_read();
	du_effects_start(attempt->facts);
	du_locks_take_relations(du_plan_locks(attempt->plan));
	du_effects_take_early_locks();

	rehearsal->checks = "no check was met";
	if (!attempt->alter_first)
		deferred = ask_before(rehearsal);
	attempt->stage = STAGE_RUNNING;
	du_steps_start(&attempt->steps, attempt->facts, attempt->plan, attempt->caller);
	attempt->steps.what = "rehearsal";
	if (looks_on)
		attempt->steps.observer = &observer;
	du_own_scripts_begin();
	du_steps_run(&attempt->steps);
	du_own_scripts_end();
	if (!looks_on)
		write_unseen_steps(rehearsal);
	if (name != NULL)
		rehearsal->nodes = du_nodes_rehearsed(rehearsal->cluster, name, rehearsal->steps.data);
	if (attempt->alter_first)
		ask_afterwards(rehearsal);
	du_checks_run("post", du_checks_find("post"));
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

	/* Made by a query, after the rollback. */
	if (!rehearsal->attempt.alter_first)
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
	if (rehearsal->nodes != NULL || rehearsal->attempt.record.nodes != NULL)
	{
		du_write_key(&buf, "nodes");
		appendStringInfoString(&buf, rehearsal->nodes ? rehearsal->nodes : rehearsal->attempt.record.nodes);
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
 * Rehearses and gives back the row of table rehearsals, not stored, as a JSON
 * object in the current memory context; cause is what has ended it.  SPI must
 * be connected, except where it begins with the update.
 */
char *
du_rehearsal_run(const char *target, Oid caller, bool alter_first, FailureCause *cause)
{
	FinalizeRequest request = {0};
	Rehearsal	rehearsal = {0};
	Attempt    *attempt = &rehearsal.attempt;
	ErrorData  *error;

	request.target = target;
	request.actor = "rehearsal";
	attempt->request = &request;
	attempt->caller = caller;
	attempt->alter_first = alter_first;
	attempt->record.actor = request.actor;
	attempt->record.started_at = GetCurrentTimestamp();
	attempt->record.outcome = "passed";
	attempt->steps.current = -1;
	initStringInfo(&rehearsal.steps);
	du_findings_start(&rehearsal.findings);

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
	*cause = attempt->record.cause;
	return build_row(&rehearsal);
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
	ExecutionContext execution;
	FailureCause cause;
	char	   *json;
	Datum		row;

	du_stage_check_transaction("rehearse");
	ereport(NOTICE,
			(errmsg("the rehearsal takes the real locks of the upgrade for a moment"),
			 errdetail("It waits for them %d ms at most, and gives them back at its end.",
					   du_guc_lock_timeout)));

	du_context_enter(&execution);
	SPI_connect();
	MemoryContextSwitchTo(context);

	json = du_rehearsal_run(target, execution.caller, false, &cause);
	if (cause == CAUSE_LIBRARY)
		json = du_rehearsal_sign(du_rehearsal_run_detached(target, execution.caller), NULL);
	row = du_rehearsal_store(json, isnull);

	SPI_finish();
	du_context_leave(&execution);
	MemoryContextSwitchTo(context);
	return row;
}
