/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  What becomes of an attempt that fails.
 *
 * An error is said in terms of the upgrade: which limit was reached, who is in
 * the way, which step and line of which script.  Then it is recorded and
 * raised again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "citus/citus.h"
#include "plan/plan.h"
#include "processes/processes.h"

/*
 * True for what the server raises when it answers an interrupt: a script can
 * raise the same SQLSTATE.
 */
static bool
is_interrupt(const ErrorData *edata)
{
	return edata->funcname != NULL && strcmp(edata->funcname, "ProcessInterrupts") == 0;
}

/*
 * What an error means that tells more than who has raised it: somebody ended
 * the attempt, a limit did, or others were in the way.  Any other one is of
 * the cause given.
 */
FailureCause
du_attempt_cause_of(const ErrorData *edata, FailureCause otherwise)
{
	const char *cancel_reason = du_running_cancel_reason();

	if (cancel_reason != NULL)
		return strcmp(cancel_reason, CANCELLED_BY_CALL) == 0 ? CAUSE_CANCEL : CAUSE_HOLD;
	switch (edata->sqlerrcode)
	{
		case ERRCODE_LOCK_NOT_AVAILABLE:
		case ERRCODE_T_R_DEADLOCK_DETECTED:
		case ERRCODE_T_R_SERIALIZATION_FAILURE:
			return CAUSE_LOCK;
		case ERRCODE_QUERY_CANCELED:
			if (du_limits_reached() == LIMIT_DURATION)
				return CAUSE_LIMIT;
			return is_interrupt(edata) ? CAUSE_CANCEL : otherwise;
		case ERRCODE_CONFIGURATION_LIMIT_EXCEEDED:
			return du_lock_budget_exceeded() ? CAUSE_LIMIT : otherwise;
		case ERRCODE_INTERNAL_ERROR:
			/* What older minor releases say to the slower of two updates. */
			return strncmp(edata->message, "tuple concurrently ", strlen("tuple concurrently ")) == 0 ?
				CAUSE_RACE : otherwise;
		default:
			return otherwise;
	}
}

/*
 * True for the loss of a connection, or of the session at its other end.
 */
static bool
is_loss(const ErrorData *edata)
{
	switch (edata->sqlerrcode)
	{
		case ERRCODE_ADMIN_SHUTDOWN:
		case ERRCODE_CRASH_SHUTDOWN:
		case ERRCODE_CANNOT_CONNECT_NOW:
			return true;
		default:
			return ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_CONNECTION_EXCEPTION;
	}
}

/*
 * What an error from another node means, where that tells more than who has
 * raised it there.
 */
static FailureCause
cause_on_node(const ErrorData *edata, FailureCause otherwise)
{
	if (is_loss(edata))
		return CAUSE_NODE;
	return strstr(edata->message, "refused by guard") != NULL ? CAUSE_GUARD : otherwise;
}

/*
 * True when ALTER EXTENSION itself was refused by a library, before its script
 * began and not in the server's own words.
 */
static bool
is_statement_refused(const Attempt *attempt, const ErrorData *edata)
{
	return attempt->steps.current >= 0 && attempt->steps.in_script && du_trace_offset() < 0 &&
		(edata->sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE ||
		 edata->sqlerrcode == ERRCODE_FEATURE_NOT_SUPPORTED) &&
		(edata->filename == NULL || strcmp(edata->filename, "extension.c") != 0);
}

/*
 * True when a query of ours was refused by a library, before any script ran.
 */
bool
du_attempt_query_refused(const Attempt *attempt)
{
	return !attempt->refused && attempt->steps.current < 0 &&
		attempt->stage <= STAGE_LOCKING_RELATIONS && du_query_was_refused();
}

/*
 * Who has raised an error that is to be recorded, if nothing else is known
 * about it.
 */
static FailureCause
raised_by(const Attempt *attempt, const ErrorData *edata)
{
	if (du_citus_node_of_error(edata) != NULL)
		return cause_on_node(edata, attempt->steps.current >= 0 ? CAUSE_SCRIPT : CAUSE_SERVER);
	if (is_statement_refused(attempt, edata) || du_attempt_query_refused(attempt))
		return CAUSE_LIBRARY;
	if (attempt->steps.current >= 0)
		return attempt->steps.in_script ? CAUSE_SCRIPT : CAUSE_RACE;
	switch (attempt->stage)
	{
		case STAGE_LOCKING_EXTENSIONS:
			return edata->sqlerrcode == ERRCODE_OBJECT_IN_USE ? CAUSE_RACE : CAUSE_SERVER;
		case STAGE_CHECKING:
			return CAUSE_CHECK;
		case STAGE_DECIDING:
		case STAGE_LOCKING_RELATIONS:
		case STAGE_RUNNING:
			break;
	}
	return CAUSE_SERVER;
}

/*
 * Turns a cancel into what it means: a limit, or somebody who asked for it.
 */
static void
explain_cancel(Attempt *attempt, ErrorData *edata)
{
	LimitReached limit = du_limits_reached();
	const char *cancel_reason = du_running_cancel_reason();

	/* The server's own lock_timeout, not a NOWAIT of the script's. */
	bool		lock_timeout = edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE &&
	is_interrupt(edata);

	if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED && cancel_reason != NULL)
	{
		edata->message = psprintf("upgrade of extension \"%s\" was cancelled because %s",
								  attempt->record.extension, cancel_reason);
		return;
	}
	if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED && limit == LIMIT_DURATION)
	{
		edata->message = psprintf("upgrade of extension \"%s\" exceeded its time limit of %d ms",
								  attempt->record.extension, du_guc_attempt_timeout);
		edata->hint = "Raise documentdb_upgrade.attempt_timeout if the scripts need longer.";
		return;
	}
	if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED && limit == LIMIT_LOCK_WAITS)
		lock_timeout = true;
	if (!lock_timeout)
		return;

	if (attempt->stage == STAGE_LOCKING_EXTENSIONS)
	{
		edata->sqlerrcode = ERRCODE_OBJECT_IN_USE;
		edata->message = psprintf("another upgrade of extension \"%s\" is running",
								  attempt->record.extension);
		edata->hint = "Wait until it has ended, then look at the installed version.";
		return;
	}
	edata->sqlerrcode = ERRCODE_LOCK_NOT_AVAILABLE;
	edata->message = psprintf("could not get all locks for the upgrade of extension \"%s\" within %d ms",
							  attempt->record.extension, attempt->lock_budget);
	edata->hint = psprintf("Try again later. Who is in the way is shown by SELECT detail, hint FROM documentdb_upgrade.preflight(%s) WHERE guard = 'blocking_sessions';",
						   du_main_argument(true));
}

/*
 * Names those who hold what the attempt could not get.  They are looked for
 * after the rollback, so somebody who has just let go is missed.
 */
static void
name_blockers(Attempt *attempt, ErrorData *edata)
{
	StringInfoData detail;
	List	   *blockers;
	ListCell   *lc;

	if (attempt->stage == STAGE_LOCKING_EXTENSIONS &&
		edata->sqlerrcode == ERRCODE_OBJECT_IN_USE)
		blockers = du_holders_of_extensions(attempt->facts);
	else if (edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE &&
			 attempt->server_facts != NULL)
		blockers = du_holders_of_relations(du_plan_locks(attempt->plan));
	else
		return;

	initStringInfo(&detail);
	foreach(lc, blockers)
	{
		const Blocker *blocker = lfirst(lc);

		appendStringInfo(&detail, "%s%s holds %s.", detail.len > 0 ? "\n" : "",
						 blocker->who, blocker->holds);
	}
	if (detail.len > 0)
		edata->detail = detail.data;
}

/*
 * Says which form of an attempt can do what a library has refused here.
 */
static void
explain_refusal(const Attempt *attempt, ErrorData *edata)
{
	const PlanStep *step = attempt->plan->nsteps > 0 ? &attempt->plan->steps[0] : NULL;

	if (attempt->record.cause != CAUSE_LIBRARY)
		return;
	if (edata->detail == NULL)
		edata->detail = edata->hint;
	if (!attempt->alter_first)
		edata->hint = psprintf("Run SELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize_detached(%s%s); its process begins with the update.",
							   quote_literal_cstr(attempt->record.to_version), du_main_argument(false));
	else if (step != NULL)
		edata->hint = psprintf("Run %s; as the first statement of a session.",
							   du_plan_statement(attempt->facts->extensions[step->extension].name, step->to));
}

/*
 * A step that finds a table in use, after other steps of the same transaction,
 * may find it free when those are committed.
 */
static void
propose_steps(const Attempt *attempt, ErrorData *edata)
{
	if (edata->sqlerrcode != ERRCODE_OBJECT_IN_USE || edata->hint != NULL || attempt->refused ||
		attempt->stage != STAGE_RUNNING || attempt->steps.current < 1)
		return;
	edata->hint = psprintf("Steps that do not work in one transaction may work one by one: SELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize_to(%s, one_transaction => false%s);",
						   quote_literal_cstr(attempt->plan->target), du_main_argument(false));
}

/*
 * Names the node of a cluster that an error comes from, and gives the record
 * the same.
 */
static void
name_node(Attempt *attempt, ErrorData *edata)
{
	const char *node = du_citus_node_of_error(edata);
	StringInfoData buf;

	if (node == NULL)
		return;
	initStringInfo(&buf);
	du_write_open(&buf, NULL, '[');
	du_write_open(&buf, NULL, '{');
	du_write_text(&buf, "node", node);
	du_write_text(&buf, "error", edata->message);
	du_write_close(&buf, '}');
	du_write_close(&buf, ']');
	attempt->record.nodes = buf.data;
	if (edata->hint == NULL)
		edata->hint = psprintf("The error is one of node %s; what was done on the others was rolled back with it.", node);
}

/*
 * Says an error in terms of the upgrade, in the error and in the attempt's
 * record: which limit was reached, who is in the way, which step and line.
 * The subtransaction is rolled back.
 */
void
du_attempt_explain(Attempt *attempt, ErrorData *edata)
{
	AttemptRecord *record = &attempt->record;
	ScriptLocation location;

	explain_cancel(attempt, edata);
	record->cause = attempt->refused ? CAUSE_GUARD :
		du_attempt_cause_of(edata, raised_by(attempt, edata));
	du_running_end();
	location = du_steps_describe_error(&attempt->steps, edata);
	explain_refusal(attempt, edata);
	name_node(attempt, edata);
	propose_steps(attempt, edata);
	if (!attempt->alter_first)
		name_blockers(attempt, edata);

	record->outcome = "failed";
	if (attempt->refused)
		record->outcome = "refused";
	else if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED &&
			 (record->cause == CAUSE_CANCEL || record->cause == CAUSE_HOLD))
		record->outcome = "cancelled";
	record->finished_at = GetCurrentTimestamp();
	record->sqlstate = edata->sqlerrcode;
	record->message = edata->message;
	record->detail = edata->detail;
	record->hint = edata->hint;
	record->context = edata->context;
	record->script = location.script;
	record->script_line = location.line;
	if (attempt->steps.plan != NULL)
		record->steps = du_steps_report(&attempt->steps);
}

/*
 * Records a failure that was explained and raises it again.  The
 * subtransaction is rolled back.
 */
void
du_attempt_fail(const Attempt *attempt, ErrorData *edata)
{
	du_recorder_record_now(du_history_json(&attempt->record));
	ReThrowError(edata);
}

/*
 * Leaves a record for the case that the session ends in the middle: then no
 * error handler of ours runs, but the abort of its transaction still does.
 */
void
du_attempt_prepare_for_end_of_session(const Attempt *attempt)
{
	AttemptRecord record = attempt->record;

	record.outcome = "failed";
	record.finished_at = record.started_at;
	record.cause = CAUSE_END;
	record.sqlstate = ERRCODE_ADMIN_SHUTDOWN;
	record.message = "the session ended during the attempt";
	du_recorder_record_on_abort(du_history_json(&record));
}
