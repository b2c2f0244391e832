/*-------------------------------------------------------------------------
 *
 * assessment.c
 *	  Where this server stands: facts, plan, guards, decision and state of
 *	  one moment.
 *
 * The one place where what was gathered, decided and evaluated comes
 * together, so that view status, preflight() and the worker never disagree.
 * An assessment is opened and closed within one transaction.
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
#include "citus/citus.h"
#include "cluster/cluster.h"
#include "extension/extension.h"
#include "fence/fence.h"
#include "finalize/finalize.h"
#include "fleet/fleet.h"
#include "guards/guards.h"
#include "plan/plan.h"
#include "processes/processes.h"

/*
 * Opens an assessment: execution context, SPI and facts, with results in the
 * current memory context.
 */
void
du_assessment_open(Assessment *assessment)
{
	MemoryContext memory = CurrentMemoryContext;

	memset(assessment, 0, sizeof(Assessment));
	du_context_enter(&assessment->context);
	SPI_connect();
	MemoryContextSwitchTo(memory);
	assessment->facts = du_managed_gather();
	assessment->in_recovery = RecoveryInProgress();
	assessment->is_node = du_citus_role() == CITUS_WORKER &&
		du_citus_carries(du_managed_main(assessment->facts)->name);
}

/*
 * Closes it; what was gathered stays.
 */
void
du_assessment_close(Assessment *assessment)
{
	MemoryContext memory = CurrentMemoryContext;

	SPI_finish();
	MemoryContextSwitchTo(memory);
	du_context_leave(&assessment->context);
}

/*
 * Plans for a target (NULL: the binary version) and reads the scripts.
 */
void
du_assessment_plan(Assessment *assessment, const char *target)
{
	assessment->plan = du_plan_make(assessment->facts, target);
	du_plan_read_scripts(assessment->plan, assessment->facts);
}

/*
 * Has the steps of the plan show the risk that a rehearsal of the same script
 * has seen, instead of what its text says.
 */
void
du_assessment_recall_risks(Assessment *assessment)
{
	for (int i = 0; i < assessment->plan->nsteps; i++)
	{
		PlanStep   *step = &assessment->plan->steps[i];
		RememberedRisk seen = du_rehearsals_recall_step(assessment->facts->extensions[step->extension].name,
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
du_assessment_evaluate_guards(Assessment *assessment, bool warnings)
{
	GuardInput	input;

	if (du_server_facts_can_write())
		(void) du_server_facts_note_binary(assessment->facts);
	input = du_guards_gather(assessment->facts, assessment->plan, assessment->context.caller,
							 warnings || du_guards_can_fail("members_intact"), GUARD_NODES_ALL,
							 assessment->nodes_age_ms);
	assessment->guards = du_guards_evaluate(&input, NIL);
	assessment->missing = input.server_facts->libraries.missing;
}

/*
 * Evaluates those guards that need no query, over a plan that was made: what a
 * look every few seconds can afford for an update that is only announced.
 */
void
du_assessment_glance(Assessment *assessment)
{
	GuardInput	input;

	du_plan_read_scripts(assessment->plan, assessment->facts);
	input = du_guards_look(assessment->facts, assessment->plan, assessment->context.caller);
	assessment->guards = du_guards_evaluate_first(&input, NIL);
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

/*
 * What a desired version means here; companions count once there is a plan.
 */
DecisionResult
du_assessment_decide_for(const Assessment *assessment, const char *desired)
{
	const ExtensionFacts *extension = du_managed_main(assessment->facts);
	DecisionInput input = {0};

	input.desired = desired;
	input.installed = extension->installed;
	input.binary = extension->binary;
	input.limit = extension->limit;
	if (assessment->plan != NULL)
		input.behind = assessment->plan->behind;
	return du_decide(&input);
}

/*
 * What binary and schema are to each other, whatever is desired.
 */
DecisionResult
du_assessment_decide_undesired(const Assessment *assessment)
{
	return du_assessment_decide_for(assessment, "");
}

/*
 * Plans for what is desired and decides; reads the scripts only when they are
 * to run.
 */
void
du_assessment_decide(Assessment *assessment, const char *desired)
{
	assessment->plan = du_plan_make(assessment->facts, target_of_interest(desired));
	assessment->desired = desired;
	assessment->decided = du_assessment_decide_for(assessment, desired);
	assessment->nodes_age_ms = du_guc_poll_interval;

	if (assessment->decided.decision == DECISION_FINALIZE)
	{
		du_plan_read_scripts(assessment->plan, assessment->facts);
		du_assessment_evaluate_guards(assessment, false);
	}
}

/* Why no worker serves this database; NULL when none is meant to. */
static const char *
why_absent(void)
{
	LauncherFacts launcher;
	DatabaseRecord record;

	if (!du_shared_exists())
		return "documentdb_upgrade is not in shared_preload_libraries";
	du_shared_read_launcher(&launcher);
	if (du_records_read(MyDatabaseId, du_main_selected(), &record) && record.worker_problem[0] != '\0')
		return psprintf("%s %s", record.worker_problem, record.worker_hint);
	if (launcher.problem[0] != '\0')
		return psprintf("%s %s", launcher.problem, launcher.hint);
	if (!du_shared_is_to_serve())
		return psprintf("it serves database \"%s\" (documentdb_upgrade.database)", du_guc_database);
	if (!du_records_read(MyDatabaseId, du_main_selected(), &record) && launcher.pid != 0)
		return psprintf("%d databases are kept track of, and this one is not among them; raise documentdb_upgrade.max_databases and restart PostgreSQL",
						du_guc_max_databases);
	if (launcher.pid == 0)
		return "its launcher does not run, perhaps because no background worker was free (max_worker_processes)";
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
		if (attempts[i].database != MyDatabaseId ||
			strcmp(attempts[i].extension, du_main_extension()) != 0)
			continue;
		view.attempt_runs = true;
		view.commits = attempts[i].commit_begun;
		view.step = attempts[i].step;
		view.nsteps = attempts[i].nsteps;
		view.attempt_of_session = strcmp(attempts[i].actor, "function") == 0 ? attempts[i].pid : 0;
	}
	if (worker == NULL)
	{
		view.absent_because = why_absent();
		if (du_guc_source != SOURCE_KIND_SETTING)
			view.unread_source = du_guc_source_name(du_guc_source);
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
	view.wish = worker->wish[0] ? worker->wish : NULL;
	view.gave_up = worker->gave_up;
	view.failures = worker->failures;
	view.next_retry = worker->next_retry != 0 ? du_clock_to_timestamp(worker->next_retry) : 0;
	return view;
}

/* Who upgrades a worker node. */
static void
set_place(const Assessment *assessment, StateInput *input)
{
	const CitusNode *coordinator = assessment->is_node ? du_citus_coordinator() : NULL;

	input->is_node = assessment->is_node;
	input->coordinator = coordinator != NULL ? coordinator->name : NULL;
}

static const char *
join_sentences(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	return psprintf("%s %s", a, b);
}

/* True until the worker has once found that everybody sees what is installed. */
static bool
is_to_be_verified(const Assessment *assessment, const WorkerFacts *worker)
{
	const char *installed = du_managed_main(assessment->facts)->installed;

	return installed != NULL && (worker == NULL || strcmp(worker->verified, installed) != 0);
}

/*
 * Sentences about nodes of a cluster that do not see the installed schema in
 * force yet, NULL when all do or that is not asked any more.
 */
static const char *
straggling_nodes(const Assessment *assessment, const WorkerFacts *worker, bool strict)
{
	const Cluster *cluster;

	if (!is_to_be_verified(assessment, worker))
		return NULL;
	cluster = du_cluster_look(assessment->facts);
	if (cluster->role != CITUS_COORDINATOR || !cluster->carried)
		return NULL;
	cluster = du_cluster_gather(assessment->facts, NULL, CLUSTER_VERSIONS, assessment->nodes_age_ms);
	return du_nodes_straggler(cluster, assessment->facts, strict);
}

/*
 * Asks the nodes of a cluster what a look at the desired version will want to
 * know of them: so it need not, and holds nothing while it waits for them.
 */
void
du_assessment_ask_nodes(Assessment *assessment, const WorkerFacts *worker)
{
	Cluster    *cluster = du_cluster_look(assessment->facts);

	if (cluster->role != CITUS_COORDINATOR || !cluster->carried)
		return;
	assessment->plan = du_plan_make(assessment->facts, target_of_interest(worker->desired));
	switch (du_assessment_decide_for(assessment, worker->desired).decision)
	{
		case DECISION_FINALIZE:
			du_plan_read_scripts(assessment->plan, assessment->facts);
			(void) du_cluster_gather(assessment->facts, assessment->plan, CLUSTER_GUARDS, du_guc_poll_interval / 2);
			break;
		case DECISION_NONE:
			if (is_to_be_verified(assessment, worker))
				(void) du_cluster_gather(assessment->facts, NULL, CLUSTER_VERSIONS, du_guc_poll_interval / 2);
			break;
		case DECISION_NOT_INSTALLED:
		case DECISION_REFUSE:
		case DECISION_SCHEMA_AHEAD:
		case DECISION_WAIT:
		case DECISION_UPDATE_AVAILABLE:
			break;
	}
}

/*
 * Sentences about standbys, and nodes of a cluster, that do not see the installed
 * schema in force yet, NULL when all do or none can be heard.  Those that say nothing count until
 * the worker has once found that all see this version, unless the guard does
 * not insist on them either.
 */
const char *
du_assessment_straggler(const Assessment *assessment, const WorkerFacts *worker)
{
	const char *installed = du_managed_main(assessment->facts)->installed;
	bool		strict = du_guards_can_fail("standbys_ready") &&
	(worker == NULL || installed == NULL || strcmp(worker->verified, installed) != 0);
	const Fleet *fleet;
	const char *straggler;

	if (assessment->in_recovery || installed == NULL)
		return NULL;
	straggler = straggling_nodes(assessment, worker, strict);
	fleet = du_fleet_gather();
	if (!fleet->known)
		return straggler;
	straggler = join_sentences(straggler, du_fleet_straggler(fleet, assessment->facts, strict));
	if (fleet->missing_synchronous == NULL)
		return straggler;
	return join_sentences(psprintf("What was committed last may be on this server alone: %s",
								   fleet->missing_synchronous), straggler);
}

/*
 * Finds the state of what was decided.  worker is what the worker that
 * serves this database says, or NULL when none does.
 */
void
du_assessment_find_state(Assessment *assessment, const WorkerFacts *worker)
{
	const ExtensionFacts *extension = du_managed_main(assessment->facts);
	StateInput	input = {0};
	LibraryFacts libraries;

	du_history_recall_failures(extension->name, &assessment->failures);
	input.facts = assessment->facts;
	input.plan = assessment->plan;
	input.guards = assessment->guards;
	input.missing = assessment->missing;
	input.decided = assessment->decided;
	input.in_recovery = assessment->in_recovery;
	set_place(assessment, &input);
	if (extension->installed != NULL)
		input.gate = du_loaded_gate(extension->installed);
	if (assessment->decided.decision == DECISION_NONE)
	{
		libraries = du_library_facts(assessment->facts);
		input.libraries = &libraries;
		assessment->straggler = input.straggler = du_assessment_straggler(assessment, worker);
		assessment->others_behind = input.others_behind = du_databases_behind();
	}
	input.last_error = worker != NULL && worker->last_error[0] ?
		worker->last_error : assessment->failures.last_error;
	input.fence_wanted = du_guc_schema_ahead_action == SCHEMA_AHEAD_READ_ONLY;
	input.fence = du_fence_notice();
	input.by_procedure = du_context_has_procedure_alone(assessment->context.caller);
	input.worker = view_of(worker);
	if (input.worker.commits)
		input.missing_synchronous = du_fleet_gather()->missing_synchronous;
	assessment->attempt_of_session = input.worker.attempt_of_session != 0;
	assessment->gate_is_stale = du_state_gate_is_stale(extension->installed, input.gate);
	assessment->fence = du_fence_sentence();
	assessment->maintenance = du_shared_exists() && du_fence_since() != 0;
	assessment->state = du_state_of(&input);
}

/*
 * Decides and finds the state where a library refuses every query, in its
 * words: without one.
 */
void
du_assessment_decide_refused(Assessment *assessment, const WorkerFacts *worker, const char *refusal)
{
	StateInput	input = {0};

	assessment->plan = du_plan_make(assessment->facts, target_of_interest(worker->desired));
	assessment->desired = worker->desired;
	assessment->decided = du_assessment_decide_for(assessment, worker->desired);
	if (assessment->decided.decision == DECISION_FINALIZE)
	{
		GuardInput	guards;

		du_plan_read_scripts(assessment->plan, assessment->facts);
		guards = du_guards_look(assessment->facts, assessment->plan, assessment->context.caller);
		assessment->guards = du_guards_evaluate_first(&guards, NIL);
	}
	input.facts = assessment->facts;
	input.plan = assessment->plan;
	input.guards = assessment->guards;
	input.decided = assessment->decided;
	input.in_recovery = assessment->in_recovery;
	set_place(assessment, &input);
	input.last_error = worker->last_error[0] ? worker->last_error : NULL;
	input.by_procedure = du_context_has_procedure_alone(assessment->context.caller);
	input.worker = view_of(worker);
	assessment->state = du_state_of_refused(&input, refusal);
}

/*
 * Names of the guards that fail, NIL when none were evaluated.
 */
List *
du_assessment_failing_guards(const Assessment *assessment)
{
	List	   *names = NIL;

	for (int i = 0; assessment->guards != NULL && i < assessment->guards->nresults; i++)
	{
		if (assessment->guards->results[i].status == GUARD_FAIL)
			names = lappend(names, unconstify(char *, assessment->guards->results[i].guard));
	}
	return names;
}

/*
 * The main extension.
 */
const ExtensionFacts *
du_assessment_main(const Assessment *assessment)
{
	return du_managed_main(assessment->facts);
}

/*
 * The token for what the plan depends on.
 */
char *
du_assessment_fingerprint(const Assessment *assessment)
{
	return du_fingerprint(assessment->facts);
}
