/*-------------------------------------------------------------------------
 *
 * attempt_stages.c
 *	  The stages that a finalize and its rehearsal have in common.
 *
 * Lock first, then look: what was read before a lock was waited for is read
 * again after it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "storage/proc.h"

#include "base/base.h"
#include "citus/citus.h"
#include "extension/extension.h"
#include "guards/guards.h"
#include "plan/plan.h"

static bool running = false;

/*
 * Refuses callers whose transaction cannot carry an upgrade: 25006 for one
 * that is read-only, 25001 for one with a single snapshot, 55006 from within
 * an upgrade.  The verb says what they want to do.
 */
void
du_stage_check_transaction(const char *verb)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot %s on a standby", verb),
				 errhint("Connect to the primary; its commit reaches every standby.")));
	if (XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot %s in a read-only transaction", verb),
				 errhint("Use a READ WRITE transaction.")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot %s in a REPEATABLE READ or SERIALIZABLE transaction", verb),
				 errdetail("An upgrade must see all that was committed before it got its locks."),
				 errhint("Use a READ COMMITTED transaction.")));
	if (running)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot %s from within an upgrade", verb)));
}

/*
 * Notes that an upgrade runs in this process, or that it has ended.
 */
void
du_stage_set_running(bool value)
{
	running = value;
}

/*
 * The decision for this request over the facts.
 */
DecisionResult
du_stage_decide(const Attempt *attempt)
{
	const ExtensionFacts *extension = du_managed_main(attempt->facts);
	DecisionInput input = {0};

	if (attempt->plan->named && extension->installed != NULL)
	{
		bool		there = attempt->plan->target_exists &&
			strcmp(attempt->plan->target, extension->installed) == 0 && attempt->plan->behind == NULL;
		DecisionResult decided = {there ? DECISION_NONE : DECISION_FINALIZE, attempt->plan->target,
		"Both ends are named."};

		return decided;
	}
	input.desired = attempt->request->target ? attempt->request->target : "auto";
	input.installed = extension->installed;
	input.binary = extension->binary;
	input.limit = extension->limit;
	input.behind = attempt->plan->behind;
	return du_decide(&input);
}

/*
 * Reads the facts and plans; cheap enough to do before any lock.
 */
void
du_stage_look(Attempt *attempt)
{
	const ExtensionFacts *extension;

	attempt->facts = du_managed_gather();
	attempt->plan = attempt->request->from != NULL ?
		du_plan_make_named(attempt->facts, attempt->request->target) :
		du_plan_make(attempt->facts, attempt->request->target);
	extension = du_managed_main(attempt->facts);
	attempt->record.extension = extension->name;
	attempt->record.from_version = extension->installed;
	attempt->record.to_version = attempt->plan->target;
	attempt->record.changes = du_plan_changes(attempt->plan, attempt->facts);
}

/* True when two looks have found the same extensions, none made anew. */
static bool
same_extensions(const UpgradeFacts *a, const UpgradeFacts *b)
{
	if (a->nextensions != b->nextensions)
		return false;
	for (int i = 0; i < a->nextensions; i++)
	{
		if (a->extensions[i].oid != b->extensions[i].oid)
			return false;
	}
	return true;
}

/*
 * Locks the managed set and looks again, until what is locked is what is
 * seen: an extension could be dropped and created anew while we wait.
 */
void
du_stage_lock_and_look(Attempt *attempt)
{
	const UpgradeFacts *locked;

	do
	{
		attempt->stage = STAGE_LOCKING_EXTENSIONS;
		locked = attempt->facts;
		du_locks_take_extensions(locked);

		attempt->stage = STAGE_DECIDING;
		du_stage_look(attempt);
	} while (!same_extensions(locked, attempt->facts));
}

/*
 * Bounds the attempt, never later than a limit that the caller already has.
 * The server's lock_timeout serves for a single long wait.
 */
void
du_stage_start_limits(Attempt *attempt)
{
	attempt->lock_budget = du_guc_lock_timeout;
	if (LockTimeout > 0)
		attempt->lock_budget = Min(attempt->lock_budget, LockTimeout);
	du_context_set("lock_timeout", psprintf("%d", attempt->lock_budget));
	du_limits_start(attempt->lock_budget, du_guc_attempt_timeout);
}

/*
 * Has the steps run on the other nodes of a cluster as they do here: with the
 * settings that are pinned, and within the same limits.  SPI must be
 * connected.
 */
void
du_stage_announce_to_nodes(const Attempt *attempt)
{
	if (du_citus_role() == CITUS_COORDINATOR)
		du_citus_announce_attempt(attempt->lock_budget, du_guc_attempt_timeout);
}

/*
 * Raises the refusal of the guards, in the words of the first that fails.
 * One must.
 */
void
du_stage_refuse(Attempt *attempt, const GuardResults *results, const char *verb)
{
	StringInfoData detail;
	const GuardResult *first = NULL;

	initStringInfo(&detail);
	for (int i = 0; i < results->nresults; i++)
	{
		const GuardResult *result = &results->results[i];

		if (result->status != GUARD_FAIL)
			continue;
		if (first == NULL)
			first = result;
		attempt->record.refused_by = lappend(attempt->record.refused_by,
											 unconstify(char *, result->guard));
		appendStringInfo(&detail, "%s%s: %s", detail.len > 0 ? "\n" : "",
						 result->guard, result->detail);
	}

	Assert(first != NULL);
	attempt->refused = true;
	ereport(ERROR,
			(errcode(first->sqlstate),
			 errmsg("cannot %s extension \"%s\" to \"%s\": refused by guard \"%s\"",
					verb, attempt->record.extension,
					attempt->record.to_version ? attempt->record.to_version : "unknown",
					first->guard),
			 errdetail_internal("%s", detail.data),
			 first->hint ? errhint("%s", first->hint) : 0));
}
