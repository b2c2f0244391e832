/*-------------------------------------------------------------------------
 *
 * worker_pass.c
 *	  One pass of the worker: gather, decide, and say what is to be done.
 *
 * A pass is one short transaction that looks and changes nothing but notes
 * of our own.  It never waits for the network or for an attempt: what it
 * finds that should run is left in the worker's state for the loop.  Somebody
 * who locks our tables or drops this extension meanwhile is expected.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/loop/internal.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "citus/citus.h"
#include "fence/fence.h"
#include "finalize/finalize.h"
#include "fleet/fleet.h"
#include "guards/guards.h"
#include "plan/plan.h"
#include "processes/processes.h"
#include "status/status.h"
#include "worker/source/source.h"
#include "worker/standby/standby.h"

#define LONGEST_LOCK_WAIT_MS 1000

/*
 * Notes the binary when it is another than before, so that its age is known
 * when somebody asks how long an update has been waiting.
 */
static void
note_binary(Worker *worker, const Assessment *assessment)
{
	const char *binary = du_assessment_main(assessment)->binary;

	if (binary == NULL || strcmp(worker->binary, binary) == 0)
		return;
	if (du_server_facts_note_binary(assessment->facts))
		strlcpy(worker->binary, binary, sizeof(worker->binary));
}

/* True when the target of the running attempt is what is desired, or reached. */
static bool
is_still_wanted(const Worker *worker, const Assessment *assessment)
{
	const DecisionResult *decided = &assessment->decided;

	return (decided->decision == DECISION_FINALIZE || decided->decision == DECISION_NONE) &&
		decided->target != NULL && strcmp(decided->target, worker->order.target) == 0;
}

/*
 * Ends the running attempt when what it is to reach is not wanted any more, or
 * when somebody has placed a hold.  A source that cannot be reached ends
 * nothing.
 */
static void
reconsider_attempt(Worker *worker, const Assessment *assessment)
{
	const SourceHealth health = worker->source->state.health;
	List	   *failing = du_assessment_failing_guards(assessment);
	ListCell   *lc;

	if (health == SOURCE_MISSING ||
		(health == SOURCE_OK && !is_still_wanted(worker, assessment)))
		(void) du_running_cancel(MyDatabaseId, du_main_selected(), CANCELLED_BY_WITHDRAWAL);

	foreach(lc, failing)
	{
		if (strcmp(lfirst(lc), "hold") == 0)
			(void) du_running_cancel(MyDatabaseId, du_main_selected(), CANCELLED_BY_HOLD);
	}
}

/*
 * Decides whether an attempt is due, and writes its order.
 */
static void
consider_attempt(Worker *worker, const Assessment *assessment)
{
	const WorkerFacts *facts = &worker->facts;
	AttemptOrder *order = &worker->order;

	worker->wants_attempt = assessment->decided.decision == DECISION_FINALIZE &&
		assessment->guards->nfailed == 0 && facts->source_ok && !facts->gave_up &&
		du_clock_ms() >= facts->next_retry;
	if (!worker->wants_attempt)
		return;

	memset(order, 0, sizeof(AttemptOrder));
	strlcpy(order->actor, worker->actor, sizeof(order->actor));
	strlcpy(order->role_name, worker->role_name, sizeof(order->role_name));
	strlcpy(order->extension, du_main_extension(), sizeof(order->extension));
	strlcpy(order->target, assessment->decided.target, sizeof(order->target));
	strlcpy(order->fingerprint, du_assessment_fingerprint(assessment), sizeof(order->fingerprint));
	strlcpy(order->resource_uid, facts->resource_uid, sizeof(order->resource_uid));
	order->resource_generation = facts->resource_generation;
	order->alter_first = worker->failures.alter_first;
	if (worker->changes != NULL)
		pfree(worker->changes);
	worker->changes = MemoryContextStrdup(TopMemoryContext,
										  du_plan_describe_changes(assessment->plan, assessment->facts));
	worker->companions_alone = strcmp(order->target, du_assessment_main(assessment)->installed) == 0;
}

/*
 * True while another managed set of this database wants that fence.
 */
static bool
another_is_ahead(void)
{
	int			n;
	DatabaseRecord *records = du_records_list(&n);

	for (int i = 0; i < n; i++)
	{
		if (records[i].database == MyDatabaseId && records[i].place >= 0 &&
			strcmp(records[i].set, du_main_selected()) != 0 &&
			strcmp(records[i].found.state, "schema_ahead") == 0)
			return true;
	}
	return false;
}

/*
 * Keeps the fence that the settings want while the binary is older than the
 * schema, of whichever managed set.  Versions that cannot be told leave things as they are.  A standby's
 * fence is up when it is promoted.
 */
static void
follow_binary(const Assessment *assessment)
{
	DecisionResult found = du_assessment_decide_undesired(assessment);
	bool		wanted = du_guc_schema_ahead_action == SCHEMA_AHEAD_READ_ONLY;

	if (wanted && found.decision == DECISION_REFUSE)
		return;
	if (wanted && found.decision == DECISION_SCHEMA_AHEAD)
		du_fence_raise(FENCE_SCHEMA_AHEAD, 0, found.reason,
					   psprintf("Bring back a binary of %s or later; until then only the roles of documentdb_upgrade.fence_exempt_roles can write.",
								du_assessment_main(assessment)->installed));
	else if (!wanted || !another_is_ahead())
		(void) du_fence_lift(FENCE_SCHEMA_AHEAD);
}

/*
 * What the source says of maintenance: nothing while it cannot be read.  A
 * resource that is gone wishes nothing.
 */
static MaintenanceRequest
maintenance_wish(const DesiredSource *source)
{
	const CustomResource *resource = source != NULL ? source->state.resource : NULL;

	if (source == NULL)
		return MAINTENANCE_UNKNOWN;
	switch (source->state.health)
	{
		case SOURCE_OK:
			return resource != NULL && resource->maintenance ? MAINTENANCE_ON : MAINTENANCE_OFF;
		case SOURCE_MISSING:
			return MAINTENANCE_OFF;
		case SOURCE_STARTING:
		case SOURCE_UNREACHABLE:
		case SOURCE_REFUSED:
		case SOURCE_INVALID:
			break;
	}
	return MAINTENANCE_UNKNOWN;
}

/*
 * Keeps the fences for maintenance.
 */
static void
follow_maintenance(const Worker *worker)
{
	const DesiredSource *source = worker->source;
	const CustomResource *resource = source != NULL ? source->state.resource : NULL;
	StringInfoData text;

	initStringInfo(&text);
	if (resource != NULL)
	{
		appendStringInfo(&text, "spec.maintenance of %s",
						 source->state.location ? source->state.location : "the custom resource");
		if (resource->uid != NULL)
			appendStringInfo(&text, " (uid %s, generation " INT64_FORMAT ")", resource->uid,
							 resource->generation);
	}
	du_fence_follow(worker->primary, maintenance_wish(source), text.data);
}

/*
 * Remembers the version that every standby has been found to see, so that one
 * that goes away later does not open the question again.
 */
static void
note_verified(Worker *worker, const Assessment *assessment)
{
	WorkerFacts *facts = &worker->facts;
	const char *installed = du_assessment_main(assessment)->installed;

	if (worker->primary && installed != NULL && assessment->straggler == NULL &&
		assessment->decided.decision == DECISION_NONE)
		strlcpy(facts->verified, installed, sizeof(facts->verified));
}

/*
 * Writes what a standby has to tell its upstream; it goes out later.  A server
 * that is not preloaded has no identity to report under, and a single pass in
 * another database than the worker's sees another schema.
 */
static void
compose_report(Worker *worker, const Assessment *assessment)
{
	char		identity[SHARED_IDENTITY_LENGTH];
	OwnReport	own;

	if (worker->upstream_report == NULL)
		return;
	du_identity_read(identity, NULL);
	if (identity[0] == '\0' || strcmp(get_database_name(MyDatabaseId), du_guc_main_database()) != 0)
	{
		du_upstream_report_set(worker->upstream_report, NULL, NULL);
		return;
	}
	own = du_own_report_compose(assessment, &worker->facts, worker->designated);
	du_upstream_report_set(worker->upstream_report, own.text, own.digest);
}

/*
 * The pass where this extension is installed.
 */
static void
look(Worker *worker)
{
	WorkerFacts *facts = &worker->facts;
	Assessment		assessment;

	du_assessment_open(&assessment);
	du_assessment_decide(&assessment, facts->desired);
	if (worker->primary)
	{
		note_binary(worker, &assessment);
		if (!worker->further)
			du_release_record(assessment.facts, &worker->release);
		if (!worker->attempt_runs)
			du_history_note_found(assessment.facts, worker->found);
		du_worker_recall(worker, &assessment);
		du_worker_forget_if_changed(worker, &assessment);
		if (assessment.decided.decision == DECISION_UPDATE_AVAILABLE)
			du_assessment_glance(&assessment);
	}
	if (!worker->once)
	{
		follow_binary(&assessment);
		if (!worker->further)
			follow_maintenance(worker);
	}
	du_assessment_find_state(&assessment, facts);
	strlcpy(facts->state, assessment.state.state, sizeof(facts->state));
	if (!worker->once)
		du_look_note(&assessment);
	note_verified(worker, &assessment);
	compose_report(worker, &assessment);

	worker->wants_attempt = false;
	if (worker->primary && worker->source != NULL && !assessment.is_node)
	{
		if (worker->attempt_runs)
			reconsider_attempt(worker, &assessment);
		else
			consider_attempt(worker, &assessment);
	}

	/* After a plain ALTER EXTENSION, say. */
	if (worker->primary && assessment.gate_is_stale)
		du_steps_refresh_gates(assessment.facts);
	du_worker_announce(worker, &assessment);
	du_assessment_close(&assessment);
}

/*
 * Finds this extension; one that was made anew has another history.
 */
static void
find_own_extension(Worker *worker)
{
	Oid			found = du_context_own_extension();

	if (found != worker->own_extension)
		worker->failures.recalled = false;
	worker->own_extension = found;
}

/*
 * Ends the process in a database that is served for this extension alone and
 * does not have it any more.
 */
static void
leave_bare_database(Worker *worker)
{
	if (!worker->further)
		du_look_note_bare();
	if (!du_shared_is_to_serve())
		proc_exit(0);
}

/*
 * Hears the nodes of a cluster before the pass, in a transaction of its own that
 * locks nothing: Citus waits for them inside one.
 */
static void
ask_nodes(Worker *worker)
{
	Assessment	assessment;

	if (!worker->primary)
		return;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (du_citus_role() == CITUS_COORDINATOR && OidIsValid(du_context_own_extension()))
	{
		pgstat_report_activity(STATE_RUNNING, "asking the other nodes");
		PushActiveSnapshot(GetTransactionSnapshot());
		du_assessment_open(&assessment);
		du_assessment_ask_nodes(&assessment, &worker->facts);
		du_assessment_close(&assessment);
		PopActiveSnapshot();
	}
	CommitTransactionCommand();
}

static void
pass(Worker *worker)
{
	bool		in_recovery = RecoveryInProgress();

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	pgstat_report_activity(STATE_RUNNING, "looking at the schema");
	(void) du_own_relations_lock(LONGEST_LOCK_WAIT_MS);
	PushActiveSnapshot(GetTransactionSnapshot());

	if (!worker->once)
	{
		du_worker_follow_settings();
		du_shared_leave_other_set();
	}
	if (worker->main && !worker->once)
		du_fence_follow_databases();
	find_own_extension(worker);
	if (OidIsValid(worker->own_extension))
		look(worker);
	else
	{
		worker->wants_attempt = false;
		if (!worker->once)
		{
			(void) du_fence_lift(FENCE_SCHEMA_AHEAD);
			du_fence_abandon();
		}
		if (!worker->once)
			leave_bare_database(worker);
		strlcpy(worker->facts.state, "", sizeof(worker->facts.state));
		if (worker->upstream_report != NULL)
			du_upstream_report_set(worker->upstream_report, NULL, NULL);
		if (!worker->further)
			du_worker_announce(worker, NULL);
	}

	if (!worker->once && !worker->further)
		du_fence_looked(in_recovery);
	PopActiveSnapshot();
	CommitTransactionCommand();
	worker->notice_pending = false;
	worker->obstacle_told = false;
}

/*
 * The pass where a library refuses every query until its extension is updated:
 * it decides by files and catalogue, and the attempt that it may want begins
 * with the update.
 */
static void
pass_refused(Worker *worker, const char *refusal)
{
	Assessment		assessment;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	pgstat_report_activity(STATE_RUNNING, "looking at the schema");
	(void) du_own_relations_lock(LONGEST_LOCK_WAIT_MS);
	PushActiveSnapshot(GetTransactionSnapshot());
	find_own_extension(worker);
	worker->wants_attempt = false;
	if (OidIsValid(worker->own_extension))
	{
		worker->failures.alter_first = true;
		du_assessment_open(&assessment);
		du_assessment_decide_refused(&assessment, &worker->facts, refusal);
		du_worker_forget_if_changed(worker, &assessment);
		strlcpy(worker->facts.state, assessment.state.state, sizeof(worker->facts.state));
		if (worker->primary && worker->source != NULL && !worker->attempt_runs &&
			assessment.guards != NULL)
			consider_attempt(worker, &assessment);
		du_worker_announce(worker, &assessment);
		du_assessment_close(&assessment);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	worker->notice_pending = false;
}

/* True when this extension is not the one any more that the pass has found. */
static bool
is_gone(const Worker *worker)
{
	Oid			now;

	StartTransactionCommand();
	now = du_context_own_extension();
	CommitTransactionCommand();
	return now != worker->own_extension;
}

/*
 * True for an error that says that others are at work: somebody locks what
 * the pass reads, or has dropped this extension under it.  To be called
 * outside a transaction.
 */
static bool
is_obstacle(const Worker *worker, int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_LOCK_NOT_AVAILABLE:
		case ERRCODE_T_R_DEADLOCK_DETECTED:
		case ERRCODE_T_R_SERIALIZATION_FAILURE: /* replay, on a standby */
			return true;
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_UNDEFINED_SCHEMA:
		case ERRCODE_INTERNAL_ERROR:	/* what has vanished in a cache */
			return OidIsValid(worker->own_extension) && is_gone(worker);
		default:
			return false;
	}
}

/*
 * Makes of a pass that met an obstacle one that has not been; what it has
 * remembered as stored it stores again.
 */
static void
give_up_pass(Worker *worker, const ErrorData *obstacle)
{
	worker->wants_attempt = false;
	worker->binary[0] = '\0';
	worker->release.seen[0] = '\0';
	if (worker->obstacle_told)
		return;
	worker->obstacle_told = true;
	ereport(LOG,
			(errmsg("documentdb_upgrade worker could not look at the schema, and will try again"),
			 errdetail_internal("%s%s%s", obstacle->message,
								obstacle->context ? "\n" : "",
								obstacle->context ? obstacle->context : "")));
}

/*
 * Runs a pass, or where refusal is not NULL one without queries.  What fails in
 * it is rolled back; gives back in whose words every query was refused, or NULL.
 */
static const char *
try_pass(Worker *worker, const char *refusal)
{
	MemoryContext context = CurrentMemoryContext;
	const char *volatile refused = NULL;

	PG_TRY();
	{
		if (refusal == NULL)
		{
			ask_nodes(worker);
			pass(worker);
		}
		else
			pass_refused(worker, refusal);
	}
	PG_CATCH();
	{
		ErrorData  *edata;
		bool		by_library = refusal == NULL && du_query_was_refused();

		if (worker->once)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		if (by_library)
			refused = edata->message;
		else if (is_obstacle(worker, edata->sqlerrcode))
			give_up_pass(worker, edata);
		else
			ReThrowError(edata);
	}
	PG_END_TRY();
	return refused;
}

/*
 * One pass.  Runs a transaction.  One that meets an obstacle is rolled back
 * and leaves nothing to be done; the next one finds what has become of it.
 * May raise only what is unexpected, and for tick() also what is not.
 */
void
du_worker_pass(Worker *worker)
{
	const char *refusal = try_pass(worker, NULL);

	if (refusal != NULL)
		(void) try_pass(worker, refusal);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}
