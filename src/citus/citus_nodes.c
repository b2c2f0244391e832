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

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "postmaster/postmaster.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/base.h"

/* A scan over a table of Citus'. */
typedef struct CitusScan
{
	Relation	rel;
	Snapshot	snapshot;
	SysScanDesc scan;
	HeapTuple	tuple;
} CitusScan;

/* False when the table is not there. */
static bool
begin_scan(CitusScan *scan, const char *table)
{
	Oid			relid = InvalidOid;

	if (OidIsValid(get_extension_oid("citus", true)))
		relid = get_relname_relid(table, PG_CATALOG_NAMESPACE);
	if (!OidIsValid(relid))
		return false;
	scan->rel = try_table_open(relid, AccessShareLock);
	if (scan->rel == NULL)
		return false;
	scan->snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan->scan = systable_beginscan(scan->rel, InvalidOid, false, scan->snapshot, 0, NULL);
	return true;
}

static bool
next_row(CitusScan *scan)
{
	scan->tuple = systable_getnext(scan->scan);
	return HeapTupleIsValid(scan->tuple);
}

static void
end_scan(CitusScan *scan)
{
	systable_endscan(scan->scan);
	UnregisterSnapshot(scan->snapshot);
	table_close(scan->rel, AccessShareLock);
}

/* A column of the current row, palloc'd text; NULL for a null or no column. */
static char *
column(const CitusScan *scan, const char *name)
{
	AttrNumber	number = get_attnum(RelationGetRelid(scan->rel), name);
	bool		isnull;
	Datum		value;
	Oid			output;
	bool		is_varlena;

	if (number == InvalidAttrNumber)
		return NULL;
	value = heap_getattr(scan->tuple, number, RelationGetDescr(scan->rel), &isnull);
	if (isnull)
		return NULL;
	getTypeOutputInfo(TupleDescAttr(RelationGetDescr(scan->rel), number - 1)->atttypid, &output, &is_varlena);
	return OidOutputFunctionCall(output, value);
}

static int
number_in(const CitusScan *scan, const char *name)
{
	const char *text = column(scan, name);

	return text != NULL ? pg_strtoint32(text) : -1;
}

/*
 * What this server is.  One whose own row is missing is being upgraded by
 * pg_upgrade, and is nothing for the time being.
 */
CitusRole
du_citus_role(void)
{
	CitusScan	scan;
	CitusRole	role = CITUS_NONE;

	if (!begin_scan(&scan, "pg_dist_local_group"))
		return CITUS_NONE;
	if (next_row(&scan))
		role = number_in(&scan, "groupid") == 0 ? CITUS_COORDINATOR : CITUS_WORKER;
	end_scan(&scan);
	return role;
}

static int
local_group(void)
{
	CitusScan	scan;
	int			group = -1;

	if (!begin_scan(&scan, "pg_dist_local_group"))
		return -1;
	if (next_row(&scan))
		group = number_in(&scan, "groupid");
	end_scan(&scan);
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
	CitusScan	scan;

	if (group < 0 || !begin_scan(&scan, "pg_dist_node"))
		return NIL;
	while (next_row(&scan))
	{
		const char *in_cluster = column(&scan, "nodecluster");
		const char *role = column(&scan, "noderole");
		const char *active = column(&scan, "isactive");
		CitusNode  *node;

		if (in_cluster != NULL && strcmp(in_cluster, cluster != NULL ? cluster : "default") != 0)
			continue;
		node = palloc0(sizeof(CitusNode));
		node->id = number_in(&scan, "nodeid");
		node->group = number_in(&scan, "groupid");
		node->host = column(&scan, "nodename");
		node->port = number_in(&scan, "nodeport");
		node->name = psprintf("%s:%d", node->host, node->port);
		node->role = role != NULL ? role : "primary";
		node->active = active == NULL || active[0] == 't';
		/* Which of its group's rows is about a standby, only that of its primary tells. */
		node->here = node->group == group && strcmp(node->role, "primary") == 0 && !RecoveryInProgress();
		listed |= node->here;
		nodes = lappend(nodes, node);
	}
	end_scan(&scan);
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
