/*-------------------------------------------------------------------------
 *
 * sql_reports.c
 *	  The SQL functions that look and change nothing.
 *
 * Each enters the execution context, gathers, decides and turns the result
 * into rows.  What they mean for users is said in the install script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "sql_reports.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "decision.h"
#include "execution_context.h"
#include "extension_version.h"
#include "fingerprint.h"
#include "guards.h"
#include "guc.h"
#include "loaded_version.h"
#include "surroundings.h"
#include "upgrade_plan.h"
#include "upgrade_state.h"
#include "version_gate.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_schema_version);
PG_FUNCTION_INFO_V1(documentdb_upgrade_binary_version);
PG_FUNCTION_INFO_V1(documentdb_upgrade_loaded_version);
PG_FUNCTION_INFO_V1(documentdb_upgrade_managed_versions);
PG_FUNCTION_INFO_V1(documentdb_upgrade_plan);
PG_FUNCTION_INFO_V1(documentdb_upgrade_plan_sql);
PG_FUNCTION_INFO_V1(documentdb_upgrade_preflight);
PG_FUNCTION_INFO_V1(documentdb_upgrade_can_finalize);
PG_FUNCTION_INFO_V1(documentdb_upgrade_upgrade_fingerprint);
PG_FUNCTION_INFO_V1(documentdb_upgrade_current_status);

/* Everything that a report is made of. */
typedef struct Report
{
	ExecutionContext context;
	UpgradeFacts *facts;
	UpgradePlan *plan;
	GuardResults *guards;
	bool		in_recovery;
} Report;

/*
 * Opens a report: context and SPI, with results in the caller's memory.
 */
static void
open_report(Report *report)
{
	MemoryContext memory = CurrentMemoryContext;

	du_context_enter(&report->context);
	SPI_connect();
	MemoryContextSwitchTo(memory);
	report->facts = du_catalog_gather();
}

static void
close_report(Report *report)
{
	MemoryContext memory = CurrentMemoryContext;

	SPI_finish();
	MemoryContextSwitchTo(memory);
	du_context_leave(&report->context);
}

static void
make_plan(Report *report, const char *target)
{
	report->plan = du_plan_make(report->facts, target);
	du_plan_read_scripts(report->plan, report->facts);
}

/*
 * Evaluates the guards for the plan.  Notes the binary on the way, where
 * this transaction can write, so that a soak time has a beginning.
 */
static void
evaluate_guards(Report *report)
{
	GuardInput	input;

	if (du_surroundings_can_write())
		du_surroundings_note_binary(report->facts);
	input.facts = report->facts;
	input.plan = report->plan;
	input.surroundings = du_surroundings_gather(report->facts,
												du_plan_locks(report->plan),
												report->context.caller);
	report->in_recovery = input.surroundings->in_recovery;
	report->guards = du_guards_evaluate(&input, NIL);
}

/*
 * A target argument: NULL for a null, else a well-formed version.
 */
char *
du_target_argument(FunctionCallInfo fcinfo, int n)
{
	ExtensionVersion version;
	const char *reason;
	char	   *target;

	if (PG_NARGS() <= n || PG_ARGISNULL(n))
		return NULL;
	target = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (!du_version_parse(target, &version, &reason))
		du_version_error(target, reason);
	return target;
}

static Datum
text_or_null(FunctionCallInfo fcinfo, const char *value)
{
	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(value));
}

/* One row of a set under construction. */
typedef struct Row
{
	Datum		values[20];
	bool		nulls[20];
	int			n;
} Row;

static void
add_datum(Row *row, Datum value)
{
	row->nulls[row->n] = false;
	row->values[row->n++] = value;
}

static void
add_null(Row *row)
{
	row->nulls[row->n] = true;
	row->values[row->n++] = (Datum) 0;
}

static void
add_text(Row *row, const char *value)
{
	if (value == NULL)
		add_null(row);
	else
		add_datum(row, CStringGetTextDatum(value));
}

/* Adds a list of strings as text[]. */
static void
add_names(Row *row, List *names)
{
	Datum	   *elements = palloc(Max(list_length(names), 1) * sizeof(Datum));
	ListCell   *lc;
	int			n = 0;

	foreach(lc, names)
		elements[n++] = CStringGetTextDatum(lfirst(lc));
	add_datum(row, PointerGetDatum(construct_array(elements, n, TEXTOID, -1,
												   false, TYPALIGN_INT)));
}

static void
put_row(FunctionCallInfo fcinfo, Row *row)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row->values, row->nulls);
}

/*
 * schema_version() returns text
 *
 * The catalogue alone is read, so that the function stays cheap.
 */
Datum
documentdb_upgrade_schema_version(PG_FUNCTION_ARGS)
{
	return text_or_null(fcinfo, du_catalog_installed_version(du_guc_extension, NULL));
}

/*
 * binary_version() returns text
 */
Datum
documentdb_upgrade_binary_version(PG_FUNCTION_ARGS)
{
	Report		report = {0};
	const char *version;

	open_report(&report);
	version = du_catalog_main(report.facts)->binary;
	close_report(&report);
	return text_or_null(fcinfo, version);
}

/*
 * loaded_version() returns text
 */
Datum
documentdb_upgrade_loaded_version(PG_FUNCTION_ARGS)
{
	Report		report = {0};
	const char *version;

	open_report(&report);
	version = du_loaded_version(du_catalog_main(report.facts));
	close_report(&report);
	return text_or_null(fcinfo, version);
}

/*
 * managed_versions() returns the rows of view versions
 */
Datum
documentdb_upgrade_managed_versions(PG_FUNCTION_ARGS)
{
	Report		report = {0};

	InitMaterializedSRF(fcinfo, 0);
	open_report(&report);
	report.plan = du_plan_make(report.facts, NULL);
	for (int i = 0; i < report.facts->nextensions; i++)
	{
		const ExtensionFacts *extension = &report.facts->extensions[i];
		bool		is_main = i == report.facts->main;
		Row			row = {0};

		add_text(&row, extension->name);
		add_text(&row, extension->installed);
		add_text(&row, extension->binary);
		add_text(&row, is_main ? du_loaded_version(extension) : NULL);
		add_text(&row, is_main && extension->installed ? du_gate_read(extension->installed) : NULL);
		add_text(&row, report.plan->targets[i].target);
		put_row(fcinfo, &row);
	}
	close_report(&report);
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
 * plan(target text)
 */
Datum
documentdb_upgrade_plan(PG_FUNCTION_ARGS)
{
	Report		report = {0};
	char	   *target = du_target_argument(fcinfo, 0);

	InitMaterializedSRF(fcinfo, 0);
	open_report(&report);
	make_plan(&report, target);
	for (int i = 0; i < report.plan->nsteps; i++)
	{
		const PlanStep *step = &report.plan->steps[i];
		Row			row = {0};

		add_datum(&row, Int32GetDatum(i + 1));
		add_text(&row, report.facts->extensions[step->extension].name);
		add_text(&row, step->from);
		add_text(&row, step->to);
		add_text(&row, step->script->path);
		add_text(&row, step->script->sha256);
		add_text(&row, step->risk);
		add_text(&row, step->risk_reason);
		add_names(&row, describe_locks(step));
		put_row(fcinfo, &row);
	}
	close_report(&report);
	return (Datum) 0;
}

/*
 * plan_sql(target text) returns text
 */
Datum
documentdb_upgrade_plan_sql(PG_FUNCTION_ARGS)
{
	Report		report = {0};
	char	   *target = du_target_argument(fcinfo, 0);
	char	   *sql;

	open_report(&report);
	make_plan(&report, target);
	sql = du_plan_sql(report.plan, report.facts);
	close_report(&report);
	return text_or_null(fcinfo, sql);
}

/*
 * preflight(target text)
 */
Datum
documentdb_upgrade_preflight(PG_FUNCTION_ARGS)
{
	Report		report = {0};
	char	   *target = du_target_argument(fcinfo, 0);

	InitMaterializedSRF(fcinfo, 0);
	open_report(&report);
	make_plan(&report, target);
	evaluate_guards(&report);
	for (int i = 0; i < report.guards->nresults; i++)
	{
		const GuardResult *result = &report.guards->results[i];
		Row			row = {0};

		add_text(&row, result->guard);
		add_text(&row, du_guards_status_name(result->status));
		add_text(&row, result->detail);
		add_text(&row, result->hint);
		add_datum(&row, BoolGetDatum(result->hard));
		put_row(fcinfo, &row);
	}
	close_report(&report);
	return (Datum) 0;
}

/*
 * can_finalize(target text) returns boolean
 */
Datum
documentdb_upgrade_can_finalize(PG_FUNCTION_ARGS)
{
	Report		report = {0};
	char	   *target = du_target_argument(fcinfo, 0);

	open_report(&report);
	make_plan(&report, target);
	evaluate_guards(&report);
	close_report(&report);
	PG_RETURN_BOOL(report.guards->nfailed == 0);
}

/*
 * upgrade_fingerprint() returns text
 */
Datum
documentdb_upgrade_upgrade_fingerprint(PG_FUNCTION_ARGS)
{
	Report		report = {0};
	char	   *fingerprint;

	open_report(&report);
	fingerprint = du_fingerprint(report.facts);
	close_report(&report);
	return text_or_null(fcinfo, fingerprint);
}

static const char *
mode_name(const char *desired)
{
	if (desired[0] == '\0')
		return "two-phase";
	return strcmp(desired, "auto") == 0 ? "auto" : "explicit";
}

/* Names of the guards that fail. */
static List *
failing_guards(const GuardResults *guards)
{
	List	   *names = NIL;

	for (int i = 0; i < guards->nresults; i++)
	{
		if (guards->results[i].status == GUARD_FAIL)
			names = lappend(names, unconstify(char *, guards->results[i].guard));
	}
	return names;
}

/*
 * Attempts of the main extension since its last success: how many, and what
 * the newest said.
 */
static int64
attempts_since_success(const char *extension, char **last_error)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	int64		attempts;

	values[0] = CStringGetTextDatum(extension);
	du_query("SELECT coalesce(pg_catalog.sum(1 + h.repeats), 0)::pg_catalog.int8,"
			 " (pg_catalog.array_agg(h.message ORDER BY h.id DESC) FILTER (WHERE h.outcome = 'failed'))[1]"
			 " FROM documentdb_upgrade.history h WHERE h.extension = $1"
			 " AND h.outcome <> 'succeeded' AND h.id >"
			 " coalesce((SELECT pg_catalog.max(s.id) FROM documentdb_upgrade.history s"
			 "           WHERE s.extension = $1 AND s.outcome = 'succeeded'), 0)",
			 1, types, values);
	attempts = du_query_int(0, 1);
	*last_error = du_query_text(0, 2);
	SPI_freetuptable(SPI_tuptable);
	return attempts;
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
 * current_status() returns the row of view status
 */
Datum
documentdb_upgrade_current_status(PG_FUNCTION_ARGS)
{
	const char *desired = du_guc_desired_schema_version;
	Report		report = {0};
	StateInput	input = {0};
	UpgradeState state;
	const ExtensionFacts *extension;
	DecisionInput decision = {0};
	char	   *last_error;
	int64		attempts;
	Row			row = {0};

	InitMaterializedSRF(fcinfo, 0);
	open_report(&report);
	make_plan(&report, target_of_interest(desired));
	evaluate_guards(&report);
	extension = du_catalog_main(report.facts);
	attempts = attempts_since_success(extension->name, &last_error);

	decision.desired = desired;
	decision.installed = extension->installed;
	decision.binary = extension->binary;
	decision.companions_behind = report.plan->companions_behind;
	input.facts = report.facts;
	input.plan = report.plan;
	input.guards = report.guards;
	input.decided = du_decide(&decision);
	input.in_recovery = report.in_recovery;
	input.last_error = last_error;
	state = du_state_of(&input);

	add_text(&row, report.in_recovery ? "standby" : "primary");
	add_text(&row, extension->installed);
	add_text(&row, extension->binary);
	add_text(&row, du_loaded_version(extension));
	add_text(&row, desired);
	add_text(&row, mode_name(desired));
	add_text(&row, input.decided.target);
	add_text(&row, state.state);
	add_names(&row, failing_guards(report.guards));
	add_text(&row, state.next_step);
	add_text(&row, last_error);
	add_datum(&row, Int64GetDatum(attempts));
	add_null(&row);				/* next_retry: no worker here */
	add_text(&row, "setting");
	add_null(&row);				/* last_contact */
	add_null(&row);				/* worker_pid */
	put_row(fcinfo, &row);
	close_report(&report);
	return (Datum) 0;
}
