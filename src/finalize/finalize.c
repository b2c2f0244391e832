/*-------------------------------------------------------------------------
 *
 * finalize.c
 *	  Commits an upgrade: one bounded, audited transaction.
 *
 * The attempt runs in an internal subtransaction of its caller: lock, look
 * again, decide, then run the scripts step by step.  When anything fails the
 * subtransaction is rolled back first, which frees every lock; only then is
 * the failure recorded and raised again.  So nothing half-done can exist, and
 * nobody waits for our bookkeeping.
 *
 * A target that is already reached, also because somebody else got there
 * while we waited for the lock, is success.
 *
 * An attempt can also begin with the update: there are libraries that refuse
 * every query until then, and others that refuse the update after any query.
 * It judges by what the files, the catalogue and a scan of our own table tell,
 * and leaves what needs a query for after the scripts, in the same transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "extension/extension.h"
#include "guards/guards.h"
#include "plan/plan.h"
#include "processes/processes.h"

/* Says what an error from here on means. */
static void
tell_cause(const FinalizeRequest *request, FailureCause cause)
{
	if (request->cause != NULL)
		*request->cause = cause;
}

/*
 * Tells the caller which guards warn.
 */
static void
pass_on_warnings(const GuardResults *results)
{
	for (int i = 0; i < results->nresults; i++)
	{
		const GuardResult *result = &results->results[i];

		if (result->status == GUARD_WARN)
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("guard \"%s\" warns", result->guard),
					 errdetail_internal("%s", result->detail),
					 result->hint ? errhint("%s", result->hint) : 0));
	}
}

/*
 * True for a role that could update the managed set by itself.
 */
static bool
owns_managed_set(const UpgradeFacts *facts, Oid role)
{
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (OidIsValid(facts->extensions[i].oid) &&
			!du_extension_ownercheck(facts->extensions[i].oid, role))
			return false;
	}
	return true;
}

/*
 * Refuses to skip a protected guard for a caller that may finalize and nothing
 * more.
 */
static void
check_skipped_guards(Attempt *attempt)
{
	const ExtensionFacts *extension = du_managed_main(attempt->facts);
	const char *guard = du_guards_find_protected(attempt->request->skip_guards);

	if (guard == NULL || !OidIsValid(extension->oid) || owns_managed_set(attempt->facts, attempt->caller))
		return;
	attempt->refused = true;
	attempt->record.refused_by = list_make1(pstrdup(guard));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to override guard \"%s\"", guard),
			 errdetail("Guards that documentdb_upgrade.protected_guards lists can be overridden by superusers and by the owner of the managed extensions only."),
			 errhint("Leave it out of skip_guards and clear what it stands for, or ask a superuser or role \"%s\" to finalize.",
					 extension->owner_name)));
}

/*
 * Compares the installed version with the one that the caller has named.
 */
static void
check_from(Attempt *attempt)
{
	const char *from = attempt->request->from;
	const char *installed = du_managed_main(attempt->facts)->installed;
	ExtensionVersion a;
	ExtensionVersion b;
	const char *reason;

	if (from == NULL || installed == NULL || strcmp(from, installed) == 0 ||
		(du_version_parse(from, &a, &reason) && du_version_parse(installed, &b, &reason) &&
		 du_version_compare(&a, &b) == 0))
		return;
	attempt->refused = true;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot finalize extension \"%s\": it is at \"%s\", not at \"%s\"",
					attempt->record.extension, installed, from),
			 errhint("Name the version that is installed; it is shown by SELECT installed_version FROM documentdb_upgrade.status;")));
}

/*
 * Compares the fingerprint with the one that the caller has reviewed.
 */
static void
check_fingerprint(Attempt *attempt)
{
	const char *expected = attempt->request->expected_fingerprint;

	attempt->record.fingerprint = du_fingerprint(attempt->facts);
	if (expected == NULL || strcmp(expected, attempt->record.fingerprint) == 0)
		return;
	attempt->refused = true;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot finalize extension \"%s\": the plan is not the one that was reviewed",
					attempt->record.extension),
			 errdetail("The fingerprint is %s.", attempt->record.fingerprint),
			 errhint("Review the plan again and use the new fingerprint: SELECT extension, from_version, to_version, risk FROM documentdb_upgrade.plan(%s%s);",
					 quote_literal_cstr(attempt->plan->target), du_main_argument(false))));
}

/*
 * Writes the restore point when this server keeps enough WAL for one; not
 * again for an attempt that repeats the one before, which can go on for days,
 * as far as that may be asked.
 * The LSN is that of this attempt in any case: recovery to it loses nothing.
 */
static void
write_restore_point(Attempt *attempt)
{
	const AttemptRecord *record = &attempt->record;
	const VersionChange *first = linitial(record->changes);
	char		name[MAXFNAMELEN];

	if (!XLogIsNeeded())
		return;
	if (strcmp(record->from_version, record->to_version) != 0 && du_main_selected()[0] != '\0')
		snprintf(name, sizeof(name), "before_finalize_%s_%s_%s",
				 record->extension, record->from_version, record->to_version);
	else if (strcmp(record->from_version, record->to_version) != 0)
		snprintf(name, sizeof(name), "before_finalize_%s_%s",
				 record->from_version, record->to_version);
	else
		snprintf(name, sizeof(name), "before_finalize_%s_%s_%s",
				 first->extension, first->from, first->to);
	attempt->record.restore_timeline = GetWALInsertionTimeLine();
	du_restore_point_write(attempt, name, !attempt->alter_first && du_history_has_restore_point(record, name));
}

/*
 * Stores the history row, and tells those who listen.
 */
static void
store_success(Attempt *attempt)
{
	AttemptRecord *record = &attempt->record;

	record->outcome = "succeeded";
	record->finished_at = GetCurrentTimestamp();
	record->steps = du_steps_report(&attempt->steps);
	du_members_record(attempt->facts);
	attempt->row = du_history_insert(du_history_json(record), &attempt->row_is_null);
	du_notice_at_commit(du_history_notice(record));
}

/*
 * Arranges for what must be known if the caller rolls a success back.
 */
static void
prepare_for_rollback(Attempt *attempt)
{
	AttemptRecord record = attempt->record;

	record.outcome = "cancelled";
	record.message = "the caller rolled back a finalize that had succeeded";
	du_recorder_record_on_abort(du_history_json(&record));
}

/*
 * Notes a binary that nobody has seen before, for want of whose age a guard may
 * refuse.
 */
static void
note_unseen_binary(Attempt *attempt)
{
	const ExtensionFacts *extension = du_managed_main(attempt->facts);

	if (du_guc_soak_time == 0 || attempt->server_facts->binary_known)
		return;
	attempt->record.binary_version = extension->binary ? extension->binary : "";
	attempt->record.binary_digest = du_server_facts_binary_digest(extension);
}

/*
 * The guards before the scripts; gives back the budget of locks.
 */
static int64
judge(Attempt *attempt, DecisionResult decided)
{
	const List *skipped = attempt->request->skip_guards;
	GuardInput	input;
	const GuardResults *results;

	if (attempt->alter_first)
		input = du_guards_look(attempt->facts, attempt->plan, attempt->caller);
	else
		input = du_guards_gather(attempt->facts, attempt->plan, attempt->caller, true, GUARD_NODES_ALL, 0);
	attempt->server_facts = input.server_facts;
	if (!attempt->alter_first)
		note_unseen_binary(attempt);

	check_from(attempt);
	check_skipped_guards(attempt);
	results = attempt->alter_first ? du_guards_evaluate_first(&input, skipped) :
		du_guards_evaluate(&input, skipped);
	if (results->nfailed > 0)
		du_stage_refuse(attempt, results, "finalize");
	if (decided.decision != DECISION_FINALIZE)
		elog(ERROR, "guards pass, but the decision is \"%s\": %s",
			 du_decision_name(decided.decision), decided.reason);
	check_fingerprint(attempt);
	pass_on_warnings(results);
	return du_lock_count_budget(input.locks);
}

/*
 * What an attempt that begins with the update has left for after it, over what
 * was there before: the guards that ask, and the pre-checks.  What the members
 * were, nobody can say any more.
 */
static void
judge_afterwards(Attempt *attempt)
{
	GuardInput	input = du_guards_gather(attempt->facts, attempt->plan, attempt->caller, false,
											 GUARD_NODES_VERSIONS, 0);

	const GuardResults *results;

	attempt->server_facts = input.server_facts;
	note_unseen_binary(attempt);
	results = du_guards_evaluate_rest(&input, attempt->request->skip_guards);
	if (results->nfailed > 0)
		du_stage_refuse(attempt, results, "finalize");
	pass_on_warnings(results);
	attempt->stage = STAGE_CHECKING;
	du_checks_run("pre", du_checks_find("pre"));
}

/*
 * Everything from the first lock to the history row, inside the attempt's
 * subtransaction.  False when there is nothing to do.
 */
static bool
run_attempt(Attempt *attempt)
{
	DecisionResult decided;
	List	   *locks;
	List	   *checks;
	int64		budget;

	du_stage_lock_and_look(attempt);
	decided = du_stage_decide(attempt);
	if (decided.decision == DECISION_NONE)
		return false;
	du_plan_read_scripts(attempt->plan, attempt->facts);
	locks = du_plan_locks(attempt->plan);
	budget = judge(attempt, decided);

	attempt->stage = STAGE_LOCKING_RELATIONS;
	du_lock_budget_start(budget);
	du_settings_pin(attempt->facts, attempt->alter_first);
	du_stage_announce_to_nodes(attempt);
	du_locks_take_relations(locks);

	if (!attempt->alter_first)
	{
		checks = du_checks_find("pre");
		attempt->stage = STAGE_CHECKING;
		du_checks_run("pre", checks);
	}
	attempt->stage = STAGE_RUNNING;
	write_restore_point(attempt);
	du_steps_start(&attempt->steps, attempt->facts, attempt->plan, attempt->caller);
	du_own_scripts_begin();
	du_steps_run(&attempt->steps);
	du_own_scripts_end();
	if (attempt->alter_first)
		judge_afterwards(attempt);
	attempt->stage = STAGE_CHECKING;
	du_checks_run("post", du_checks_find("post"));
	attempt->stage = STAGE_RUNNING;

	/* Checks may have had an extension cache the version of before. */
	du_steps_refresh_gates(attempt->facts);

	/* What follows is our own and takes no more than a few entries. */
	du_lock_budget_check();
	du_lock_budget_stop();
	store_success(attempt);
	du_limits_check();
	return true;
}

/*
 * The work of the subtransaction: the attempt within its limits.
 */
static void
attempt_within_limits(void *arg)
{
	Attempt    *attempt = arg;
	MemoryContext context = CurrentMemoryContext;

	du_stage_start_limits(attempt);
	SPI_connect();
	MemoryContextSwitchTo(context);

	attempt->done = run_attempt(attempt);

	SPI_finish();
	MemoryContextSwitchTo(context);
	du_limits_stop();
	du_limits_check();
}

/*
 * Runs the attempt in a subtransaction of its own, bounded in time; NULL, or
 * its error.
 */
static ErrorData *
try_bounded(Attempt *attempt)
{
	ErrorData  *error;

	du_attempt_prepare_for_end_of_session(attempt);
	du_running_begin(attempt->record.actor, attempt->record.extension,
					 attempt->record.from_version, attempt->record.to_version);

	du_stage_set_running(true);
	error = du_subtransaction_run(attempt_within_limits, attempt, SUBTRANSACTION_KEEP);
	du_stage_set_running(false);

	du_limits_stop();
	du_trace_stop();
	du_recorder_forget_newest();
	return error;
}

/*
 * Runs the attempt.  Where a library refuses what would be asked before the
 * scripts, nothing is asked before them.  True when it has done something,
 * false when there was nothing to do.
 */
static bool
run_bounded(Attempt *attempt)
{
	ErrorData  *error = try_bounded(attempt);

	if (error != NULL && !attempt->alter_first && du_attempt_query_refused(attempt))
	{
		attempt->alter_first = true;
		error = try_bounded(attempt);
	}
	if (error != NULL)
	{
		du_attempt_explain(attempt, error);
		tell_cause(attempt->request, attempt->record.cause);
		du_attempt_fail(attempt, error);
	}
	return attempt->done;
}

/*
 * The row for a target that is already reached; it is not stored.
 */
static void
nothing_to_do(Attempt *attempt)
{
	AttemptRecord *record = &attempt->record;

	record->outcome = "succeeded";
	record->to_version = record->from_version;
	record->changes = NIL;
	record->finished_at = GetCurrentTimestamp();
	record->steps = "[]";
	record->message = psprintf("nothing to do: extension \"%s\" is at \"%s\"",
							   record->extension, record->from_version);
	attempt->row = du_history_row(du_history_json(record), &attempt->row_is_null);
}

/* Looks, decides and judges without any lock. */
static void
look_and_judge(void *arg)
{
	Attempt    *attempt = arg;
	DecisionResult decided;

	attempt->stage = STAGE_DECIDING;
	du_stage_look(attempt);
	decided = du_stage_decide(attempt);
	if (decided.decision != DECISION_NONE)
	{
		du_plan_read_scripts(attempt->plan, attempt->facts);
		(void) judge(attempt, decided);
	}
}

/* What an attempt knows before it looks. */
static void
begin(Attempt *attempt, const FinalizeRequest *request)
{
	attempt->request = request;
	attempt->caller = GetUserId();
	attempt->alter_first = request->alter_first;
	attempt->record.actor = request->actor;
	attempt->record.role_name = request->role_name;
	attempt->record.resource_uid = request->resource_uid;
	attempt->record.resource_generation = request->resource_generation;
	attempt->record.skipped_guards = request->skip_guards;
	attempt->record.started_at = GetCurrentTimestamp();
	attempt->steps.current = -1;
}

/*
 * Evaluates the guards for an attempt that somebody else makes, where their
 * queries are not refused: one that begins with the update judges by less
 * before it.  Raises and records a refusal.
 */
void
du_finalize_judge(const FinalizeRequest *request)
{
	MemoryContext context = CurrentMemoryContext;
	ExecutionContext execution;
	Attempt		attempt = {0};
	ErrorData  *error;

	begin(&attempt, request);
	du_context_enter(&execution);
	SPI_connect();
	MemoryContextSwitchTo(context);
	error = du_subtransaction_run(look_and_judge, &attempt, SUBTRANSACTION_ROLL_BACK);
	if (error != NULL && !du_attempt_query_refused(&attempt))
	{
		du_attempt_explain(&attempt, error);
		du_attempt_fail(&attempt, error);
	}
	SPI_finish();
	MemoryContextSwitchTo(context);
	du_context_leave(&execution);
}

/*
 * Commits, with the caller's transaction, the upgrade of the managed set to
 * the requested version; gives back the history row, in the current memory
 * context.  Target and guard names must be well-formed.  Takes
 * ShareUpdateExclusiveLock on the extensions and whatever the scripts take,
 * all kept until the end of the transaction.  Raises 55000 and the guards'
 * other codes for a refusal, 55006 when another upgrade runs, 55P03 when
 * locks were not to be had in time, 57014 at the time limit or a cancel,
 * 25001 and 25006 for a transaction that cannot carry an upgrade, and what a
 * script raises.
 */
Datum
du_finalize(const FinalizeRequest *request, bool *isnull)
{
	MemoryContext context = CurrentMemoryContext;
	ExecutionContext execution;
	Attempt		attempt = {0};

	tell_cause(request, CAUSE_GUARD);
	du_stage_check_transaction("finalize");
	tell_cause(request, CAUSE_SERVER);

	begin(&attempt, request);
	du_context_enter(&execution);
	SPI_connect();
	MemoryContextSwitchTo(context);

	du_stage_look(&attempt);
	if (du_stage_decide(&attempt).decision != DECISION_NONE && run_bounded(&attempt))
		prepare_for_rollback(&attempt);
	else
		nothing_to_do(&attempt);

	SPI_finish();
	du_context_leave(&execution);
	MemoryContextSwitchTo(context);
	*isnull = attempt.row_is_null;
	return attempt.row;
}
