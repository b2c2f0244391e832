/*-------------------------------------------------------------------------
 *
 * assessment.c
 *	  Where this server stands: facts, plan, guards, decision and state of
 *	  one moment.
 *
 * The one place where what was gathered, decided and evaluated comes
 * together, so that view status, preflight() and the worker never disagree.
 * An outlook is opened and closed within one transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "status/internal.h"

#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "miscadmin.h"

#include "base/base.h"
#include "extension/extension.h"
#include "fence/fence.h"
#include "finalize/finalize.h"
#include "fleet/fleet.h"
#include "guards/guards.h"
#include "plan/plan.h"
#include "processes/processes.h"

/*
 * Opens an outlook: execution context, SPI and facts, with results in the
 * current memory context.
 */
void
du_outlook_open(Outlook *outlook)
{
	MemoryContext memory = CurrentMemoryContext;

	memset(outlook, 0, sizeof(Outlook));
	du_context_enter(&outlook->context);
	SPI_connect();
	MemoryContextSwitchTo(memory);
	outlook->facts = du_catalog_gather();
	outlook->in_recovery = RecoveryInProgress();
}

/*
 * Closes it; what was gathered stays.
 */
void
du_outlook_close(Outlook *outlook)
{
	MemoryContext memory = CurrentMemoryContext;

	SPI_finish();
	MemoryContextSwitchTo(memory);
	du_context_leave(&outlook->context);
}

/*
 * Plans for a target (NULL: the binary version) and reads the scripts.
 */
void
du_outlook_plan(Outlook *outlook, const char *target)
{
	outlook->plan = du_plan_make(outlook->facts, target);
	du_plan_read_scripts(outlook->plan, outlook->facts);
}

/*
 * Has the steps of the plan show the risk that a rehearsal of the same script
 * has seen, instead of what its text says.
 */
void
du_outlook_recall_risks(Outlook *outlook)
{
	for (int i = 0; i < outlook->plan->nsteps; i++)
	{
		PlanStep   *step = &outlook->plan->steps[i];
		RememberedRisk seen = du_rehearsals_recall_step(outlook->facts->extensions[step->extension].name,
														step->from, step->to, step->script->sha256);

		if (seen.risk == NULL)
			continue;
		step->risk = seen.risk;
		step->risk_reason = seen.reason;
	}
}

/*
 * Evaluates the guards for the plan.  Without warnings only failures count,
 * and what is costly to know and could only warn is not looked at.  Notes the binary on the way, where
 * this transaction can write, so that a soak time has a beginning.
 */
void
du_outlook_evaluate_guards(Outlook *outlook, bool warnings)
{
	GuardInput	input;

	if (du_surroundings_can_write())
		(void) du_surroundings_note_binary(outlook->facts);
	input = du_guard_input_gather(outlook->facts, outlook->plan, outlook->context.caller,
								  warnings || du_guards_can_fail("members_intact"));
	outlook->guards = du_guards_evaluate(&input, NIL);
}

/*
 * The target that a decision over the desired version asks about: the
 * desired one when it is a version, else the binary's.
 */
static const char *
target_of_interest(const char *desired)
{
	ExtensionVersion version;
	const char *reason;

	return du_version_parse(desired, &version, &reason) ? desired : NULL;
}

static DecisionResult
decide_for(const Outlook *outlook, const char *desired)
{
	const ExtensionFacts *extension = du_catalog_main(outlook->facts);
	DecisionInput input = {0};

	input.desired = desired;
	input.installed = extension->installed;
	input.binary = extension->binary;
	if (outlook->plan != NULL)
		input.behind = outlook->plan->behind;
	return du_decide(&input);
}

/*
 * What binary and schema are to each other, whatever is desired.
 */
DecisionResult
du_outlook_decide_undesired(const Outlook *outlook)
{
	return decide_for(outlook, "");
}

/*
 * Plans for what is desired and decides; reads the scripts only when they are
 * to run.
 */
void
du_outlook_decide(Outlook *outlook, const char *desired)
{
	outlook->plan = du_plan_make(outlook->facts, target_of_interest(desired));
	outlook->desired = desired;
	outlook->decided = decide_for(outlook, desired);

	if (outlook->decided.decision == DECISION_FINALIZE)
	{
		du_plan_read_scripts(outlook->plan, outlook->facts);
		du_outlook_evaluate_guards(outlook, false);
	}
}

/* Why no worker serves this database; NULL when none is meant to. */
static const char *
why_absent(void)
{
	LauncherFacts launcher;

	if (!du_shared_exists())
		return "documentdb_upgrade is not in shared_preload_libraries";
	du_shared_read_launcher(&launcher);
	if (launcher.problem[0] != '\0')
		return psprintf("%s %s", launcher.problem, launcher.hint);
	if (strcmp(get_database_name(MyDatabaseId), du_guc_database) != 0)
		return psprintf("it serves database \"%s\" (documentdb_upgrade.database)", du_guc_database);
	if (launcher.pid == 0)
		return "its launcher does not run, for want of a free background worker (max_worker_processes) perhaps";
	return "it is about to start";
}

static WorkerView
view_of(const WorkerFacts *worker)
{
	WorkerView	view = {0};
	RunningAttempt attempts[RUNNING_ATTEMPTS];
	int			n = du_running_list(attempts);

	for (int i = 0; i < n; i++)
	{
		if (attempts[i].database != MyDatabaseId || attempts[i].extension[0] == '\0')
			continue;
		view.attempt_runs = true;
		view.commits = attempts[i].commit_begun;
		view.step = attempts[i].step;
		view.nsteps = attempts[i].nsteps;
	}
	if (worker == NULL)
	{
		view.absent_because = why_absent();
		if (du_guc_source != SOURCE_KIND_SETTING)
			view.unread_source = du_guc_source_name();
		return view;
	}
	view.present = true;
	view.source_ok = worker->source_ok;
	view.source_problem = worker->source_problem;
	view.source_hint = worker->source_hint[0] ? worker->source_hint : NULL;
	view.upstream = worker->upstream[0] ? worker->upstream : NULL;
	view.upstream_ok = worker->upstream_ok;
	view.upstream_problem = worker->upstream_problem[0] ? worker->upstream_problem : NULL;
	view.upstream_hint = worker->upstream_hint[0] ? worker->upstream_hint : NULL;
	view.spec_binary = worker->spec_binary[0] ? worker->spec_binary : NULL;
	view.gave_up = worker->gave_up;
	view.failures = worker->failures;
	view.next_retry = worker->next_retry;
	return view;
}

/*
 * Sentences about standbys that do not see the installed schema in force yet,
 * NULL when all do or none can be heard.  Those that say nothing count until
 * the worker has once found that all see this version, unless the guard does
 * not insist on them either.
 */
const char *
du_outlook_straggler(const Outlook *outlook, const WorkerFacts *worker)
{
	const char *installed = du_catalog_main(outlook->facts)->installed;
	bool		strict = du_guards_can_fail("standbys_ready") &&
	(worker == NULL || installed == NULL || strcmp(worker->verified, installed) != 0);
	const Fleet *fleet;
	const char *straggler;

	if (outlook->in_recovery || installed == NULL)
		return NULL;
	fleet = du_fleet_gather();
	if (!fleet->known)
		return NULL;
	straggler = du_fleet_straggler(fleet, outlook->facts, strict);
	if (fleet->missing_synchronous == NULL)
		return straggler;
	return psprintf("What was committed last may be on this server alone: %s%s%s",
					fleet->missing_synchronous, straggler ? " " : "", straggler ? straggler : "");
}

/*
 * Finds the state of what was decided.  worker is what the worker that
 * serves this database says, or NULL when none does.
 */
void
du_outlook_find_state(Outlook *outlook, const WorkerFacts *worker)
{
	const ExtensionFacts *extension = du_catalog_main(outlook->facts);
	StateInput	input = {0};
	LibraryFacts libraries;

	du_failures_recall(extension->name, &outlook->failures);
	input.facts = outlook->facts;
	input.plan = outlook->plan;
	input.guards = outlook->guards;
	input.decided = outlook->decided;
	input.in_recovery = outlook->in_recovery;
	if (extension->installed != NULL)
		input.gate = du_gate_read(extension->installed);
	if (outlook->decided.decision == DECISION_NONE)
	{
		libraries = du_library_facts(outlook->facts);
		input.libraries = &libraries;
		outlook->straggler = input.straggler = du_outlook_straggler(outlook, worker);
	}
	input.last_error = worker != NULL && worker->last_error[0] ?
		worker->last_error : outlook->failures.last_error;
	input.fence_wanted = du_guc_schema_ahead_action == SCHEMA_AHEAD_READ_ONLY;
	input.fence = du_fence_notice();
	input.worker = view_of(worker);
	if (input.worker.commits)
		input.missing_synchronous = du_fleet_gather()->missing_synchronous;
	outlook->gate_is_stale = du_state_gate_is_stale(extension->installed, input.gate);
	outlook->fence = du_fence_sentence();
	outlook->maintenance = du_shared_exists() && du_fence_since() != 0;
	outlook->state = du_state_of(&input);
}

/*
 * Names of the guards that fail, NIL when none were evaluated.
 */
List *
du_outlook_failing_guards(const Outlook *outlook)
{
	List	   *names = NIL;

	for (int i = 0; outlook->guards != NULL && i < outlook->guards->nresults; i++)
	{
		if (outlook->guards->results[i].status == GUARD_FAIL)
			names = lappend(names, unconstify(char *, outlook->guards->results[i].guard));
	}
	return names;
}

/*
 * The main extension.
 */
const ExtensionFacts *
du_outlook_main(const Outlook *outlook)
{
	return du_catalog_main(outlook->facts);
}

/*
 * The token for what the plan depends on.
 */
char *
du_outlook_fingerprint(const Outlook *outlook)
{
	return du_fingerprint(outlook->facts);
}
