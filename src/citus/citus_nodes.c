/*-------------------------------------------------------------------------
 *
 * citus_nodes.c
 *	  This server's place in a cluster, and the other nodes.
 *
 * Citus keeps both in tables of pg_catalog.  They are read by scans and not by
 * queries, because hooks and fingerprints ask too.  A server that has Citus and
 * no node beside it is a coordinator of nothing but itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "citus/internal.h"

#include "access/xlog.h"
#include "commands/extension.h"
#include "postmaster/postmaster.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/base.h"

/* Begins to read a table of Citus'; false when it is not there. */
static bool
begin_scan(TableScan *scan, const char *table)
{
	return OidIsValid(get_extension_oid("citus", true)) && du_scan_begin_if_exists(scan, "pg_catalog", table);
}

static int
number_in(const TableScan *scan, const char *name)
{
	const char *text = du_scan_text(scan, name);

	return text != NULL ? pg_strtoint32(text) : -1;
}

/*
 * What this server is.  One whose own row is missing is being upgraded by
 * pg_upgrade, and is nothing for the time being.
 */
CitusRole
du_citus_role(void)
{
	TableScan	scan;
	CitusRole	role = CITUS_NONE;

	if (!begin_scan(&scan, "pg_dist_local_group"))
		return CITUS_NONE;
	if (du_scan_next(&scan))
		role = number_in(&scan, "groupid") == 0 ? CITUS_COORDINATOR : CITUS_WORKER;
	du_scan_end(&scan, AccessShareLock);
	return role;
}

static int
local_group(void)
{
	TableScan	scan;
	int			group = -1;

	if (!begin_scan(&scan, "pg_dist_local_group"))
		return -1;
	if (du_scan_next(&scan))
		group = number_in(&scan, "groupid");
	du_scan_end(&scan, AccessShareLock);
	return group;
}

/* By group, primaries first. */
static int
compare_nodes(const ListCell *a, const ListCell *b)
{
	const CitusNode *left = lfirst(a);
	const CitusNode *right = lfirst(b);

	if (left->group != right->group)
		return left->group < right->group ? -1 : 1;
	if (strcmp(left->role, right->role) != 0)
		return strcmp(left->role, right->role);
	return left->id < right->id ? -1 : left->id > right->id;
}

/* This server, in the words that Citus itself uses for it. */
static CitusNode *
node_here(void)
{
	const char *host = GetConfigOption("citus.local_hostname", true, false);
	CitusNode  *node = palloc0(sizeof(CitusNode));

	node->host = pstrdup(host != NULL ? host : "localhost");
	node->port = PostPortNumber;
	node->name = psprintf("%s:%d", node->host, node->port);
	node->role = "primary";
	node->active = true;
	node->here = true;
	return node;
}

/*
 * The nodes of this server's cluster, palloc'd: this server among them, also
 * where Citus does not list its coordinator.  NIL outside of a cluster.
 */
List *
du_citus_nodes(void)
{
	const char *cluster = GetConfigOption("citus.cluster_name", true, false);
	int			group = local_group();
	bool		listed = false;
	List	   *nodes = NIL;
	TableScan	scan;

	if (group < 0 || !begin_scan(&scan, "pg_dist_node"))
		return NIL;
	while (du_scan_next(&scan))
	{
		const char *in_cluster = du_scan_text(&scan, "nodecluster");
		const char *role = du_scan_text(&scan, "noderole");
		const char *active = du_scan_text(&scan, "isactive");
		CitusNode  *node;

		if (in_cluster != NULL && strcmp(in_cluster, cluster != NULL ? cluster : "default") != 0)
			continue;
		node = palloc0(sizeof(CitusNode));
		node->id = number_in(&scan, "nodeid");
		node->group = number_in(&scan, "groupid");
		node->host = du_scan_text(&scan, "nodename");
		node->port = number_in(&scan, "nodeport");
		node->name = psprintf("%s:%d", node->host, node->port);
		node->role = role != NULL ? role : "primary";
		node->active = active == NULL || active[0] == 't';
		/* Which of its group's rows is about a standby, only that of its primary tells. */
		node->here = node->group == group && strcmp(node->role, "primary") == 0 && !RecoveryInProgress();
		listed |= node->here;
		nodes = lappend(nodes, node);
	}
	du_scan_end(&scan, AccessShareLock);
	if (!listed && group == 0 && !RecoveryInProgress())
		nodes = lappend(nodes, node_here());
	list_sort(nodes, compare_nodes);
	return nodes;
}

/*
 * The coordinator as a worker node knows it, NULL when it does not.
 */
const CitusNode *
du_citus_coordinator(void)
{
	ListCell   *lc;

	foreach(lc, du_citus_nodes())
	{
		const CitusNode *node = lfirst(lc);

		if (node->group == 0 && strcmp(node->role, "primary") == 0)
			return node;
	}
	return NULL;
}

/*
 * False for an extension whose statements Citus never carries: its own.
 */
bool
du_citus_carries(const char *extension)
{
	return strcmp(extension, "citus") != 0;
}

static bool
is_on(const char *setting)
{
	const char *value = GetConfigOption(setting, true, false);
	bool		on;

	return value != NULL && parse_bool(value, &on) && on;
}

/*
 * Why statements of this session would stay on the coordinator, as a sentence
 * with a hint; NULL when nothing keeps them here.
 */
const char *
du_citus_obstacle(const char **hint)
{
	static const char *const settings[] = {"citus.enable_ddl_propagation", "citus.enable_metadata_sync"};

	if (GetConfigOption(settings[0], true, false) == NULL)
	{
		*hint = "Add citus to shared_preload_libraries, before documentdb_upgrade, and restart PostgreSQL.";
		return "The library of Citus is not loaded, so the coordinator alone would be upgraded.";
	}
	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		if (GetConfigOption(settings[i], true, false) == NULL || is_on(settings[i]))
			continue;
		*hint = psprintf("Run SET %s = on.", settings[i]);
		return psprintf("%s is off, so the coordinator alone would be upgraded.", settings[i]);
	}
	*hint = NULL;
	return NULL;
}
