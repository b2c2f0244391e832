/*-------------------------------------------------------------------------
 *
 * node_functions.c
 *	  The SQL functions of a cluster: what a node says of itself, and who there
 *	  is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "status/internal.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"

#include "base/base.h"
#include "citus/citus.h"
#include "cluster/cluster.h"
#include "extension/extension.h"
#include "fleet/fleet.h"
#include "guards/guards.h"
#include "plan/plan.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_node_report);
PG_FUNCTION_INFO_V1(documentdb_upgrade_cluster_nodes);

/* Guards that depend on the node itself, besides the hard ones. */
static const char *const own_guards[] = {
	"lock_capacity", "standbys_ready", "replication_lag", "blocking_sessions", "disk_headroom"
};

static bool
concerns_node(const GuardResult *result)
{
	if (result->hard)
		return true;
	for (int i = 0; i < (int) lengthof(own_guards); i++)
	{
		if (strcmp(result->guard, own_guards[i]) == 0)
			return true;
	}
	return false;
}

static void
write_guards(StringInfo buf, const GuardResults *guards)
{
	du_write_open(buf, "guards", '[');
	for (int i = 0; i < guards->nresults; i++)
	{
		const GuardResult *result = &guards->results[i];

		if ((result->status != GUARD_FAIL && result->status != GUARD_WARN) || !concerns_node(result))
			continue;
		du_write_open(buf, NULL, '{');
		du_write_text(buf, "guard", result->guard);
		du_write_bool(buf, "hard", result->hard);
		du_write_text(buf, "status", du_guards_status_name(result->status));
		du_write_text(buf, "detail", result->detail);
		du_write_text(buf, "hint", result->hint);
		du_write_close(buf, '}');
	}
	du_write_close(buf, ']');
}

static void
write_extension(StringInfo buf, const Assessment *assessment, int i)
{
	const ExtensionFacts *extension = &assessment->facts->extensions[i];
	const char *hint;
	const char *problem = NULL;

	if (OidIsValid(extension->oid))
		problem = du_library_problem(extension, &hint);
	du_write_open(buf, NULL, '{');
	du_write_text(buf, "name", extension->name);
	du_write_text(buf, "installed", extension->installed);
	du_write_text(buf, "binary", extension->limit);
	if (i == assessment->facts->main)
		du_write_text(buf, "loaded", du_loaded_version(extension));
	du_write_text(buf, "steps", du_cluster_steps(assessment->facts, assessment->plan, i));
	if (problem != NULL)
	{
		du_write_text(buf, "problem", problem);
		du_write_text(buf, "hint", hint);
	}
	du_write_close(buf, '}');
}

/* Sentences about standbys of this node that do not see its schema, or NULL. */
static const char *
straggling_standbys(const UpgradeFacts *facts)
{
	const Fleet *fleet = du_fleet_gather();

	return fleet->known ? du_fleet_straggler(fleet, facts, du_guards_can_fail("standbys_ready")) : NULL;
}

static char *
compose_report(const char *target, bool with_guards)
{
	Assessment	assessment;
	const ExtensionFacts *extension;
	StringInfoData buf;

	du_assessment_open(&assessment);
	du_assessment_plan(&assessment, target);
	extension = du_managed_main(assessment.facts);
	initStringInfo(&buf);
	du_write_open(&buf, NULL, '{');
	du_write_text(&buf, "program", du_extension_installed_version("documentdb_upgrade", NULL));
	du_write_bool(&buf, "recovery", assessment.in_recovery);
	du_write_text(&buf, "library", du_library_state_name(du_library_facts(assessment.facts).state));
	du_write_text(&buf, "gate", extension->installed ? du_loaded_gate(extension->installed) : NULL);
	if (!assessment.in_recovery && extension->installed != NULL)
		du_write_text(&buf, "standbys", straggling_standbys(assessment.facts));
	du_write_open(&buf, "extensions", '[');
	for (int i = 0; i < assessment.facts->nextensions; i++)
		write_extension(&buf, &assessment, i);
	du_write_close(&buf, ']');
	if (with_guards)
	{
		GuardInput	input = du_guards_gather(assessment.facts, assessment.plan, assessment.context.caller,
											 false, GUARD_NODES_LEFT_OUT, 0);

		write_guards(&buf, du_guards_evaluate(&input, NIL));
	}
	du_write_close(&buf, '}');
	du_assessment_close(&assessment);
	return buf.data;
}

static char *
argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * node_report(extension text, managed text, target text, guards boolean) returns
 * text
 *
 * The coordinator says which extensions it means: a node's own settings may be
 * others.
 */
Datum
documentdb_upgrade_node_report(PG_FUNCTION_ARGS)
{
	char	   *target = du_version_argument(fcinfo, 2);
	int			nest_level = NewGUCNestLevel();
	char	   *report;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("extension, managed and guards must not be null")));
	du_context_set("documentdb_upgrade.extension", argument(fcinfo, 0));
	du_context_set("documentdb_upgrade.managed_extensions", argument(fcinfo, 1));
	report = compose_report(target, PG_GETARG_BOOL(3));
	AtEOXact_GUC(true, nest_level);
	PG_RETURN_TEXT_P(cstring_to_text(report));
}

/* A part of what a node has answered, null when it has not. */
static void
add_part(ResultRow *row, const ClusterNode *node, const char *key)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[2];
	bool		isnull = true;
	Datum		part = (Datum) 0;

	if (node->json != NULL)
	{
		values[0] = CStringGetTextDatum(node->json);
		values[1] = CStringGetTextDatum(key);
		du_query("SELECT $1::pg_catalog.jsonb->$2", 2, types, values);
		part = du_query_datum(0, 1, &isnull);
		if (!isnull)
			part = PointerGetDatum(PG_DETOAST_DATUM_COPY(part));
		SPI_freetuptable(SPI_tuptable);
	}
	if (isnull)
		du_row_add_null(row);
	else
		du_row_add(row, part);
}

static void
add_row(FunctionCallInfo fcinfo, const ClusterNode *node, const Assessment *assessment)
{
	const NodeExtension *extension = du_cluster_find(node, du_assessment_main(assessment)->name);
	NodeVerdict found = du_node_judge(node, assessment->facts, assessment->plan);
	ResultRow	row = {0};

	du_row_add_text(&row, node->node->name);
	if (node->node->id > 0)
		du_row_add_int(&row, node->node->id);
	else
		du_row_add_null(&row);
	du_row_add_int(&row, node->node->group);
	du_row_add_text(&row, node->node->group == 0 ? "coordinator" : "worker");
	du_row_add_text(&row, node->node->role);
	du_row_add(&row, BoolGetDatum(node->node->active));
	du_row_add_text(&row, du_node_status_name(found.status));
	du_row_add_text(&row, found.problem);
	du_row_add_text(&row, found.hint);
	du_row_add(&row, BoolGetDatum(du_node_counts(node)));
	du_row_add_text(&row, extension ? extension->installed : NULL);
	du_row_add_text(&row, extension ? extension->binary : NULL);
	du_row_add_text(&row, extension ? extension->loaded : NULL);
	du_row_add_text(&row, node->gate);
	du_row_add_text(&row, node->library);
	du_row_add_text(&row, node->program);
	add_part(&row, node, "extensions");
	add_part(&row, node, "guards");
	du_row_put(fcinfo, &row);
}

/*
 * cluster_nodes() returns the rows of view nodes
 */
Datum
documentdb_upgrade_cluster_nodes(PG_FUNCTION_ARGS)
{
	Assessment	assessment;
	const Cluster *cluster;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	du_assessment_open(&assessment);
	du_assessment_plan(&assessment, NULL);
	cluster = du_cluster_gather(assessment.facts, assessment.plan, CLUSTER_GUARDS, 0);
	foreach(lc, cluster->nodes)
		add_row(fcinfo, lfirst(lc), &assessment);
	du_assessment_close(&assessment);
	return (Datum) 0;
}
