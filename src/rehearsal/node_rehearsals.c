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

/* One node, with what it has said or why it has not. */
static void
write_node(StringInfo buf, const ClusterNode *node, const char *said, const char *problem)
{
	du_write_open(buf, NULL, '{');
	du_write_text(buf, "node", node->node->name);
	du_write_text(buf, "problem", problem);
	if (said != NULL)
	{
		du_write_key(buf, "said");
		appendStringInfoString(buf, said);
	}
	du_write_close(buf, '}');
}

static void
write_answer(StringInfo buf, const ClusterNode *node, const NodeAnswer *answer)
{
	if (!answer->success)
		write_node(buf, node, NULL, answer->text);
	else if (answer->text[0] == '\0')
		write_node(buf, node, NULL, "it has not looked on; is documentdb_upgrade preloaded there?");
	else
		write_node(buf, node, answer->text, NULL);
}

/* What all of them say, as a JSON array. */
static char *
ask(const Cluster *cluster, const char *rehearsal)
{
	List	   *able = carried_to(cluster, true);
	List	   *targets = NIL;
	NodeAnswer *answers;
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
	du_write_open(&buf, NULL, '[');
	foreach(lc, able)
		write_answer(&buf, lfirst(lc), &answers[i++]);
	foreach(lc, carried_to(cluster, false))
		write_node(&buf, lfirst(lc), NULL, "documentdb_upgrade cannot tell it there");
	du_write_close(&buf, ']');
	return buf.data;
}

/*
 * What the steps, JSON objects of this server's own, have done on the other
 * nodes, and how that differs: a JSON array, palloc'd.  SPI must be connected.
 */
char *
du_nodes_rehearsed(const Cluster *cluster, const char *rehearsal, const char *steps)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[2];
	char	   *nodes;

	values[0] = CStringGetTextDatum(psprintf("[%s]", steps));
	values[1] = CStringGetTextDatum(ask(cluster, rehearsal));
	du_query("SELECT documentdb_upgrade_internal.rehearsal_nodes($1::pg_catalog.jsonb, $2::pg_catalog.jsonb)",
			 2, types, values);
	nodes = du_query_text(0, 1);
	SPI_freetuptable(SPI_tuptable);
	return nodes;
}
