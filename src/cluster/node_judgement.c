/*-------------------------------------------------------------------------
 *
 * node_judgement.c
 *	  Whether a node is ready for a schema, and what keeps it from that.
 *
 * Every node runs its own files: Citus sends it the statement and nothing else.
 * So each must stand where the coordinator stands, offer the same scripts, and
 * have the library in memory that they need.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cluster/internal.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/base.h"

/*
 * True for a node that an upgrade waits for: Citus carries statements to the
 * active primaries, and standbys follow their own.
 */
bool
du_node_counts(const ClusterNode *node)
{
	return node->node->active && strcmp(node->node->role, "primary") == 0;
}

static NodeVerdict
verdict(NodeStatus status, const char *problem, const char *hint)
{
	NodeVerdict found = {status, problem, hint};

	return found;
}

/* A sentence about one extension on a node. */
#define SAY(format, ...) psprintf("Node %s " format, node->node->name, __VA_ARGS__)

/* Compares two versions; false when that cannot be done. */
static bool
compare(const char *a, const char *b, int *order)
{
	ExtensionVersion left;
	ExtensionVersion right;
	const char *reason;

	if (a == NULL || b == NULL || !du_version_parse(a, &left, &reason) || !du_version_parse(b, &right, &reason))
		return false;
	*order = du_version_compare(&left, &right);
	return true;
}

static NodeVerdict
judge_extension(const ClusterNode *node, const UpgradeFacts *facts, const UpgradePlan *plan, int i)
{
	const ExtensionFacts *ours = &facts->extensions[i];
	const NodeExtension *theirs = du_cluster_find(node, ours->name);
	const char *steps = plan != NULL ? du_cluster_steps(facts, plan, i) : NULL;
	const char *target = plan != NULL ? plan->targets[i].target : NULL;
	int			order;

	if (ours->installed == NULL)
		return verdict(NODE_READY, NULL, NULL);
	if (theirs == NULL || theirs->installed == NULL)
		return verdict(NODE_NOT_INSTALLED, SAY("does not have extension \"%s\".", ours->name),
					   "Activate the node again with citus_activate_node(), which creates what is missing there.");
	if (strcmp(theirs->installed, ours->installed) != 0)
		return verdict(NODE_OTHER_VERSION,
					   SAY("has extension \"%s\" at \"%s\", and the coordinator at \"%s\".", ours->name,
						   theirs->installed, ours->installed),
					   psprintf("Look for a prepared transaction on that node (SELECT recover_prepared_transactions() on the coordinator ends those of Citus); if there is none, connect to the older of the two and run SET citus.enable_ddl_propagation = off; ALTER EXTENSION %s UPDATE TO %s;",
								quote_identifier(ours->name),
								quote_literal_cstr(compare(theirs->installed, ours->installed, &order) && order > 0 ?
												   theirs->installed : ours->installed)));
	if (steps == NULL)
		return verdict(NODE_READY, NULL, NULL);
	if (theirs->binary == NULL || (compare(theirs->binary, target, &order) && order < 0))
		return verdict(NODE_OLD_BINARY,
					   theirs->binary != NULL ?
					   SAY("offers extension \"%s\" up to \"%s\", and the target is \"%s\".", ours->name, theirs->binary, target) :
					   SAY("offers no files of extension \"%s\".", ours->name),
					   "Roll out the newer binary there, and restart PostgreSQL.");
	if (!node->has_us)
		return verdict(NODE_READY, NULL, NULL);
	if (theirs->problem != NULL)
		return verdict(NODE_OLD_LIBRARY, SAY("says: %s", theirs->problem), theirs->hint);
	if (theirs->steps == NULL || strcmp(theirs->steps, steps) != 0)
		return verdict(NODE_OTHER_SCRIPTS,
					   theirs->steps == NULL ? SAY("has no way to \"%s\" of extension \"%s\".", target, ours->name) :
					   SAY("has other scripts to \"%s\" of extension \"%s\" than the coordinator.", target, ours->name),
					   "Install the same release of the extension on all nodes.");
	return verdict(NODE_READY, NULL, NULL);
}

/* A library in memory that is older than ours, where both tell. */
static NodeVerdict
judge_loaded(const ClusterNode *node, const UpgradeFacts *facts)
{
	const ExtensionFacts *ours = du_managed_main(facts);
	const NodeExtension *theirs = du_cluster_find(node, ours->name);
	const char *loaded = theirs != NULL && theirs->loaded != NULL ? du_loaded_version(ours) : NULL;
	int			order;

	if (loaded == NULL || !compare(theirs->loaded, loaded, &order) || order >= 0)
		return verdict(NODE_READY, NULL, NULL);
	return verdict(NODE_OLD_LIBRARY,
				   SAY("has the library of extension \"%s\" at \"%s\" in memory, and the coordinator at \"%s\".",
					   ours->name, theirs->loaded, loaded),
				   "Roll out the same binary there, and restart PostgreSQL.");
}

static NodeVerdict
judge_gate(const ClusterNode *node, const UpgradeFacts *facts)
{
	const char *installed = du_managed_main(facts)->installed;
	int			order;

	if (node->gate == NULL || !compare(node->gate, installed, &order) || order == 0)
		return verdict(NODE_READY, NULL, NULL);
	return verdict(NODE_OLD_GATE,
				   SAY("still has version \"%s\" in force.", node->gate),
				   "A worker of documentdb_upgrade cures that; look at documentdb_upgrade.status on that node.");
}

/*
 * What is wrong with a secondary node: it sees what it has replayed, and its own
 * primary's guards decide whether that is waited for.
 */
static NodeVerdict
judge_secondary(const ClusterNode *node, const UpgradeFacts *facts, const UpgradePlan *plan)
{
	NodeVerdict found = verdict(NODE_READY, NULL, NULL);

	if (!node->asked)
		return verdict(NODE_STANDBY, NULL, NULL);
	if (!node->answered)
		return verdict(NODE_STANDBY, SAY("does not answer: %s.", node->silence ? node->silence : "it was not asked"),
					   "Start it; a standby that is gone for good is taken out with citus_remove_node().");
	for (int i = 0; i < facts->nextensions && found.status == NODE_READY; i++)
		found = judge_extension(node, facts, plan, i);
	if (found.status == NODE_NOT_INSTALLED || found.status == NODE_OTHER_VERSION)
		found.hint = "It is a standby: wait until it has replayed what its primary has.";
	if (found.status == NODE_READY)
		found = judge_loaded(node, facts);
	if (found.status == NODE_READY)
		found = judge_gate(node, facts);
	found.status = NODE_STANDBY;
	return found;
}

/*
 * The first that is wrong with a node for the way to the target; without a
 * plan, for what is installed.
 */
NodeVerdict
du_node_judge(const ClusterNode *node, const UpgradeFacts *facts, const UpgradePlan *plan)
{
	NodeVerdict found;
	ListCell   *lc;

	if (!node->node->active && strcmp(node->node->role, "primary") == 0)
		return verdict(NODE_INACTIVE, SAY("is not active: Citus carries nothing to it%s", "."),
					   "Citus brings it to the versions of the coordinator when it is activated.");
	if (!du_node_counts(node))
		return judge_secondary(node, facts, plan);
	if (!node->answered)
		return verdict(NODE_SILENT, SAY("does not answer: %s.", node->silence ? node->silence : "it was not asked"),
					   "Start it, or look why the coordinator cannot connect to it; a node that is gone for good is taken out with citus_disable_node() or citus_remove_node().");
	for (int i = 0; i < facts->nextensions; i++)
	{
		found = judge_extension(node, facts, plan, i);
		if (found.status != NODE_READY)
			return found;
	}
	found = judge_loaded(node, facts);
	if (found.status != NODE_READY)
		return found;
	foreach(lc, node->guards)
	{
		const NodeGuard *guard = lfirst(lc);

		if (guard->hard && guard->fails)
			return verdict(NODE_REFUSES, SAY("refuses by guard %s: %s", guard->guard, guard->detail), guard->hint);
	}
	found = judge_gate(node, facts);
	if (found.status != NODE_READY)
		return found;
	if (node->standbys != NULL)
		return verdict(NODE_STANDBYS_BEHIND, SAY("has standbys that do not see its schema: %s", node->standbys), NULL);
	if (!node->has_us)
		return verdict(NODE_BARE,
					   SAY("cannot tell its scripts and its libraries: %s.",
						   node->silence ? node->silence : "it has an older documentdb_upgrade"),
					   "Install the files of documentdb_upgrade there, preload it, and create the extension on the coordinator.");
	return verdict(NODE_READY, NULL, NULL);
}

/*
 * The status as view nodes shows it.
 */
const char *
du_node_status_name(NodeStatus status)
{
	switch (status)
	{
		case NODE_INACTIVE:
			return "inactive";
		case NODE_STANDBY:
			return "standby";
		case NODE_SILENT:
			return "silent";
		case NODE_NOT_INSTALLED:
			return "not_installed";
		case NODE_OTHER_VERSION:
			return "other_version";
		case NODE_OLD_BINARY:
			return "old_binary";
		case NODE_OTHER_SCRIPTS:
			return "other_scripts";
		case NODE_OLD_LIBRARY:
			return "old_library";
		case NODE_REFUSES:
			return "refuses";
		case NODE_OLD_GATE:
			return "old_gate";
		case NODE_STANDBYS_BEHIND:
			return "standbys_behind";
		case NODE_BARE:
			return "bare";
		case NODE_READY:
			return "ready";
	}
	elog(ERROR, "unrecognized status of a node: %d", (int) status);
}

/*
 * True for a node that keeps an upgrade from being verified; when strict, a
 * secondary node that says nothing is one.
 */
static bool
is_straggler(const ClusterNode *node, const NodeVerdict *found, bool strict)
{
	if (found->status == NODE_STANDBY)
		return found->problem != NULL && (strict || node->answered);
	return found->status >= NODE_SILENT && found->status < NODE_BARE;
}

/*
 * Sentences about nodes that do not see the installed schema in force, NULL when
 * all do.
 */
const char *
du_nodes_straggler(const Cluster *cluster, const UpgradeFacts *facts, bool strict)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, cluster->nodes)
	{
		NodeVerdict found = du_node_judge(lfirst(lc), facts, NULL);

		if (is_straggler(lfirst(lc), &found, strict))
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? " " : "", found.problem);
	}
	return buf.len > 0 ? buf.data : NULL;
}
