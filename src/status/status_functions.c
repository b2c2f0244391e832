/*-------------------------------------------------------------------------
 *
 * status_functions.c
 *	  The SQL functions that look and change nothing.
 *
 * Each takes an assessment and turns it into rows.  What they mean for users is said in the install script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "status/internal.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "extension/extension.h"
#include "guards/guards.h"
#include "plan/plan.h"
#include "processes/processes.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_schema_version);
PG_FUNCTION_INFO_V1(documentdb_upgrade_binary_version);
PG_FUNCTION_INFO_V1(documentdb_upgrade_loaded_version);
PG_FUNCTION_INFO_V1(documentdb_upgrade_managed_versions);
PG_FUNCTION_INFO_V1(documentdb_upgrade_decide_here);
PG_FUNCTION_INFO_V1(documentdb_upgrade_plan);
PG_FUNCTION_INFO_V1(documentdb_upgrade_plan_sql);
PG_FUNCTION_INFO_V1(documentdb_upgrade_script_objects);
PG_FUNCTION_INFO_V1(documentdb_upgrade_preflight);
PG_FUNCTION_INFO_V1(documentdb_upgrade_can_finalize);
PG_FUNCTION_INFO_V1(documentdb_upgrade_upgrade_fingerprint);
PG_FUNCTION_INFO_V1(documentdb_upgrade_current_status);
PG_FUNCTION_INFO_V1(documentdb_upgrade_run_status);

static Datum
text_or_null(FunctionCallInfo fcinfo, const char *value)
{
	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(value));
}

/*
 * schema_version() returns text
 *
 * The catalogue alone is read, so that the function stays cheap.
 */
Datum
documentdb_upgrade_schema_version(PG_FUNCTION_ARGS)
{
	return text_or_null(fcinfo, du_extension_installed_version(du_main_extension(), NULL));
}

/*
 * binary_version() returns text
 */
Datum
documentdb_upgrade_binary_version(PG_FUNCTION_ARGS)
{
	Assessment		assessment;
	const char *version;

	du_assessment_open(&assessment);
	version = du_managed_main(assessment.facts)->binary;
	du_assessment_close(&assessment);
	return text_or_null(fcinfo, version);
}

/*
 * loaded_version() returns text
 */
Datum
documentdb_upgrade_loaded_version(PG_FUNCTION_ARGS)
{
	Assessment		assessment;
	const char *version;

	du_assessment_open(&assessment);
	version = du_loaded_version(du_managed_main(assessment.facts));
	du_assessment_close(&assessment);
	return text_or_null(fcinfo, version);
}

/* Puts the rows of one managed set; arg is the call. */
static void
put_versions(void *arg)
{
	Assessment		assessment;

	du_assessment_open(&assessment);
	assessment.plan = du_plan_make(assessment.facts, NULL);
	for (int i = 0; i < assessment.facts->nextensions; i++)
	{
		const ExtensionFacts *extension = &assessment.facts->extensions[i];
		bool		is_main = i == assessment.facts->main;
		ResultRow	row = {0};

		du_row_add_text(&row, extension->name);
		du_row_add_text(&row, extension->installed);
		du_row_add_text(&row, extension->binary);
		du_row_add_text(&row, is_main ? du_loaded_version(extension) : NULL);
		du_row_add_text(&row, is_main && extension->installed ? du_loaded_gate(extension->installed) : NULL);
		du_row_add_text(&row, assessment.plan->targets[i].target);
		du_row_add_text(&row, du_main_extension());
		du_row_put(arg, &row);
	}
	du_assessment_close(&assessment);
}

/*
 * managed_versions() returns the rows of view versions
 *
 * What the objects of 1.0.0 do not ask for is left out.
 */
Datum
documentdb_upgrade_managed_versions(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	du_main_run_each(put_versions, fcinfo);
	return (Datum) 0;
}

/* The locks that a step is known to take, for people. */
static List *
describe_locks(const PlanStep *step)
{
	List	   *locks = NIL;

	for (int i = 0; i < step->nlocks; i++)
		locks = lappend(locks,
						psprintf("%s on %s",
								 GetLockmodeName(DEFAULT_LOCKMETHOD, step->locks[i].mode),
								 step->locks[i].name));
	return locks;
}

/*
 * Why there are no steps although another version was asked for: a row without
 * a step.  Nothing when there is nothing to do.
 */
static void
put_reason(FunctionCallInfo fcinfo, Assessment *assessment)
{
	static const char *const guards[] = {
		"installed", "target_known", "not_downgrade", "within_binary", "update_path", "companions_aligned"
	};
	const ExtensionFacts *extension = du_managed_main(assessment->facts);
	const GuardResult *reason = NULL;
	ResultRow	row = {0};

	du_assessment_evaluate_guards(assessment, false);
	for (int i = 0; i < assessment->guards->nresults && reason == NULL; i++)
	{
		const GuardResult *result = &assessment->guards->results[i];

		for (int j = 0; j < lengthof(guards); j++)
		{
			if (result->status == GUARD_FAIL && strcmp(result->guard, guards[j]) == 0)
				reason = result;
		}
	}
	if (reason == NULL)
		return;
	du_row_add_null(&row);
	du_row_add_text(&row, extension->name);
	du_row_add_text(&row, extension->installed);
	du_row_add_text(&row, assessment->plan->target);
	du_row_add_null(&row);
	du_row_add_null(&row);
	du_row_add_null(&row);
	du_row_add_text(&row, psprintf("%s %s", reason->detail, reason->hint));
	du_row_add_null(&row);
	du_row_put(fcinfo, &row);
}

static Datum
plan(FunctionCallInfo fcinfo)
{
	Assessment		assessment;
	char	   *target = du_version_argument(fcinfo, 0);

	InitMaterializedSRF(fcinfo, 0);
	du_assessment_open(&assessment);
	du_assessment_plan(&assessment, target);
	du_assessment_recall_risks(&assessment);
	for (int i = 0; i < assessment.plan->nsteps; i++)
	{
		const PlanStep *step = &assessment.plan->steps[i];
		ResultRow	row = {0};

		du_row_add(&row, Int32GetDatum(i + 1));
		du_row_add_text(&row, assessment.facts->extensions[step->extension].name);
		du_row_add_text(&row, step->from);
		du_row_add_text(&row, step->to);
		du_row_add_text(&row, step->script->path);
		du_row_add_text(&row, step->script->sha256);
		du_row_add_text(&row, step->risk);
		du_row_add_text(&row, step->risk_reason);
		du_row_add_names(&row, describe_locks(step));
		du_row_put(fcinfo, &row);
	}
	if (assessment.plan->nsteps == 0)
		put_reason(fcinfo, &assessment);
	du_assessment_close(&assessment);
	return (Datum) 0;
}

/*
 * plan(target text, extension text)
 */
Datum
documentdb_upgrade_plan(PG_FUNCTION_ARGS)
{
	return du_main_call(plan, fcinfo, 1);
}

static Datum
plan_sql(FunctionCallInfo fcinfo)
{
	Assessment		assessment;
	char	   *target = du_version_argument(fcinfo, 0);
	char	   *sql;

	du_assessment_open(&assessment);
	du_assessment_plan(&assessment, target);
	sql = du_plan_sql(assessment.plan, assessment.facts);
	du_assessment_close(&assessment);
	return text_or_null(fcinfo, sql);
}

/*
 * plan_sql(target text, extension text) returns text
 */
Datum
documentdb_upgrade_plan_sql(PG_FUNCTION_ARGS)
{
	return du_main_call(plan_sql, fcinfo, 1);
}

static Datum
script_objects(FunctionCallInfo fcinfo)
{
	Assessment	assessment;
	char	   *target = du_version_argument(fcinfo, 0);
	char	   *json;

	du_assessment_open(&assessment);
	du_assessment_plan(&assessment, target);
	json = du_plan_objects(assessment.plan, assessment.facts);
	du_assessment_close(&assessment);
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

/*
 * script_objects(target text, extension text) returns jsonb
 */
Datum
documentdb_upgrade_script_objects(PG_FUNCTION_ARGS)
{
	return du_main_call(script_objects, fcinfo, 1);
}

static Datum
preflight(FunctionCallInfo fcinfo)
{
	Assessment		assessment;
	char	   *target = du_version_argument(fcinfo, 0);

	InitMaterializedSRF(fcinfo, 0);
	du_assessment_open(&assessment);
	du_assessment_plan(&assessment, target);
	du_assessment_evaluate_guards(&assessment, true);
	for (int i = 0; i < assessment.guards->nresults; i++)
	{
		const GuardResult *result = &assessment.guards->results[i];
		ResultRow	row = {0};

		du_row_add_text(&row, result->guard);
		du_row_add_text(&row, du_guards_status_name(result->status));
		du_row_add_text(&row, result->detail);
		du_row_add_text(&row, result->hint);
		du_row_add(&row, BoolGetDatum(result->hard));
		du_row_put(fcinfo, &row);
	}
	du_assessment_close(&assessment);
	return (Datum) 0;
}

/*
 * preflight(target text, extension text)
 */
Datum
documentdb_upgrade_preflight(PG_FUNCTION_ARGS)
{
	return du_main_call(preflight, fcinfo, 1);
}

static Datum
can_finalize(FunctionCallInfo fcinfo)
{
	Assessment		assessment;
	char	   *target = du_version_argument(fcinfo, 0);

	du_assessment_open(&assessment);
	du_assessment_plan(&assessment, target);
	du_assessment_evaluate_guards(&assessment, false);
	du_assessment_close(&assessment);
	PG_RETURN_BOOL(assessment.guards->nfailed == 0);
}

/*
 * can_finalize(target text, extension text) returns boolean
 */
Datum
documentdb_upgrade_can_finalize(PG_FUNCTION_ARGS)
{
	return du_main_call(can_finalize, fcinfo, 1);
}

static Datum
upgrade_fingerprint(FunctionCallInfo fcinfo)
{
	Assessment		assessment;
	char	   *fingerprint;

	du_assessment_open(&assessment);
	fingerprint = du_fingerprint(assessment.facts);
	du_assessment_close(&assessment);
	return text_or_null(fcinfo, fingerprint);
}

/*
 * upgrade_fingerprint(extension text) returns text
 */
Datum
documentdb_upgrade_upgrade_fingerprint(PG_FUNCTION_ARGS)
{
	return du_main_call(upgrade_fingerprint, fcinfo, 0);
}

/*
 * decide_here(desired text) returns (decision text, target text, reason text)
 */
Datum
documentdb_upgrade_decide_here(PG_FUNCTION_ARGS)
{
	Assessment		assessment;
	DecisionResult decided;
	ResultRow	row = {0};

	InitMaterializedSRF(fcinfo, 0);
	du_assessment_open(&assessment);
	decided = du_assessment_decide_for(&assessment, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	du_row_add_text(&row, du_decision_name(decided.decision));
	du_row_add_text(&row, decided.target);
	du_row_add_text(&row, decided.reason);
	du_row_put(fcinfo, &row);
	du_assessment_close(&assessment);
	return (Datum) 0;
}

static const char *
mode_name(const char *desired)
{
	if (desired[0] == '\0')
		return "two-phase";
	return strcmp(desired, "auto") == 0 ? "auto" : "explicit";
}

/* What is desired here, NULL when that is not known. */
static const char *
desired_here(const WorkerFacts *worker, bool served)
{
	bool		known = served ? worker->desired_known : du_guc_source == SOURCE_KIND_SETTING;

	if (!known)
		return NULL;
	return served ? worker->desired : du_main_desired(du_guc_desired_schema_version);
}

/*
 * Opens an assessment that has found the state; gives back whether a worker
 * serves this database.
 */
static bool
open_with_state(Assessment *assessment, WorkerFacts *worker)
{
	bool		served = du_shared_serving(worker);

	du_assessment_open(assessment);
	du_assessment_decide(assessment, served ? worker->desired :
						 du_main_desired(du_guc_desired_schema_version));
	if (assessment->guards == NULL)
	{
		du_plan_read_scripts(assessment->plan, assessment->facts);
		du_assessment_evaluate_guards(assessment, false);
	}
	du_assessment_find_state(assessment, served ? worker : NULL);
	return served;
}

static const char *
role_word(const Assessment *assessment)
{
	return assessment->in_recovery ? "standby" : assessment->is_node ? "worker_node" : "primary";
}

/* Puts the row of one managed set; arg is the call. */
static void
put_status(void *arg)
{
	WorkerFacts worker;
	Assessment	assessment;
	const ExtensionFacts *extension;
	const char *desired;
	bool		served;
	ResultRow	row = {0};

	served = open_with_state(&assessment, &worker);
	desired = desired_here(&worker, served);
	extension = du_managed_main(assessment.facts);

	du_row_add_text(&row, role_word(&assessment));
	du_row_add_text(&row, extension->installed);
	du_row_add_text(&row, extension->binary);
	du_row_add_text(&row, du_loaded_version(extension));
	du_row_add_text(&row, desired);
	du_row_add_text(&row, desired ? mode_name(desired) : NULL);
	du_row_add_text(&row, assessment.decided.target);
	du_row_add_text(&row, assessment.state.state);
	du_row_add_names(&row, du_assessment_failing_guards(&assessment));
	du_row_add_text(&row, assessment.state.next_step);
	du_row_add_text(&row, assessment.failures.last_error);
	du_row_add(&row, Int64GetDatum(assessment.failures.attempts));
	du_row_add_time(&row, served && worker.next_retry != 0 ? du_clock_to_timestamp(worker.next_retry) : 0);
	du_row_add_text(&row, served ? worker.source : du_guc_source_name(du_guc_source));
	du_row_add_time(&row, served ? worker.last_contact : 0);
	if (served)
		du_row_add(&row, Int32GetDatum(worker.pid));
	else
		du_row_add_null(&row);
	du_row_add_text(&row, extension->name);
	du_row_put(arg, &row);
	du_assessment_close(&assessment);
}

/*
 * current_status() returns the rows of view status
 *
 * What the objects of 1.0.0 do not ask for is left out.
 */
Datum
documentdb_upgrade_current_status(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	du_main_run_each(put_status, fcinfo);
	return (Datum) 0;
}

/* Raises unless a role may look at status, or may commit what that tells of. */
static void
check_may_look(Oid role)
{
	static const char *const routines[] = {
		"finalize", "finalize_to", "run_finalize_to", "finalize_detached"
	};

	if (has_privs_of_role(role, ROLE_PG_MONITOR))
		return;
	for (int i = 0; i < lengthof(routines); i++)
	{
		if (du_context_may_execute(role, routines[i]))
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to see the state of the upgrade"),
			 errhint("Ask for EXECUTE on run_finalize_to, or for membership of role \"pg_monitor\".")));
}

/*
 * run_status(INOUT role text, INOUT state text, INOUT installed_version text,
 * INOUT binary_version text, INOUT desired text, INOUT target text,
 * INOUT blocked_by text[], INOUT next_step text, INOUT last_error text)
 */
Datum
documentdb_upgrade_run_status(PG_FUNCTION_ARGS)
{
	WorkerFacts worker;
	Assessment	assessment;
	const ExtensionFacts *extension;
	TupleDesc	tupdesc;
	bool		served;
	ResultRow	row = {0};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_may_look(GetUserId());
	served = open_with_state(&assessment, &worker);
	extension = du_managed_main(assessment.facts);
	du_row_add_text(&row, role_word(&assessment));
	du_row_add_text(&row, assessment.state.state);
	du_row_add_text(&row, extension->installed);
	du_row_add_text(&row, extension->binary);
	du_row_add_text(&row, desired_here(&worker, served));
	du_row_add_text(&row, assessment.decided.target);
	du_row_add_names(&row, du_assessment_failing_guards(&assessment));
	du_row_add_text(&row, assessment.state.next_step);
	du_row_add_text(&row, assessment.failures.last_error);
	du_assessment_close(&assessment);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), row.values, row.nulls));
}
