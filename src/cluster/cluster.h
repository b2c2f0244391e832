/*-------------------------------------------------------------------------
 *
 * cluster.h
 *	  The nodes of a Citus cluster, and what each says of an upgrade.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CLUSTER_H
#define DU_CLUSTER_H

#include "nodes/pg_list.h"

#include "citus/citus.h"
#include "extension/extension.h"
#include "plan/plan.h"

/* ----
 * node_facts.c
 *
 * Asks the nodes, and reads what they answer.
 * ----
 */

/* One extension as it is on a node.  Texts are NULL when not known. */
typedef struct NodeExtension
{
	const char *name;
	const char *installed;
	const char *binary;
	const char *loaded;			/* of the main extension alone */
	const char *steps;			/* digest of its scripts on the way to the target */
	const char *problem;		/* why it has no way there, or with its library */
	const char *hint;
} NodeExtension;

/* A guard that does not pass on a node. */
typedef struct NodeGuard
{
	const char *guard;
	bool		hard;
	bool		fails;			/* it warns, when false */
	const char *detail;
	const char *hint;
} NodeGuard;

typedef struct ClusterNode
{
	const CitusNode *node;
	bool		asked;
	bool		answered;
	bool		late;			/* it was waited for in vain */
	bool		has_us;			/* and could say all of what follows */
	const char *silence;		/* why it has said nothing, or nothing more */
	const char *program;		/* version of this extension */
	const char *library;		/* its libraries against its disk, in one word */
	const char *gate;
	const char *standbys;		/* sentences about those of its own that do not
								 * see its schema, or NULL */
	List	   *extensions;		/* of NodeExtension */
	List	   *guards;			/* of NodeGuard */
	const char *json;			/* what it answered, NULL here */
} ClusterNode;

/* How much is asked. */
typedef enum ClusterLook
{
	CLUSTER_VERSIONS,			/* what is there */
	CLUSTER_GUARDS				/* and what the node's own guards say */
} ClusterLook;

typedef struct Cluster
{
	CitusRole	role;
	const char *coordinator;	/* of a worker node: its name, or NULL */
	bool		carried;		/* Citus carries this upgrade to the nodes */
	const char *obstacle;		/* why it would not now, or NULL */
	const char *obstacle_hint;
	List	   *nodes;			/* of ClusterNode; NIL: not asked */
} Cluster;

extern PGDLLEXPORT Cluster *du_cluster_look(const UpgradeFacts *facts);
extern PGDLLEXPORT Cluster *du_cluster_gather(const UpgradeFacts *facts, const UpgradePlan *plan,
											  ClusterLook look, int max_age_ms);
extern char *du_cluster_steps(const UpgradeFacts *facts, const UpgradePlan *plan, int extension);
extern const NodeExtension *du_cluster_find(const ClusterNode *node, const char *extension);

/* ----
 * node_judgement.c
 *
 * Whether a node is ready for a schema, and what keeps it from that.
 * ----
 */

/* In the order of what is said first. */
typedef enum NodeStatus
{
	NODE_INACTIVE,
	NODE_STANDBY,				/* of another node's group */
	NODE_SILENT,
	NODE_NOT_INSTALLED,
	NODE_OTHER_VERSION,			/* installed than on the coordinator */
	NODE_OLD_BINARY,
	NODE_OTHER_SCRIPTS,
	NODE_OLD_LIBRARY,
	NODE_REFUSES,				/* another hard guard fails there */
	NODE_OLD_GATE,
	NODE_STANDBYS_BEHIND,		/* its own do not see what it sees */
	NODE_BARE,					/* this extension is not there */
	NODE_READY
} NodeStatus;

typedef struct NodeVerdict
{
	NodeStatus	status;
	const char *problem;		/* one sentence, NULL when ready */
	const char *hint;			/* or NULL */
} NodeVerdict;

extern bool du_node_counts(const ClusterNode *node);
extern NodeVerdict du_node_judge(const ClusterNode *node, const UpgradeFacts *facts,
								 const UpgradePlan *plan);
extern const char *du_node_status_name(NodeStatus status);
extern const char *du_nodes_straggler(const Cluster *cluster, const UpgradeFacts *facts, bool strict);

#endif							/* DU_CLUSTER_H */
