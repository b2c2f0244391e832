/*-------------------------------------------------------------------------
 *
 * guards.c
 *	  The conditions that must hold before a schema may be committed.
 *
 * A guard is one row of the table below and one function of those that the
 * room's internal.h lists.
 * Hard guards name what cannot work and hold for everybody.  The others are
 * judgements: their severity can be set, and a caller may override them by
 * name, which is recorded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "utils/builtins.h"
#include "utils/varlena.h"

#include "base/base.h"
#include "extension/extension.h"
#include "fleet/fleet.h"
#include "plan/plan.h"

typedef struct Guard
{
	const char *name;
	bool		hard;
	bool		asks;			/* it judges what only a query tells */
	bool		of_cluster;		/* shown where there is one */
	GuardStatus severity;		/* what a check that is not met means */
	int			sqlstate;
	GuardCheck	check;
} Guard;

/*
 * The guards in the order in which they are shown; the first that fails
 * gives an error its SQLSTATE.
 */
static const Guard guards[] =
{
	{"installed", true, false, false, GUARD_FAIL, ERRCODE_UNDEFINED_OBJECT, du_guard_installed},
	{"target_known", true, false, false, GUARD_FAIL, ERRCODE_FEATURE_NOT_SUPPORTED, du_guard_target_known},
	{"not_downgrade", true, false, false, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_not_downgrade},
	{"within_binary", true, false, false, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_within_binary},
	{"update_path", true, false, false, GUARD_FAIL, ERRCODE_FEATURE_NOT_SUPPORTED, du_guard_update_path},
	{"not_in_recovery", true, false, false, GUARD_FAIL, ERRCODE_READ_ONLY_SQL_TRANSACTION, du_guard_not_in_recovery},
	{"library_loaded", true, false, false, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_library_loaded},
	{"requirements", true, false, false, GUARD_FAIL, ERRCODE_UNDEFINED_OBJECT, du_guard_requirements},
	{"owner_can_update", true, false, false, GUARD_FAIL, ERRCODE_INSUFFICIENT_PRIVILEGE, du_guard_owner_can_update},
	{"companions_aligned", true, false, false, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_companions_aligned},
	{"no_other_upgrade", true, false, false, GUARD_FAIL, ERRCODE_OBJECT_IN_USE, du_guard_no_other_upgrade},
	{"nodes_ready", true, true, true, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_nodes_ready},
	{"lock_capacity", false, true, false, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_lock_capacity},
	{"outside_objects", false, true, false, GUARD_FAIL, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST, du_guard_outside_objects},
	{"standbys_ready", false, true, false, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_standbys_ready},
	{"replication_lag", false, true, false, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_replication_lag},
	{"blocking_sessions", false, true, false, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_blocking_sessions},
	{"node_guards", false, true, true, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_node_guards},
	{"backup_recent", false, true, false, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_backup_recent},
	{"soak_time", false, true, false, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_soak_time},
	{"window", false, false, false, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_window},
	{"hold", false, false, false, GUARD_FAIL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_hold},
	{"disk_headroom", false, true, false, GUARD_WARN, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_disk_headroom},
	{"event_triggers", false, true, false, GUARD_WARN, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_event_triggers},
	{"standby_queries", false, true, false, GUARD_WARN, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_standby_queries},
	{"rehearsed", false, true, false, GUARD_WARN, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_rehearsed},
	{"members_intact", false, true, false, GUARD_WARN, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_members_intact},
	{"caller_can_plan", false, true, false, GUARD_WARN, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, du_guard_caller_can_plan},
};

static const Guard *
find_guard(const char *name)
{
	for (int i = 0; i < lengthof(guards); i++)
	{
		if (strcmp(guards[i].name, name) == 0)
			return &guards[i];
	}
	return NULL;
}

/*
 * The status as SQL shows it.
 */
const char *
du_guards_status_name(GuardStatus status)
{
	switch (status)
	{
		case GUARD_PASS:
			return "pass";
		case GUARD_WARN:
			return "warn";
		case GUARD_FAIL:
			return "fail";
		case GUARD_SKIP:
			return "skip";
	}
	elog(ERROR, "unrecognized guard status: %d", (int) status);
}

/* The names of the guards that can be overridden. */
static char *
overridable_names(void)
{
	List	   *names = NIL;

	for (int i = 0; i < lengthof(guards); i++)
	{
		if (!guards[i].hard)
			names = lappend(names, unconstify(char *, guards[i].name));
	}
	return du_names_join(names);
}

/*
 * Raises 22023 when a name in the list is no guard that can be overridden.
 */
void
du_guards_check_names(const List *names)
{
	const ListCell *lc;

	foreach(lc, names)
	{
		const Guard *guard = find_guard(lfirst(lc));

		if (guard == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("guard \"%s\" does not exist", (char *) lfirst(lc)),
					 errhint("Those that can be overridden are: %s.", overridable_names())));
		if (guard->hard)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("guard \"%s\" cannot be overridden", guard->name),
					 errdetail("It refuses what cannot work."),
					 errhint("Leave it out, and clear its cause when it fails.")));
	}
}

static bool
is_listed(const List *names, const char *name)
{
	const ListCell *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

static char *
trim(char *item)
{
	char	   *end;

	while (*item == ' ' || *item == '\t' || *item == '\n')
		item++;
	end = item + strlen(item);
	while (end > item && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\n'))
		*--end = '\0';
	return item;
}

/*
 * Reads one "guard=severity"; NULL when it is well-formed, else why not.
 */
static const char *
read_severity(char *item, const Guard **guard, GuardStatus *severity)
{
	char	   *equals = strchr(item, '=');
	const char *value;

	if (equals == NULL)
		return "Severities are written guard=fail, guard=warn or guard=skip, separated by commas.";
	*equals = '\0';
	value = trim(equals + 1);
	*guard = find_guard(trim(item));
	if (*guard == NULL)
		return psprintf("Guard \"%s\" does not exist. Those whose severity can be set are: %s.", trim(item),
						overridable_names());
	if ((*guard)->hard)
		return psprintf("Guard \"%s\" is hard and its severity cannot be changed.", (*guard)->name);
	if (strcmp(value, "fail") == 0)
		*severity = GUARD_FAIL;
	else if (strcmp(value, "warn") == 0)
		*severity = GUARD_WARN;
	else if (strcmp(value, "skip") == 0)
		*severity = GUARD_SKIP;
	else
		return psprintf("\"%s\" is not a severity; use fail, warn or skip.", value);
	return NULL;
}

/*
 * Check hook of documentdb_upgrade.guard_severity.
 */
bool
du_guards_check_severity(char **newval, void **extra, GucSource source)
{
	char	   *rest = pstrdup(*newval);
	char	   *item;

	if (trim(rest)[0] == '\0')
		return true;
	while ((item = strsep(&rest, ",")) != NULL)
	{
		const Guard *guard;
		GuardStatus severity;
		const char *problem = read_severity(item, &guard, &severity);

		if (problem != NULL)
		{
			GUC_check_errdetail("%s", problem);
			return false;
		}
	}
	return true;
}

/*
 * Check hook of documentdb_upgrade.protected_guards.
 */
bool
du_guards_check_protected(char **newval, void **extra, GucSource source)
{
	List	   *names;
	ListCell   *lc;

	if (!SplitIdentifierString(pstrdup(*newval), ',', &names))
	{
		GUC_check_errdetail("It is not a list of guards separated by commas.");
		return false;
	}
	foreach(lc, names)
	{
		const Guard *guard = find_guard(lfirst(lc));

		if (guard != NULL && !guard->hard)
			continue;
		if (guard == NULL)
			GUC_check_errdetail("Guard \"%s\" does not exist. Those that can be protected are: %s.", (char *) lfirst(lc),
								overridable_names());
		else
			GUC_check_errdetail("Guard \"%s\" is hard and nobody can override it.", guard->name);
		return false;
	}
	return true;
}

/*
 * The first of the guards named that documentdb_upgrade.protected_guards lists,
 * NULL when none is.
 */
const char *
du_guards_find_protected(const List *names)
{
	List	   *listed;
	ListCell   *lc;

	/* Cannot fail: the check hook has looked. */
	(void) SplitIdentifierString(pstrdup(du_guc_protected_guards), ',', &listed);
	foreach(lc, listed)
	{
		if (is_listed(names, lfirst(lc)))
			return lfirst(lc);
	}
	return NULL;
}

/*
 * The severity in force for a guard; says too whether it was set.
 */
static GuardStatus
find_severity(const Guard *guard, bool *is_set)
{
	char	   *rest = pstrdup(du_guc_guard_severity);
	char	   *item;
	GuardStatus result = guard->severity;

	*is_set = false;
	while (!guard->hard && (item = strsep(&rest, ",")) != NULL)
	{
		const Guard *named = NULL;
		GuardStatus severity = GUARD_FAIL;

		if (read_severity(item, &named, &severity) == NULL && named == guard)
		{
			result = severity;
			*is_set = true;
		}
	}
	return result;
}

/*
 * True when a guard of that name, which must exist, fails and does not only
 * warn when it is not met.
 */
bool
du_guards_can_fail(const char *name)
{
	bool		is_set;

	return find_severity(find_guard(name), &is_set) == GUARD_FAIL;
}

static GuardResult
evaluate(const Guard *guard, const GuardInput *input, const List *skipped)
{
	GuardResult result = {0};
	bool		is_set;
	GuardStatus severity = find_severity(guard, &is_set);

	result.guard = guard->name;
	result.hard = guard->hard;
	result.sqlstate = guard->sqlstate;
	result.status = guard->check(input, &result);

	if (result.status == GUARD_FAIL)
		result.status = severity;
	else if (result.status == GUARD_WARN && severity == GUARD_SKIP)
		result.status = GUARD_SKIP;
	else if (result.unknown && is_set && severity == GUARD_FAIL)
		result.status = GUARD_FAIL;
	else if (result.unknown)
		result.hint = NULL;
	if (result.status != GUARD_PASS && is_listed(skipped, guard->name))
	{
		result.status = GUARD_SKIP;
		result.detail = psprintf("Overridden by the caller. %s", result.detail);
		result.hint = NULL;
	}
	return result;
}

/*
 * What a guard that looks at nothing else, update_path or within_binary, says of
 * a plan whose scripts have been read.  Asks the server nothing, so it is fit for
 * hooks.
 */
GuardResult
du_guards_judge_plan(const char *guard, const UpgradeFacts *facts, const UpgradePlan *plan)
{
	GuardInput	input = {0};

	input.facts = facts;
	input.plan = plan;
	return evaluate(find_guard(guard), &input, NIL);
}

/* The guards that a part of an attempt evaluates. */
typedef enum GuardPart
{
	PART_ALL,
	PART_FIRST,
	PART_REST
} GuardPart;

static bool
belongs_to(const Guard *guard, const GuardInput *input, GuardPart part)
{
	if (guard->of_cluster && (input->cluster == NULL || input->cluster->role == CITUS_NONE))
		return false;
	return part == PART_ALL || guard->asks == (part == PART_REST);
}

static GuardResults *
evaluate_part(const GuardInput *input, const List *skipped, GuardPart part)
{
	GuardResults *results = palloc0(sizeof(GuardResults));

	results->results = palloc0(lengthof(guards) * sizeof(GuardResult));
	for (int i = 0; i < lengthof(guards); i++)
	{
		GuardResult *result = &results->results[results->nresults];

		if (!belongs_to(&guards[i], input, part))
			continue;
		*result = evaluate(&guards[i], input, skipped);
		if (result->status == GUARD_FAIL)
			results->nfailed++;
		results->nresults++;
	}
	return results;
}

/*
 * One result per guard, in order, palloc'd.  Guards named in skipped do not
 * fail; the names must have been checked.
 */
GuardResults *
du_guards_evaluate(const GuardInput *input, const List *skipped)
{
	return evaluate_part(input, skipped, PART_ALL);
}

/*
 * The same of those guards that can be judged without a query: all hard ones
 * but the one that asks other nodes, and some others.
 */
GuardResults *
du_guards_evaluate_first(const GuardInput *input, const List *skipped)
{
	return evaluate_part(input, skipped, PART_FIRST);
}

/*
 * And of all others.
 */
GuardResults *
du_guards_evaluate_rest(const GuardInput *input, const List *skipped)
{
	return evaluate_part(input, skipped, PART_REST);
}

/*
 * Gathers for du_guards_evaluate_first(): without a query.
 */
GuardInput
du_guards_look(const UpgradeFacts *facts, const UpgradePlan *plan, Oid caller)
{
	GuardInput	input = {0};

	input.facts = facts;
	input.plan = plan;
	input.server_facts = du_server_facts_look(facts, plan, caller);
	input.locks = du_lock_count(NIL);
	return input;
}

/*
 * Gathers it for a plan whose scripts have been read, and for a caller whose
 * rights some guards look at; palloc'd.  Comparing the members reads every
 * definition of the managed set, and what stands on them is looked up in
 * pg_depend, so both are left out where nobody would see what comes of it.
 * What nodes of a cluster have answered to this process counts for that many
 * milliseconds.  SPI must be connected.
 */
GuardInput
du_guards_gather(const UpgradeFacts *facts, const UpgradePlan *plan, Oid caller,
				 bool compare_members, GuardNodes nodes, int nodes_age_ms)
{
	GuardInput	input = {0};

	input.facts = facts;
	input.plan = plan;
	input.server_facts = du_server_facts_gather(facts, plan, caller);
	input.fleet = du_fleet_gather();
	input.locks = du_plan_count_locks(plan);
	if (nodes != GUARD_NODES_LEFT_OUT)
		input.cluster = plan->nsteps == 0 ? du_cluster_look(facts) :
			du_cluster_gather(facts, plan, nodes == GUARD_NODES_ALL ? CLUSTER_GUARDS : CLUSTER_VERSIONS,
							  nodes_age_ms);
	if (plan->nsteps > 0)
	{
		if (compare_members)
			input.members = du_members_compare(facts);
		du_rehearsals_recall(facts, plan->target, &input.rehearsal);
		du_outside_recall(facts, plan, input.rehearsal.id != 0, compare_members, &input.outside);
	}
	return input;
}
