/*-------------------------------------------------------------------------
 *
 * node_facts.c
 *	  Asks the nodes, and reads what they answer.
 *
 * A node with this extension is asked for one JSON object, which node_report()
 * makes there.  One without it, or with an older version of it, is asked for
 * its versions by a plain query.  A node that says nothing in time, or nothing
 * that can be read, is a fact like the others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cluster/internal.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/base.h"

/* Names of the managed set, as a setting and as an array. */
static char *
names_of(const UpgradeFacts *facts, bool as_array)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < facts->nextensions; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "",
						 as_array ? quote_literal_cstr(facts->extensions[i].name) :
						 quote_identifier(facts->extensions[i].name));
	return buf.data;
}

/* What a node with this extension is asked. */
static char *
full_command(const UpgradeFacts *facts, const UpgradePlan *plan, ClusterLook look)
{
	return psprintf("SELECT documentdb_upgrade_internal.node_report(%s, %s, %s, %s)",
					quote_literal_cstr(du_managed_main(facts)->name),
					quote_literal_cstr(names_of(facts, false)),
					plan != NULL && plan->target != NULL ? quote_literal_cstr(plan->target) : "NULL",
					look == CLUSTER_GUARDS ? "true" : "false");
}

/* And one without it. */
static char *
plain_command(const UpgradeFacts *facts)
{
	return psprintf("SELECT pg_catalog.jsonb_build_object('extensions', pg_catalog.jsonb_agg("
					"pg_catalog.jsonb_build_object('name', n.name, 'installed', e.extversion, 'binary', a.default_version)))::pg_catalog.text"
					" FROM pg_catalog.unnest(ARRAY[%s]) n(name)"
					" LEFT JOIN pg_catalog.pg_extension e ON e.extname = n.name"
					" LEFT JOIN pg_catalog.pg_available_extensions a ON a.name = n.name",
					names_of(facts, true));
}

/*
 * Digest of the scripts of one extension in a plan whose scripts have been read,
 * palloc'd; NULL when it has none.
 */
char *
du_cluster_steps(const UpgradeFacts *facts, const UpgradePlan *plan, int extension)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < plan->nsteps; i++)
	{
		const PlanStep *step = &plan->steps[i];

		if (step->extension == extension)
			appendStringInfo(&buf, "%s %s %s\n", step->from, step->to,
							 step->script->sha256 ? step->script->sha256 : "unreadable");
	}
	return buf.len > 0 ? du_digest_bytes(buf.data, buf.len) : NULL;
}

/*
 * The extension of that name on a node, NULL when it has said nothing of it.
 */
const NodeExtension *
du_cluster_find(const ClusterNode *node, const char *extension)
{
	ListCell   *lc;

	foreach(lc, node->extensions)
	{
		const NodeExtension *found = lfirst(lc);

		if (strcmp(found->name, extension) == 0)
			return found;
	}
	return NULL;
}

/* This server, from what it knows of itself. */
static void
describe_here(ClusterNode *node, const UpgradeFacts *facts, const UpgradePlan *plan)
{
	const ExtensionFacts *main_extension = du_managed_main(facts);

	node->answered = node->has_us = true;
	node->program = du_extension_installed_version("documentdb_upgrade", NULL);
	node->library = du_library_state_name(du_library_facts(facts).state);
	node->gate = main_extension->installed ? du_loaded_gate(main_extension->installed) : NULL;
	for (int i = 0; i < facts->nextensions; i++)
	{
		NodeExtension *extension = palloc0(sizeof(NodeExtension));

		extension->name = facts->extensions[i].name;
		extension->installed = facts->extensions[i].installed;
		extension->binary = facts->extensions[i].binary;
		if (i == facts->main)
			extension->loaded = du_loaded_version(main_extension);
		if (plan != NULL)
			extension->steps = du_cluster_steps(facts, plan, i);
		node->extensions = lappend(node->extensions, extension);
	}
}

static void
read_extensions(ClusterNode *node, Datum json)
{
	Oid			types[] = {TEXTOID};
	int			rows = du_query("SELECT e->>'name', e->>'installed', e->>'binary', e->>'loaded', e->>'steps', e->>'problem', e->>'hint'"
								" FROM pg_catalog.jsonb_array_elements($1::pg_catalog.jsonb->'extensions') e"
								" WHERE e->>'name' IS NOT NULL",
								1, types, &json);

	for (int i = 0; i < rows; i++)
	{
		NodeExtension *extension = palloc0(sizeof(NodeExtension));

		extension->name = du_query_text(i, 1);
		extension->installed = du_query_text(i, 2);
		extension->binary = du_query_text(i, 3);
		extension->loaded = du_query_text(i, 4);
		extension->steps = du_query_text(i, 5);
		extension->problem = du_query_text(i, 6);
		extension->hint = du_query_text(i, 7);
		node->extensions = lappend(node->extensions, extension);
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
read_guards(ClusterNode *node, Datum json)
{
	Oid			types[] = {TEXTOID};
	int			rows = du_query("SELECT g->>'guard', g->>'hard', g->>'status', g->>'detail', g->>'hint'"
								" FROM pg_catalog.jsonb_array_elements($1::pg_catalog.jsonb->'guards') g"
								" WHERE g->>'guard' IS NOT NULL AND g->>'detail' IS NOT NULL",
								1, types, &json);

	for (int i = 0; i < rows; i++)
	{
		NodeGuard  *guard = palloc0(sizeof(NodeGuard));
		const char *hard = du_query_text(i, 2);
		const char *status = du_query_text(i, 3);

		guard->guard = du_query_text(i, 1);
		guard->hard = hard != NULL && strcmp(hard, "true") == 0;
		guard->fails = status != NULL && strcmp(status, "fail") == 0;
		guard->detail = du_query_text(i, 4);
		guard->hint = du_query_text(i, 5);
		node->guards = lappend(node->guards, guard);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* The work of a subtransaction: reads an answer. */
static void
read_answer(void *arg)
{
	ClusterNode *node = arg;
	Oid			types[] = {TEXTOID};
	Datum		json = CStringGetTextDatum(node->json);

	du_query("SELECT j->>'program', j->>'library', j->>'gate', j->>'standbys' FROM (SELECT $1::pg_catalog.jsonb) AS r(j)",
			 1, types, &json);
	node->program = du_query_text(0, 1);
	node->library = du_query_text(0, 2);
	node->gate = du_query_text(0, 3);
	node->standbys = du_query_text(0, 4);
	SPI_freetuptable(SPI_tuptable);
	node->has_us = node->program != NULL;
	read_extensions(node, json);
	read_guards(node, json);
}

static void
take_answer(ClusterNode *node, const NodeAnswer *answer)
{
	ErrorData  *error;

	if (!answer->success)
	{
		node->late = answer->late;
		if (node->silence == NULL)
			node->silence = answer->text;
		return;
	}
	node->json = answer->text;
	node->answered = true;
	error = du_subtransaction_run(read_answer, node, SUBTRANSACTION_ROLL_BACK);
	if (error == NULL)
		return;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	node->answered = node->has_us = false;
	node->json = NULL;
	node->silence = psprintf("its answer cannot be read: %s", error->message);
}

/* Asks those of the nodes that are to be asked and have not answered yet. */
static void
ask(Cluster *cluster, const char *command, int limit_ms)
{
	List	   *asked = NIL;
	List	   *targets = NIL;
	NodeAnswer *answers;
	ListCell   *lc;
	int			i = 0;

	foreach(lc, cluster->nodes)
	{
		ClusterNode *node = lfirst(lc);

		if (!node->asked || node->answered || node->late)
			continue;
		asked = lappend(asked, node);
		targets = lappend(targets, unconstify(CitusNode *, node->node));
	}
	answers = du_citus_ask(targets, command, limit_ms);
	foreach(lc, asked)
		take_answer(lfirst(lc), &answers[i++]);
}

/*
 * What is known without asking anybody, palloc'd.
 */
Cluster *
du_cluster_look(const UpgradeFacts *facts)
{
	Cluster    *cluster = palloc0(sizeof(Cluster));
	const CitusNode *coordinator;

	cluster->role = du_citus_role();
	cluster->carried = cluster->role != CITUS_NONE && du_citus_carries(du_managed_main(facts)->name);
	if (cluster->role == CITUS_WORKER)
	{
		coordinator = du_citus_coordinator();
		cluster->coordinator = coordinator != NULL ? coordinator->name : NULL;
	}
	if (cluster->role == CITUS_COORDINATOR && cluster->carried)
		cluster->obstacle = du_citus_obstacle(&cluster->obstacle_hint);
	return cluster;
}

/* What the nodes have answered last, for those who may ask often. */
typedef struct Remembered
{
	MemoryContext context;
	TimestampTz at;				/* 0: nothing */
	char	   *question;		/* with the nodes that it was put to */
	int			n;
	NodeAnswer *answers;
} Remembered;

static Remembered remembered;

/* What was asked of whom. */
static char *
question_of(const Cluster *cluster, const char *command)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, command);
	foreach(lc, cluster->nodes)
	{
		const ClusterNode *node = lfirst(lc);

		appendStringInfo(&buf, "\n%d %s %d", node->node->id, node->node->name, node->asked);
	}
	return buf.data;
}

static void
remember(const Cluster *cluster, const char *question)
{
	MemoryContext context;
	ListCell   *lc;
	int			i = 0;

	remembered.at = 0;
	if (remembered.context == NULL)
		remembered.context = AllocSetContextCreate(TopMemoryContext, "documentdb_upgrade nodes",
												   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(remembered.context);
	context = MemoryContextSwitchTo(remembered.context);
	remembered.question = pstrdup(question);
	remembered.n = list_length(cluster->nodes);
	remembered.answers = palloc0(Max(remembered.n, 1) * sizeof(NodeAnswer));
	foreach(lc, cluster->nodes)
	{
		const ClusterNode *node = lfirst(lc);
		const char *text = node->json != NULL ? node->json : node->silence;

		remembered.answers[i].success = node->json != NULL;
		remembered.answers[i].late = node->late;
		remembered.answers[i++].text = text != NULL ? pstrdup(text) : NULL;
	}
	MemoryContextSwitchTo(context);
	remembered.at = du_clock_ms();
}

/* Gives the nodes what they have answered to the same question not long ago. */
static bool
recall(Cluster *cluster, const char *question, int max_age_ms)
{
	ListCell   *lc;
	int			i = 0;

	if (max_age_ms <= 0 || remembered.at == 0 || remembered.n != list_length(cluster->nodes) ||
		strcmp(remembered.question, question) != 0 ||
		du_clock_exceeds(remembered.at, max_age_ms))
		return false;
	foreach(lc, cluster->nodes)
	{
		ClusterNode *node = lfirst(lc);
		NodeAnswer	answer = remembered.answers[i++];

		if (!node->asked)
			continue;
		answer.text = pstrdup(answer.text != NULL ? answer.text : "nothing was said");
		take_answer(node, &answer);
	}
	return true;
}

/*
 * The nodes with what each says of the way to the plan's target, within
 * node_timeout, palloc'd; plan may be NULL, else its scripts must have been read.
 * A node that takes no part is listed and, when it is not active, not asked.
 * Answers to the same question that came to this process not longer ago than
 * max_age_ms count.  SPI must be connected.
 */
Cluster *
du_cluster_gather(const UpgradeFacts *facts, const UpgradePlan *plan, ClusterLook look, int max_age_ms)
{
	Cluster    *cluster = du_cluster_look(facts);
	const char *command;
	const char *question;
	ListCell   *lc;

	if (cluster->role != CITUS_COORDINATOR)
		return cluster;
	foreach(lc, du_citus_nodes())
	{
		ClusterNode *node = palloc0(sizeof(ClusterNode));

		node->node = lfirst(lc);
		node->asked = node->node->active && !node->node->here &&
			(du_node_counts(node) || strcmp(node->node->role, "secondary") == 0);
		if (node->node->here)
			describe_here(node, facts, plan);
		cluster->nodes = lappend(cluster->nodes, node);
	}
	command = full_command(facts, plan, look);
	question = question_of(cluster, command);
	if (recall(cluster, question, max_age_ms))
		return cluster;
	ask(cluster, command, du_guc_node_timeout / 4 * 3);
	ask(cluster, plain_command(facts), du_guc_node_timeout / 4);
	remember(cluster, question);
	return cluster;
}
