/*-------------------------------------------------------------------------
 *
 * fleet_functions.c
 *	  The SQL functions of the fleet: reports of standbys, and who there is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "status/internal.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "extension/extension.h"
#include "fleet/fleet.h"
#include "plan/plan.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_report_standby);
PG_FUNCTION_INFO_V1(documentdb_upgrade_run_report_standby);
PG_FUNCTION_INFO_V1(documentdb_upgrade_fleet);

static Datum
jsonb_of(const char *text)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
}

/*
 * report_standby(report jsonb) returns jsonb
 */
Datum
documentdb_upgrade_report_standby(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(jsonb_of(du_report_accept(PG_GETARG_JSONB_P(0))));
}

/*
 * run_report_standby(report jsonb, INOUT answer jsonb)
 */
Datum
documentdb_upgrade_run_report_standby(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("report must not be null")));
	return du_row_inout(fcinfo, du_report_accept(PG_GETARG_JSONB_P(0)));
}

static const char *
text_or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

static Datum
extensions_of(const FleetMember *member)
{
	StringInfoData buf;
	MemberExtension extension;
	const char *place = NULL;

	initStringInfo(&buf);
	du_write_open(&buf, NULL, '[');
	while ((place = du_member_next_extension(member, place, &extension)) != NULL)
	{
		du_write_open(&buf, NULL, '{');
		du_write_text(&buf, "name", extension.name);
		du_write_text(&buf, "installed", text_or_null(extension.installed));
		du_write_text(&buf, "binary", text_or_null(extension.binary));
		du_write_text(&buf, "loaded", text_or_null(extension.loaded));
		du_write_text(&buf, "sha256", text_or_null(extension.sha256));
		du_write_close(&buf, '}');
	}
	du_write_close(&buf, ']');
	return jsonb_of(buf.data);
}

/* The versions of the main extension. */
static void
add_versions(ResultRow *row, const FleetMember *member, const char *main_extension)
{
	MemberExtension extension;

	(void) du_member_find_extension(member, main_extension, &extension);
	du_row_add_text(row, text_or_null(extension.installed));
	du_row_add_text(row, text_or_null(extension.binary));
	du_row_add_text(row, text_or_null(extension.loaded));
}

static void
add_lag(ResultRow *row, int64 lag_ms)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = lag_ms * 1000;
	if (lag_ms < 0)
		du_row_add_null(row);
	else
		du_row_add(row, IntervalPGetDatum(interval));
}

static void
add_row(FunctionCallInfo fcinfo, const FleetInstance *instance, const Assessment *assessment)
{
	const FleetMember *member = &instance->member;
	FleetVerdict found = du_fleet_judge(instance, assessment->facts, assessment->plan);
	bool		told = member->program[0] != '\0';
	ResultRow	row = {0};

	du_row_add_text(&row, text_or_null(member->name));
	du_row_add_text(&row, text_or_null(member->host));
	du_row_add_text(&row, text_or_null(member->slot));
	du_row_add_text(&row, text_or_null(member->identity));
	du_row_add_text(&row, instance->depth > 1 ? text_or_null(member->upstream) : NULL);
	du_row_add_int(&row, instance->depth);
	du_row_add_text(&row, member->designated ? "designated_primary" : "standby");
	du_row_add_text(&row, du_fleet_status_name(found.status));
	du_row_add_text(&row, found.problem);
	du_row_add(&row, BoolGetDatum(!instance->ignored));
	add_versions(&row, member, du_assessment_main(assessment)->name);
	du_row_add_text(&row, text_or_null(member->gate));
	du_row_add_text(&row, told ? du_library_state_name(member->library) : NULL);
	if (member->timeline > 0)
		du_row_add_int(&row, member->timeline);
	else
		du_row_add_null(&row);
	if (member->replayed != InvalidXLogRecPtr)
		du_row_add(&row, LSNGetDatum(member->replayed));
	else
		du_row_add_null(&row);
	add_lag(&row, instance->lag_ms);
	du_row_add_time(&row, instance->reported_at);
	du_row_add_text(&row, text_or_null(member->fingerprint));
	if (told)
		du_row_add(&row, extensions_of(member));
	else
		du_row_add_null(&row);
	du_row_add_text(&row, OidIsValid(instance->vouched_by) ?
					GetUserNameFromId(instance->vouched_by, true) : NULL);
	du_row_put(fcinfo, &row);
}

/*
 * known_standbys() returns the rows of view standbys
 */
Datum
documentdb_upgrade_fleet(PG_FUNCTION_ARGS)
{
	Assessment		assessment;
	const Fleet *fleet;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	du_assessment_open(&assessment);
	assessment.plan = du_plan_make(assessment.facts, NULL);
	fleet = du_fleet_gather();
	foreach(lc, fleet->instances)
		add_row(fcinfo, lfirst(lc), &assessment);
	du_assessment_close(&assessment);
	return (Datum) 0;
}
