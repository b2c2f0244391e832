/*-------------------------------------------------------------------------
 *
 * guard_nodes.c
 *	  The guards of the nodes of a Citus cluster.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "lib/stringinfo.h"

#include "cluster/cluster.h"

/* Sentences about nodes, and what to do about the first. */
typedef struct Complaints
{
	StringInfoData text;
	const char *hint;
	int			n;
} Complaints;

static void
complain(Complaints *complaints, const char *sentence, const char *hint)
{
	if (complaints->n++ == 0)
	{
		initStringInfo(&complaints->text);
		complaints->hint = hint;
	}
	appendStringInfo(&complaints->text, "%s%s", complaints->n > 1 ? " " : "", sentence);
}

static GuardStatus
say(const Complaints *complaints, GuardResult *result, GuardStatus status)
{
	(void) du_guard_fail(result, complaints->text.data, complaints->hint);
	return status;
}

/*
 * Where there is nothing to look at, says so and gives true.
 */
static bool
is_beside_the_point(const GuardInput *input, GuardResult *result)
{
	const Cluster *cluster = input->cluster;

	if (input->plan->nsteps == 0)
		result->detail = "There is nothing to upgrade.";
	else if (!cluster->carried)
		result->detail = "Citus does not carry the update of its own extension; finalize on each node by itself.";
	return result->detail != NULL;
}

static int
count_nodes(const Cluster *cluster)
{
	ListCell   *lc;
	int			n = 0;

	foreach(lc, cluster->nodes)
		n += du_node_counts(lfirst(lc));
	return n;
}

/*
 * Each node runs the same statements over its own files, so one that cannot
 * ends the whole; better before than in the middle.
 */
GuardStatus
du_guard_nodes_ready(const GuardInput *input, GuardResult *result)
{
	const Cluster *cluster = input->cluster;
	Complaints	failing = {0};
	Complaints	warning = {0};
	ListCell   *lc;

	if (is_beside_the_point(input, result))
		return GUARD_SKIP;
	if (cluster->role == CITUS_WORKER)
		return du_guard_fail(result, "This server is a worker node of a Citus cluster, and the coordinator upgrades it.",
							 cluster->coordinator == NULL ? "Finalize on the coordinator." :
							 psprintf("Finalize on the coordinator, %s.", cluster->coordinator));
	if (cluster->nodes != NIL && count_nodes(cluster) <= 1)
		return du_guard_pass(result, "This coordinator has no other active nodes.");
	if (cluster->obstacle != NULL)
		return du_guard_fail(result, cluster->obstacle, cluster->obstacle_hint);
	foreach(lc, cluster->nodes)
	{
		NodeVerdict found = du_node_judge(lfirst(lc), input->facts, input->plan);

		if (found.status == NODE_BARE || (found.status == NODE_STANDBY && found.problem != NULL))
			complain(&warning, found.problem, found.hint);
		else if (found.status >= NODE_SILENT && found.status < NODE_OLD_GATE)
			complain(&failing, found.problem, found.hint);
	}
	if (failing.n > 0)
		return say(&failing, result, GUARD_FAIL);
	if (warning.n > 0)
		return say(&warning, result, GUARD_WARN);
	return du_guard_pass(result, psprintf("%d nodes offer the same way to the target.", count_nodes(cluster)));
}

/*
 * What the guards on the nodes find, as far as they are no matter of yes or no.
 */
GuardStatus
du_guard_node_guards(const GuardInput *input, GuardResult *result)
{
	Complaints	failing = {0};
	Complaints	warning = {0};
	ListCell   *lc;
	ListCell   *lg;
	int			n = 0;

	if (is_beside_the_point(input, result))
		return GUARD_SKIP;
	foreach(lc, input->cluster->nodes)
	{
		const ClusterNode *node = lfirst(lc);

		if (!du_node_counts(node) || node->node->here || !node->has_us)
			continue;
		n++;
		foreach(lg, node->guards)
		{
			const NodeGuard *guard = lfirst(lg);

			if (!guard->hard)
				complain(guard->fails ? &failing : &warning,
						 psprintf("Node %s, guard %s: %s", node->node->name, guard->guard, guard->detail),
						 guard->hint != NULL ? psprintf("On node %s: %s", node->node->name, guard->hint) : NULL);
		}
	}
	if (failing.n > 0)
		return say(&failing, result, GUARD_FAIL);
	if (warning.n > 0)
		return say(&warning, result, GUARD_WARN);
	if (n == 0)
		return du_guard_skip(result, "No other node has said what its guards find.");
	return du_guard_pass(result, psprintf("The guards on %d other node(s) pass.", n));
}
