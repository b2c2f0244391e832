/*-------------------------------------------------------------------------
 *
 * step_risk.c
 *	  How much is at stake in a step, judged by what it did.
 *
 * The classes are those that a plan reads from the script's text before a
 * rehearsal.  What a step did is known better: the heaviest class that applies
 * is the step's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_parameter_acl.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_tablespace.h"

#include "base/base.h"

/* What the changes of a step are about. */
typedef struct ChangeCounts
{
	int			cluster;		/* roles, memberships, their settings */
	int			functions;
	int			others;
	int			privileges;		/* objects with other privileges or owners */
	int			rewritten;
	int			dropped_tables;
	const char *first_cluster;
} ChangeCounts;

static bool
is_cluster_wide(Oid classid)
{
	return classid == AuthIdRelationId || classid == AuthMemRelationId ||
		classid == DatabaseRelationId || classid == DbRoleSettingRelationId ||
		classid == TableSpaceRelationId || classid == ParameterAclRelationId;
}

/* True for a table that is gone, with the data that were in it. */
static bool
is_dropped_table(const CatalogChange *change)
{
	return change->object.classId == RelationRelationId &&
		(change->action == CHANGE_REMOVED || change->recreated) &&
		(strcmp(change->kind, "table") == 0 || strcmp(change->kind, "materialized view") == 0);
}

static ChangeCounts
count_changes(const StepEffects *effects)
{
	ChangeCounts counts = {0};
	ListCell   *lc;

	foreach(lc, effects->changes)
	{
		const CatalogChange *change = lfirst(lc);

		/* The version itself always changes. */
		if (change->object.classId == ExtensionRelationId)
			continue;
		if (change->rewritten && strcmp(change->kind, "sequence") != 0)
			counts.rewritten++;
		if (is_dropped_table(change))
			counts.dropped_tables++;
		if (is_cluster_wide(change->object.classId))
		{
			counts.cluster++;
			if (counts.first_cluster == NULL)
				counts.first_cluster = psprintf("%s %s", change->kind, change->identity);
		}
		else if (change->object.classId == ProcedureRelationId && change->definition)
			counts.functions++;
		else if (change->object.classId == DefaultAclRelationId)
			counts.privileges++;
		else if (change->definition)
			counts.others++;

		/* What a new object grants is part of it. */
		if (change->owner ||
			(change->action == CHANGE_CHANGED && (change->granted || change->revoked)))
			counts.privileges++;
	}
	return counts;
}

/* Existing tables that were locked against writers, or written to. */
typedef struct TableCounts
{
	int			tables;
	int			members;		/* of an extension, among them */
	int64		bytes;
	int			written;
} TableCounts;

static TableCounts
count_tables(const StepEffects *effects)
{
	TableCounts counts = {0};
	ListCell   *lc;

	foreach(lc, effects->locked)
	{
		const LockedRelation *locked = lfirst(lc);

		if (!locked->is_table || locked->mode < ShareLock)
			continue;
		counts.tables++;
		counts.members += locked->is_member;
		counts.bytes += locked->bytes;
	}
	foreach(lc, effects->rows)
		counts.written += !((const TableRows *) lfirst(lc))->is_new;
	return counts;
}

static StepRisk
risk(const char *name, int rank, const char *reason)
{
	StepRisk	r = {name, rank, reason};

	return r;
}

/*
 * The class of a step that has run.
 */
StepRisk
du_risk_of(const StepEffects *effects)
{
	ChangeCounts changes = count_changes(effects);
	TableCounts tables = count_tables(effects);

	if (changes.cluster > 0)
		return risk("cluster-wide", 4,
					psprintf("It changes %s that all databases share, such as %s.",
							 du_count_words(changes.cluster, "thing", "things"), changes.first_cluster));
	if (tables.tables > 0 || tables.written > 0 || changes.rewritten > 0 ||
		changes.dropped_tables > 0)
		return risk("data tables", 3,
					psprintf("It locks %s of " INT64_FORMAT " kB against writers (%d of them members of an extension), rewrites %d, drops %d and writes rows of %d.",
							 du_count_words(tables.tables, "existing table", "existing tables"),
							 tables.bytes / 1024, tables.members,
							 changes.rewritten, changes.dropped_tables, tables.written));
	if (changes.privileges > 0)
		return risk("privileges", 2,
					psprintf("It changes privileges or the owner of %s.",
							 du_count_words(changes.privileges, "existing object", "existing objects")));
	if (changes.others > 0)
		return risk("catalogue", 1,
					psprintf("It changes %s, %d of them of functions.",
							 du_count_words(changes.others + changes.functions, "definition", "definitions"),
							 changes.functions));
	if (changes.functions > 0)
		return risk("functions only", 0,
					psprintf("It changes %s and nothing else.",
							 du_count_words(changes.functions, "function", "functions")));
	return risk("functions only", 0, "It changes nothing but the version.");
}

/*
 * The class of one that has not.
 */
StepRisk
du_risk_unknown(void)
{
	return risk("unknown", 5, "It did not run to its end.");
}
