/*-------------------------------------------------------------------------
 *
 * manual_update.c
 *	  What a plain ALTER EXTENSION UPDATE meets before it runs, and what it
 *	  leaves behind.
 *
 * Before the statement no query is run: there are libraries that refuse the
 * update once a query has been analysed, and others that refuse every query
 * until they are updated.  So what the files and the catalogue tell is judged
 * first, over the steps that the statement will run, and the guards that ask
 * the server are evaluated when it has run.  These are judgements and only warn
 * here: somebody else's statement is not ours to postpone.
 *
 * What was updated is a history row of the same transaction, and the tables of
 * the extension are invalidated as a finalize does it.
 *
 * Neither may spoil the statement: what goes wrong here is a warning, unless
 * the user has asked to stop.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "enforcement/internal.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "citus/citus.h"
#include "extension/extension.h"
#include "finalize/finalize.h"
#include "guards/guards.h"
#include "plan/plan.h"
#include "processes/processes.h"

/*
 * Runs a piece of work in a subtransaction.  What fails is a warning, and gives
 * false; a refusal and a cancel are passed on.
 */
static bool
run_beside(void (*work) (void *arg), ManualUpdate *update, const char *what)
{
	ErrorData  *error = du_subtransaction_run(work, update, SUBTRANSACTION_KEEP);

	if (error == NULL)
		return true;
	if (update->refused || error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	du_refusal_say(WARNING, ERRCODE_WARNING,
				   psprintf("could not %s the update of extension \"%s\"", what, update->extension),
				   error->message, error->hint);
	return false;
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
warn_of_companions(const ManualUpdate *update)
{
	for (int i = 0; i < update->facts->main; i++)
	{
		const ExtensionFacts *companion = &update->facts->extensions[i];
		const ExtensionTarget *target = &update->plan->targets[i];

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

static void
warn_of_guard(const ManualUpdate *update, const GuardResult *result)
{
	du_refusal_say(WARNING, ERRCODE_WARNING,
				   psprintf("extension \"%s\" is updated from \"%s\" to \"%s\" although guard \"%s\" %s",
							update->extension, update->from, update->to, result->guard,
							result->status == GUARD_FAIL ? "fails" : "warns"),
				   result->detail, result->hint);
}

static bool
is_main(const ManualUpdate *update)
{
	return strcmp(update->extension, du_main_extension()) == 0;
}

static void
refuse(ManualUpdate *update, const GuardResult *result)
{
	update->refused = true;
	du_refusal_say(ERROR, result->sqlstate,
				   psprintf("cannot update extension \"%s\" from \"%s\" to \"%s\": refused by guard \"%s\"",
							update->extension, update->from, update->to, result->guard),
				   result->detail, result->hint);
}

/* Refuses, or warns, as one guard says of the plan. */
static void
judge_plan(ManualUpdate *update, const char *guard)
{
	GuardResult result = du_guards_judge_plan(guard, update->facts, update->plan);

	if (result.status == GUARD_WARN)
		warn_of_guard(update, &result);
	if (result.status != GUARD_FAIL)
		return;
	update->overridden = lappend(update->overridden, pstrdup(result.guard));
	if (du_guc_enforce == ENFORCE_ON)
		refuse(update, &result);
	warn_of_guard(update, &result);
}

/* Has the facts tell the version that the update starts from. */
static void
start_from(const ManualUpdate *update)
{
	for (int i = 0; i < update->facts->nextensions; i++)
	{
		if (strcmp(update->facts->extensions[i].name, update->extension) == 0)
			update->facts->extensions[i].installed = update->from;
	}
}

static void
judge(void *arg)
{
	ManualUpdate *update = arg;
	ExecutionContext context;

	du_context_enter(&context);
	update->facts = du_managed_gather();
	start_from(update);
	update->plan = du_plan_make(update->facts, is_main(update) ? update->to : NULL);
	if (is_main(update))
		warn_of_companions(update);
	keep_steps_of(update->plan, update->facts, update->extension);
	du_plan_read_scripts(update->plan, update->facts);
	if (is_main(update))
	{
		/* Whether this server has run a newer binary, enforcement.c cannot know. */
		judge_plan(update, "within_binary");
		judge_plan(update, "update_path");
	}
	du_context_leave(&context);
}

static void
judge_in_set(void *arg)
{
	ManualUpdate *update = arg;
	ExtensionVersion version;
	const char *reason;

	if (du_guc_enforce == ENFORCE_OFF || !OidIsValid(du_context_own_extension()) || du_citus_is_carried())
		return;
	if (update->to == NULL)
		update->to = du_extension_alone(update->extension)->control->default_version;
	if (update->to == NULL || strcmp(update->to, update->from) == 0 ||
		!du_version_parse(update->to, &version, &reason))
		return;
	if (!run_beside(judge, update, "judge"))
		update->plan = NULL;
}

/*
 * Judges an update that is about to run, in a database that has our extension,
 * by what can be known without a query.  Raises a refusal; what else is to be
 * said is a warning.  What the coordinator of a cluster carries here it has judged
 * for all nodes.
 */
void
du_manual_judge(ManualUpdate *update)
{
	du_enforcement_in_set(update->extension, judge_in_set, update);
}

/*
 * Passes on what the other guards say.  The hard ones were judged before.
 */
static void
pass_on(ManualUpdate *update, const GuardResult *result)
{
	if (result->hard || (result->status != GUARD_FAIL && result->status != GUARD_WARN))
		return;
	/* What is rehearsed is the update of the main extension. */
	if (!is_main(update) && strcmp(result->guard, "rehearsed") == 0)
		return;
	if (result->status == GUARD_FAIL)
		update->overridden = lappend(update->overridden, pstrdup(result->guard));
	warn_of_guard(update, result);
}

/* What the members were before, nobody can say any more. */
static void
evaluate(void *arg)
{
	ManualUpdate *update = arg;
	MemoryContext memory = CurrentMemoryContext;
	ExecutionContext context;
	GuardInput	input;
	const GuardResults *guards;

	du_context_enter(&context);
	SPI_connect();
	MemoryContextSwitchTo(memory);
	if (du_server_facts_can_write())
		(void) du_server_facts_note_binary(update->facts);
	input = du_guards_gather(update->facts, update->plan, context.caller, false,
							 GUARD_NODES_LEFT_OUT, 0);
	guards = du_guards_evaluate(&input, NIL);
	for (int i = 0; i < guards->nresults; i++)
		pass_on(update, &guards->results[i]);
	SPI_finish();
	MemoryContextSwitchTo(memory);
	du_context_leave(&context);
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
	row.actor = du_citus_is_carried() ? "coordinator" : "manual";
	row.started_at = update->started_at;
	row.finished_at = GetCurrentTimestamp();
	row.skipped_guards = update->overridden;
	if (du_guc_enforce == ENFORCE_OFF)
		row.message = "documentdb_upgrade.enforce was off";
	(void) du_history_insert(du_history_json(&row), &isnull);
	du_notice_at_commit(du_history_notice(&row));
	SPI_finish();
	MemoryContextSwitchTo(memory);
	du_context_leave(&context);
}

static void
finish_in_set(void *arg)
{
	ManualUpdate *update = arg;

	du_members_invalidate_tables(update->oid);
	du_shared_wake_worker_at_commit();
	if (!OidIsValid(du_context_own_extension()))
		return;
	if (update->plan != NULL)
		(void) run_beside(evaluate, update, "evaluate the guards for");
	(void) run_beside(record, update, "record");
}

/*
 * To be called when the update has been made: has caches forget the old
 * version, passes on what the guards say, records it, and has the worker look.
 */
void
du_manual_finish(ManualUpdate *update)
{
	CommandCounterIncrement();
	du_enforcement_in_set(update->extension, finish_in_set, update);
}
