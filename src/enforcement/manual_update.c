/*-------------------------------------------------------------------------
 *
 * manual_update.c
 *	  What a plain ALTER EXTENSION UPDATE meets before it runs, and what it
 *	  leaves behind.
 *
 * The same guards are evaluated as for a finalize, over the steps that the
 * statement will run.  Those that are judgements only warn here: somebody
 * else's statement is not ours to postpone.  What was updated is a history
 * row of the same transaction, and the tables of the extension are
 * invalidated as a finalize does it.
 *
 * Neither may spoil the statement: what goes wrong here is a warning, unless
 * the user has asked to stop.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "enforcement/internal.h"

#include "access/xact.h"
#include "commands/async.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "extension/extension.h"
#include "finalize/finalize.h"
#include "guards/guards.h"
#include "plan/plan.h"
#include "processes/processes.h"
#include "status/status.h"

/*
 * Runs a piece of work in a subtransaction.  What fails is a warning; a
 * refusal and a cancel are passed on.
 */
static void
run_beside(void (*work) (void *arg), ManualUpdate *update, const char *what)
{
	ErrorData  *error = du_subtransaction_run(work, update, SUBTRANSACTION_KEEP);

	if (error == NULL)
		return;
	if (update->refused || error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	du_refusal_say(WARNING, ERRCODE_WARNING,
				   psprintf("could not %s the update of extension \"%s\"", what, update->extension),
				   error->message, error->hint);
}

/*
 * Leaves only the steps of one extension in a plan: the statement runs no
 * others.
 */
static void
keep_steps_of(UpgradePlan *plan, const UpgradeFacts *facts, const char *extension)
{
	int			kept = 0;

	for (int i = 0; i < plan->nsteps; i++)
	{
		if (strcmp(facts->extensions[plan->steps[i].extension].name, extension) == 0)
			plan->steps[kept++] = plan->steps[i];
	}
	plan->nsteps = kept;
}

/*
 * Warns when the main extension overtakes a companion that goes before it.
 */
static void
warn_of_companions(const Assessment *assessment, const ManualUpdate *update)
{
	for (int i = 0; i < assessment->facts->main; i++)
	{
		const ExtensionFacts *companion = &assessment->facts->extensions[i];
		const ExtensionTarget *target = &assessment->plan->targets[i];

		if (target->path == NULL && target->problem == NULL)
			continue;
		du_refusal_say(WARNING, ERRCODE_WARNING,
					   psprintf("extension \"%s\" is updated to \"%s\" %s its companion \"%s\"",
								update->extension, update->to,
								target->problem != NULL ? "without" : "before", companion->name),
					   target->problem != NULL ? target->problem :
					   psprintf("The companion is at \"%s\" and goes to \"%s\".",
								companion->installed, target->target),
					   target->problem != NULL ? NULL :
					   psprintf("Update it too: %s; a finalize does both in one transaction.",
								du_plan_statement(companion->name, target->target)));
	}
}

/*
 * Passes on what a guard says.  Of the hard ones enforcement.c has decided
 * already; what it cannot know without a query is the path, and whether this
 * server has run a newer binary.
 */
static void
pass_on(ManualUpdate *update, const GuardResult *result, bool is_main)
{
	const char *what = psprintf("update extension \"%s\" from \"%s\" to \"%s\"",
								update->extension, update->from, update->to);

	if (result->status != GUARD_FAIL && result->status != GUARD_WARN)
		return;
	/* What is rehearsed is the update of the main extension. */
	if (!is_main && strcmp(result->guard, "rehearsed") == 0)
		return;
	if (result->hard && (!is_main || (strcmp(result->guard, "update_path") != 0 &&
									  strcmp(result->guard, "within_binary") != 0)))
		return;
	if (result->status == GUARD_FAIL)
		update->overridden = lappend(update->overridden, pstrdup(result->guard));
	update->refused = result->hard && result->status == GUARD_FAIL && du_guc_enforce == ENFORCE_ON;
	if (update->refused)
		du_refusal_say(ERROR, result->sqlstate,
					   psprintf("cannot %s: refused by guard \"%s\"", what, result->guard),
					   result->detail, result->hint);
	du_refusal_say(WARNING, ERRCODE_WARNING,
				   psprintf("extension \"%s\" is updated from \"%s\" to \"%s\" although guard \"%s\" %s",
							update->extension, update->from, update->to, result->guard,
							result->status == GUARD_FAIL ? "fails" : "warns"),
				   result->detail, result->hint);
}

static void
evaluate(void *arg)
{
	ManualUpdate *update = arg;
	bool		is_main = strcmp(update->extension, du_guc_extension) == 0;
	Assessment		assessment;

	du_assessment_open(&assessment);
	assessment.plan = du_plan_make(assessment.facts, is_main ? update->to : NULL);
	if (is_main)
		warn_of_companions(&assessment, update);
	keep_steps_of(assessment.plan, assessment.facts, update->extension);
	du_plan_read_scripts(assessment.plan, assessment.facts);
	du_assessment_evaluate_guards(&assessment, true);
	for (int i = 0; i < assessment.guards->nresults; i++)
		pass_on(update, &assessment.guards->results[i], is_main);
	du_assessment_close(&assessment);
}

/*
 * Evaluates the guards for an update that is about to run, in a database that
 * has our extension.  Raises a refusal; passes the judgements on as warnings.
 */
void
du_manual_evaluate(ManualUpdate *update)
{
	ExtensionVersion version;
	const char *reason;

	if (du_guc_enforce == ENFORCE_OFF || !OidIsValid(du_context_own_extension()))
		return;
	if (update->to == NULL)
		update->to = du_managed_extension(update->extension)->control->default_version;
	if (update->to == NULL || strcmp(update->to, update->from) == 0 ||
		!du_version_parse(update->to, &version, &reason))
		return;
	run_beside(evaluate, update, "evaluate the guards for");
}

static void
record(void *arg)
{
	const ManualUpdate *update = arg;
	MemoryContext memory = CurrentMemoryContext;
	ExecutionContext context;
	VersionChange change = {update->extension, update->from, update->to};
	AttemptRecord row = {0};
	bool		isnull;

	du_context_enter(&context);
	SPI_connect();
	MemoryContextSwitchTo(memory);
	row.extension = update->extension;
	row.from_version = update->from;
	row.to_version = update->to;
	row.changes = list_make1(&change);
	row.outcome = "succeeded";
	row.actor = "manual";
	row.started_at = update->started_at;
	row.finished_at = GetCurrentTimestamp();
	row.skipped_guards = update->overridden;
	if (du_guc_enforce == ENFORCE_OFF)
		row.message = "documentdb_upgrade.enforce was off";
	(void) du_history_insert(du_history_json(&row), &isnull);
	Async_Notify("documentdb_upgrade", du_history_notice(&row));
	SPI_finish();
	MemoryContextSwitchTo(memory);
	du_context_leave(&context);
}

/*
 * To be called when the update has been made: has caches forget the old
 * version, records it, and has the worker look.
 */
void
du_manual_finish(ManualUpdate *update)
{
	CommandCounterIncrement();
	du_members_invalidate_tables(update->oid);
	if (!OidIsValid(du_context_own_extension()))
		return;
	run_beside(record, update, "record");
	du_shared_wake_worker_at_commit();
}
