/*-------------------------------------------------------------------------
 *
 * node_rehearsals.c
 *	  What a rehearsal has done on the other nodes of a cluster.
 *
 * Citus has carried the steps to them, and each has noted what they did there.
 * They are asked before all is rolled back, in a session of their own each, and
 * none is waited for longer than any other question: a node that says nothing is
 * a line of the report.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "citus/citus.h"
#include "cluster/cluster.h"

/* The nodes that the steps were carried to, asked or not. */
static List *
carried_to(const Cluster *cluster, bool can_tell)
{
	List	   *nodes = NIL;
	ListCell   *lc;

	foreach(lc, cluster->nodes)
	{
		ClusterNode *node = lfirst(lc);

		if (du_node_counts(node) && !node->node->here && node->has_us == can_tell)
			nodes = lappend(nodes, node);
	}
	return nodes;
}

/*
 * Tells the nodes that a rehearsal begins, and gives its name, palloc'd; NULL where
 * there are none that could tell of it.  SPI must be connected.
 */
char *
du_nodes_announce_rehearsal(const Cluster *cluster)
{
	char	   *rehearsal;

	if (cluster == NULL || cluster->role != CITUS_COORDINATOR || !cluster->carried ||
		carried_to(cluster, true) == NIL)
		return NULL;
	rehearsal = psprintf("%d " INT64_FORMAT, MyProcPid, GetCurrentTimestamp());
	du_citus_announce_rehearsal(rehearsal);
	return rehearsal;
}

/* What one node has said, or why it has not, as JSON, palloc'd. */
static char *
describe(const ClusterNode *node, const char *said, const char *problem)
{
	StringInfoData buf;

	initStringInfo(&buf);
	du_write_open(&buf, NULL, '{');
	du_write_text(&buf, "node", node->node->name);
	du_write_text(&buf, "problem", problem);
	if (said != NULL)
	{
		du_write_key(&buf, "said");
		appendStringInfoString(&buf, said);
	}
	du_write_close(&buf, '}');
	return buf.data;
}

static char *
describe_answer(const ClusterNode *node, const NodeAnswer *answer)
{
	if (!answer->success)
		return describe(node, NULL, answer->text);
	if (answer->text[0] == '\0')
		return describe(node, NULL, "it has not looked on; is documentdb_upgrade preloaded there?");
	return describe(node, answer->text, NULL);
}

/* An answer that is set beside this server's own steps, as JSON texts. */
typedef struct Comparison
{
	const char *steps;
	const char *answer;
	char	   *result;
} Comparison;

/* The work of a subtransaction. */
static void
compare(void *arg)
{
	Comparison *comparison = arg;
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[2];

	values[0] = CStringGetTextDatum(comparison->steps);
	values[1] = CStringGetTextDatum(comparison->answer);
	du_query("SELECT documentdb_upgrade_internal.rehearsal_nodes($1::pg_catalog.jsonb,"
			 " pg_catalog.jsonb_build_array($2::pg_catalog.jsonb)) -> 0",
			 2, types, values);
	comparison->result = du_query_text(0, 1);
	SPI_freetuptable(SPI_tuptable);
}

/* Adds a node; what it says need not make sense. */
static void
write_node(StringInfo buf, const char *steps, const ClusterNode *node, const char *answer)
{
	Comparison	comparison = {steps, answer};
	ErrorData  *error = du_subtransaction_run(compare, &comparison, SUBTRANSACTION_ROLL_BACK);

	if (error != NULL && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	if (error != NULL)
		comparison.result = describe(node, NULL, psprintf("what it says cannot be read: %s", error->message));
	appendStringInfo(buf, "%s%s", buf->len > 1 ? "," : "", comparison.result);
}

/*
 * What the steps, JSON objects of this server's own, have done on the other
 * nodes, and how that differs: a JSON array, palloc'd.  SPI must be connected.
 */
char *
du_nodes_rehearsed(const Cluster *cluster, const char *rehearsal, const char *steps)
{
	List	   *able = carried_to(cluster, true);
	List	   *targets = NIL;
	NodeAnswer *answers;
	char	   *own = psprintf("[%s]", steps);
	StringInfoData buf;
	ListCell   *lc;
	int			i = 0;

	foreach(lc, able)
		targets = lappend(targets, unconstify(CitusNode *, ((const ClusterNode *) lfirst(lc))->node));
	answers = du_citus_ask(targets,
						   psprintf("SELECT documentdb_upgrade_internal.node_rehearsed(%s)",
									quote_literal_cstr(rehearsal)),
						   du_guc_node_timeout);
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '[');
	foreach(lc, able)
		write_node(&buf, own, lfirst(lc), describe_answer(lfirst(lc), &answers[i++]));
	foreach(lc, carried_to(cluster, false))
		write_node(&buf, own, lfirst(lc), describe(lfirst(lc), NULL, "documentdb_upgrade cannot tell it there"));
	appendStringInfoChar(&buf, ']');
	return buf.data;
}
