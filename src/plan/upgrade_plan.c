/*-------------------------------------------------------------------------
 *
 * upgrade_plan.c
 *	  The steps from the installed versions to a target.
 *
 * One step for each script on the way of each extension, in the order of the
 * managed set.  A step knows its script, what that locks of what exists, and
 * how much is at stake as far as its text shows it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/internal.h"

#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "extension/extension.h"

/*
 * One step per script, in the order of the managed set.
 */
static void
lay_out_steps(UpgradePlan *plan, const UpgradeFacts *facts)
{
	int			capacity = 0;

	for (int i = 0; i < facts->nextensions; i++)
	{
		if (plan->targets[i].path != NULL)
			capacity += plan->targets[i].path->nversions - 1;
	}
	plan->steps = palloc0(Max(capacity, 1) * sizeof(PlanStep));
	for (int i = 0; i < facts->nextensions; i++)
	{
		const UpdatePath *path = plan->targets[i].path;

		for (int j = 1; path != NULL && j < path->nversions; j++)
		{
			PlanStep   *step = &plan->steps[plan->nsteps++];

			step->extension = i;
			step->from = path->versions[j - 1];
			step->to = path->versions[j];
		}
	}
}

/*
 * Notes a companion that is not at its target.
 */
static void
note_behind(UpgradePlan *plan, const ExtensionFacts *companion, const ExtensionTarget *target)
{
	const char *clause;

	if (target->problem != NULL)
		clause = psprintf("extension \"%s\" cannot be brought along", companion->name);
	else if (target->path != NULL)
		clause = psprintf("extension \"%s\" goes from \"%s\" to \"%s\"", companion->name,
						  companion->installed, target->target);
	else
		return;
	plan->behind = plan->behind == NULL ? clause : psprintf("%s, %s", plan->behind, clause);
}

static UpgradePlan *
make(const UpgradeFacts *facts, const char *requested, bool named)
{
	UpgradePlan *plan = palloc0(sizeof(UpgradePlan));

	plan->requested = requested;
	plan->named = named;
	plan->targets = palloc0(facts->nextensions * sizeof(ExtensionTarget));
	plan->target_exists = du_target_aim_main(du_managed_main(facts), requested, named,
											 &plan->targets[facts->main]);
	plan->target = plan->targets[facts->main].target;
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (i == facts->main)
			continue;
		du_target_aim_companion(&facts->extensions[i], du_managed_main(facts), plan->target,
								named, &plan->targets[i]);
		note_behind(plan, &facts->extensions[i], &plan->targets[i]);
	}

	/* Nothing runs for the companions alone on the way to nowhere. */
	if (du_managed_main(facts)->installed != NULL && plan->target_exists &&
		plan->targets[facts->main].problem == NULL)
		lay_out_steps(plan, facts);
	return plan;
}

/*
 * The plan to a requested version (NULL: the binary version), palloc'd.
 * Pure: reads nothing but the facts.  requested must be a well-formed
 * version.
 */
UpgradePlan *
du_plan_make(const UpgradeFacts *facts, const char *requested)
{
	return make(facts, requested, false);
}

/*
 * The same for somebody who names the installed version too, and so vouches for
 * the order of the two: requested may be any text.
 */
UpgradePlan *
du_plan_make_named(const UpgradeFacts *facts, const char *requested)
{
	return make(facts, requested, true);
}

/*
 * The relation that a script means by a name: an existing one, looked for
 * where the script's search_path would look first; else InvalidOid.
 */
static Oid
resolve_relation(const ScriptRelation *relation, Oid schema)
{
	if (relation->schema != NULL)
	{
		schema = get_namespace_oid(relation->schema, true);
		if (!OidIsValid(schema))
			return InvalidOid;
	}
	return get_relname_relid(relation->name, schema);
}

static void
add_lock(PlanStep *step, Oid relation, LOCKMODE mode)
{
	KnownLock  *lock = &step->locks[step->nlocks++];

	lock->relation = relation;
	lock->mode = mode;
	lock->name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
											get_rel_name(relation));
}

static void
resolve_locks(PlanStep *step, const ExtensionFacts *extension)
{
	ListCell   *lc;

	/* An index brings its table along. */
	step->locks = palloc0(Max(2 * list_length(step->script->relations), 1) * sizeof(KnownLock));
	foreach(lc, step->script->relations)
	{
		const ScriptRelation *relation = lfirst(lc);
		Oid			oid = resolve_relation(relation, extension->schema);

		if (!OidIsValid(oid))
			continue;			/* an earlier step creates it */

		/* As every reader does: the table before its index. */
		if (get_rel_relkind(oid) == RELKIND_INDEX && relation->mode == AccessExclusiveLock &&
			OidIsValid(IndexGetRelation(oid, true)))
			add_lock(step, IndexGetRelation(oid, true), relation->mode);
		add_lock(step, oid, relation->mode);
	}
}

/*
 * The risk class of a step as far as its text shows it.  Classes from the
 * heaviest down; the first that applies is the step's.
 */
static void
classify(PlanStep *step)
{
	int			kinds = step->script->kinds;

	if (step->script->problem != NULL)
	{
		step->risk = "unknown";
		step->risk_reason = step->script->problem;
	}
	else if (kinds & SCRIPT_OPAQUE)
	{
		step->risk = "unknown";
		step->risk_reason = "The script runs code (DO, CALL or SELECT of a function) whose effect its text does not show.";
	}
	else if (kinds & SCRIPT_CLUSTER)
	{
		step->risk = "cluster-wide";
		step->risk_reason = "The script changes roles, which all databases share.";
	}
	else if (step->nlocks > 0)
	{
		step->risk = "data tables";
		step->risk_reason = psprintf("The script changes or locks %s.",
									 du_count_words(step->nlocks, "existing relation", "existing relations"));
	}
	else if (kinds & SCRIPT_PRIVILEGES)
	{
		step->risk = "privileges";
		step->risk_reason = "The script changes privileges or owners.";
	}
	else if (kinds & SCRIPT_CATALOGUE)
	{
		step->risk = "catalogue";
		step->risk_reason = "The script changes definitions, of functions and of other objects.";
	}
	else
	{
		step->risk = "functions only";
		step->risk_reason = step->script->nstatements == 0 ?
			"The script has no statements." :
			"The script changes functions and nothing else.";
	}
	if (step->script->forbidden != NULL)
		step->risk_reason = psprintf("%s A finalize will fail, because the script contains %s.",
									 step->risk_reason, step->script->forbidden);
}

/*
 * Reads and examines the script of every step.
 */
void
du_plan_read_scripts(UpgradePlan *plan, const UpgradeFacts *facts)
{
	for (int i = 0; i < plan->nsteps; i++)
	{
		PlanStep   *step = &plan->steps[i];
		const ExtensionFacts *extension = &facts->extensions[step->extension];

		step->script = du_script_read(extension->control, extension->name,
									  extension->schema_name, extension->owner_name,
									  step->from, step->to);
		resolve_locks(step, extension);
		classify(step);
	}
}

/*
 * All known locks of the plan in plan order, each relation once with the
 * strongest mode any step needs: a list of KnownLock.
 */
List *
du_plan_locks(const UpgradePlan *plan)
{
	List	   *locks = NIL;

	for (int i = 0; i < plan->nsteps; i++)
	{
		for (int j = 0; j < plan->steps[i].nlocks; j++)
		{
			const KnownLock *lock = &plan->steps[i].locks[j];
			KnownLock  *known = NULL;
			ListCell   *lc;

			foreach(lc, locks)
			{
				if (((KnownLock *) lfirst(lc))->relation == lock->relation)
					known = lfirst(lc);
			}
			if (known == NULL)
			{
				known = palloc(sizeof(KnownLock));
				*known = *lock;
				locks = lappend(locks, known);
			}
			known->mode = Max(known->mode, lock->mode);
		}
	}
	return locks;
}

/*
 * What the plan is known to take of the shared lock table, palloc'd.  The
 * scripts must have been read, and SPI be connected.
 */
LockCount *
du_plan_count_locks(const UpgradePlan *plan)
{
	List	   *relations = NIL;
	ListCell   *lc;

	foreach(lc, du_plan_locks(plan))
		relations = lappend_oid(relations, ((const KnownLock *) lfirst(lc))->relation);
	return du_lock_count(relations);
}

/*
 * What the plan changes: a list of VersionChange, one for each extension, in
 * the order of update.
 */
List *
du_plan_changes(const UpgradePlan *plan, const UpgradeFacts *facts)
{
	List	   *changes = NIL;

	for (int i = 0; i < plan->nsteps; i++)
	{
		VersionChange *change = palloc(sizeof(VersionChange));

		change->extension = facts->extensions[plan->steps[i].extension].name;
		change->from = plan->steps[i].from;
		while (i + 1 < plan->nsteps && plan->steps[i + 1].extension == plan->steps[i].extension)
			i++;
		change->to = plan->steps[i].to;
		changes = lappend(changes, change);
	}
	return changes;
}

/*
 * The same in words, as clauses, palloc'd.
 */
char *
du_plan_describe_changes(const UpgradePlan *plan, const UpgradeFacts *facts)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, du_plan_changes(plan, facts))
	{
		const VersionChange *change = lfirst(lc);

		appendStringInfo(&buf, "%sextension \"%s\" goes from \"%s\" to \"%s\"",
						 buf.len > 0 ? ", " : "", change->extension, change->from, change->to);
	}
	return buf.data;
}

/*
 * The statement of one step.
 */
char *
du_plan_statement(const char *extension, const char *version)
{
	return psprintf("ALTER EXTENSION %s UPDATE TO %s",
					quote_identifier(extension), quote_literal_cstr(version));
}

/*
 * The statement by which people commit a target, to be pasted: of the history
 * row it shows what tells how it went.  skipped names a guard to override, or is
 * NULL.  A role may have been given the procedure alone.
 */
char *
du_plan_finalize_statement(const char *target, const char *skipped, bool by_procedure)
{
	char	   *arguments = psprintf("%s%s", quote_literal_cstr(target), du_main_argument(false));

	if (skipped != NULL)
		arguments = psprintf("%s, skip_guards => %s", arguments,
							 quote_literal_cstr(psprintf("{%s}", skipped)));
	return by_procedure ?
		psprintf("CALL documentdb_upgrade.run_finalize_to(%s);", arguments) :
		psprintf("SELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize_to(%s);", arguments);
}

/*
 * The same where versions cannot be ordered, so that both ends are named.
 */
char *
du_plan_finalize_statement_named(const char *from, const char *target, bool by_procedure)
{
	return psprintf(by_procedure ?
					"CALL documentdb_upgrade.run_finalize_to(%s, \"from\" => %s%s);" :
					"SELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize_to(%s, \"from\" => %s%s);",
					quote_literal_cstr(target), quote_literal_cstr(from), du_main_argument(false));
}

/* Every kind of line end ends a comment, so each gets one of its own. */
static void
append_commented(StringInfo buf, const char *lines)
{
	while (*lines != '\0')
	{
		size_t		length = strcspn(lines, "\r\n");

		appendStringInfoString(buf, "--   ");
		appendBinaryStringInfo(buf, lines, length);
		appendStringInfoChar(buf, '\n');
		lines += length;
		if (lines[0] == '\r' && lines[1] == '\n')
			lines++;
		if (*lines != '\0')
			lines++;
	}
}

/*
 * The whole plan as SQL: the statements as they run, each followed by its
 * script as a comment.  The scripts must have been read.
 */
char *
du_plan_sql(const UpgradePlan *plan, const UpgradeFacts *facts)
{
	const ExtensionFacts *main_extension = du_managed_main(facts);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "-- Extension \"%s\" from \"%s\" to \"%s\": %s, one transaction.\n",
					 main_extension->name,
					 main_extension->installed ? main_extension->installed : "(not installed)",
					 plan->target ? plan->target : "(unknown)",
					 du_count_words(plan->nsteps, "step", "steps"));
	if (plan->nsteps == 0)
		return buf.data;

	appendStringInfoString(&buf, "BEGIN;\n");
	for (int i = 0; i < plan->nsteps; i++)
	{
		const PlanStep *step = &plan->steps[i];

		appendStringInfo(&buf, "\n-- Step %d of %d: %s\n-- SHA-256 %s\n%s;\n",
						 i + 1, plan->nsteps, step->script->path,
						 step->script->sha256 ? step->script->sha256 : "unknown",
						 du_plan_statement(facts->extensions[step->extension].name, step->to));
		if (step->script->source != NULL)
			append_commented(&buf, step->script->source);
		else
			append_commented(&buf, step->script->problem);
	}
	appendStringInfoString(&buf, "\nCOMMIT;\n");
	return buf.data;
}
