/*-------------------------------------------------------------------------
 *
 * guard_hard.c
 *	  The hard guards: one function for each.
 *
 * Each looks at the gathered facts, reads nothing itself, and gives back
 * whether the guard is met, with one sentence about why and, when it is not,
 * one about what to do.  What "not met" leads to is decided in guards.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "extension/extension.h"
#include "plan/plan.h"

static const ExtensionFacts *
main_of(const GuardInput *input)
{
	return du_managed_main(input->facts);
}

GuardStatus
du_guard_installed(const GuardInput *input, GuardResult *result)
{
	const ExtensionFacts *extension = main_of(input);

	if (extension->installed != NULL)
		return du_guard_pass(result, psprintf("Extension \"%s\" is installed at \"%s\".",
											  extension->name, extension->installed));
	return du_guard_fail(result,
						 psprintf("Extension \"%s\" is not installed in this database.", extension->name),
						 du_offered_creation_hint(extension));
}

/*
 * Compares the plan's target with another version; false when one of the two
 * is missing or cannot be ordered.
 */
static bool
compare_target(const GuardInput *input, const char *other, int *order)
{
	ExtensionVersion a;
	ExtensionVersion b;
	const char *reason;

	if (input->plan->target == NULL || other == NULL ||
		!du_version_parse(input->plan->target, &a, &reason) ||
		!du_version_parse(other, &b, &reason))
		return false;
	*order = du_version_compare(&a, &b);
	return true;
}

/* Why a version of the main extension cannot be ordered, or NULL. */
static const char *
unorderable(const char *what, const char *text)
{
	ExtensionVersion version;
	const char *reason;

	if (du_version_parse(text, &version, &reason))
		return NULL;
	return psprintf("The %s version \"%s\" cannot be ordered: %s", what, text, reason);
}

/* What to do about versions that cannot be ordered. */
static const char *
name_both_ends(const GuardInput *input)
{
	const ExtensionFacts *extension = main_of(input);
	const char *files = "Install the extension's files for this binary, or correct them";

	if (extension->binary == NULL || strcmp(extension->binary, extension->installed) == 0)
		return psprintf("%s.", files);
	return psprintf("%s; or, where a script leads on, name both ends: %s", files,
					du_plan_finalize_statement_named(extension->installed, extension->binary,
													 input->server_facts->caller_has_procedure));
}

GuardStatus
du_guard_target_known(const GuardInput *input, GuardResult *result)
{
	const ExtensionFacts *extension = main_of(input);
	const char *problem = extension->control->problem;
	bool		is_there = input->plan->target != NULL && extension->installed != NULL &&
		strcmp(input->plan->target, extension->installed) == 0;
	bool		ordered = problem == NULL && !input->plan->named && !is_there;
	int			order;

	if (ordered && extension->installed != NULL)
		problem = unorderable("installed", extension->installed);
	if (ordered && problem == NULL && extension->binary != NULL)
		problem = unorderable("binary", extension->binary);
	if (ordered && problem != NULL && extension->installed != NULL)
		return du_guard_fail(result, problem, name_both_ends(input));
	if (problem == NULL && extension->binary == NULL)
		problem = psprintf("The files of extension \"%s\" offer no version that can be ordered.",
						   extension->name);
	if (problem != NULL)
		return du_guard_fail(result, problem,
							 "Install the extension's files for this binary, or correct them.");
	if (input->plan->target_exists)
		return du_guard_pass(result, psprintf("The files offer version \"%s\".", input->plan->target));

	/* Outside the range the next two guards have the better words. */
	if ((compare_target(input, extension->limit, &order) && order > 0) ||
		(compare_target(input, extension->installed, &order) && order < 0))
		return du_guard_skip(result, psprintf("Version \"%s\" lies outside what can be reached from here.",
											  input->plan->target));
	return du_guard_fail(result,
						 psprintf("The files of extension \"%s\" do not offer version \"%s\".",
								  extension->name, input->plan->target),
						 du_offered_choices_hint(extension, input->plan->target));
}

GuardStatus
du_guard_not_downgrade(const GuardInput *input, GuardResult *result)
{
	const ExtensionFacts *extension = main_of(input);
	int			order;

	if (!compare_target(input, extension->installed, &order))
		return du_guard_skip(result, "There are no two versions to compare.");
	if (order >= 0)
		return du_guard_pass(result, psprintf("Version \"%s\" is not below the installed \"%s\".",
											  input->plan->target, extension->installed));
	if (input->plan->requested == NULL)
		return du_guard_fail(result,
							 psprintf("The schema is at \"%s\", newer than the binary's \"%s\".",
									  extension->installed, input->plan->target),
							 "Bring back the binary that this schema was made for; a schema never goes back.");
	return du_guard_fail(result,
						 psprintf("Version \"%s\" is below the installed \"%s\", and a schema never goes back.",
								  input->plan->target, extension->installed),
						 "To return to an older schema, restore a backup that was taken before the upgrade.");
}

/* What is to be said of files that contradict or hide each other. */
static const char *
files_in_use(const ExtensionFacts *extension)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	if (extension->odds != NULL)
		appendStringInfo(&buf, " %s", extension->odds);
	foreach(lc, extension->control->shadowed)
		appendStringInfo(&buf, " The control file \"%s\" hides \"%s\", which comes later in extension_control_path.",
						 extension->control->path, (char *) lfirst(lc));
	return buf.data;
}

GuardStatus
du_guard_within_binary(const GuardInput *input, GuardResult *result)
{
	const ExtensionFacts *extension = main_of(input);
	int			order;

	if (!compare_target(input, extension->binary, &order))
		return du_guard_skip(result, "There are no two versions to compare.");
	if (order <= 0)
		return du_guard_pass(result, psprintf("This binary offers up to \"%s\".", extension->binary));

	/* Whoever asks for this by name may have it, and is told. */
	if (compare_target(input, extension->limit, &order) && order <= 0)
	{
		if (strcmp(input->plan->target, extension->installed ? extension->installed : "") == 0)
			return du_guard_pass(result, extension->odds);
		(void) du_guard_fail(result, extension->odds,
							 "Make sure that this binary is of that version; then correct the control file.");
		return GUARD_WARN;
	}
	return du_guard_fail(result,
						 psprintf("Version \"%s\" is above the \"%s\" that this binary offers.%s",
								  input->plan->target, extension->limit, files_in_use(extension)),
						 du_version_extends(input->plan->target, extension->limit) ?
						 du_offered_choices_hint(extension, input->plan->target) :
						 "Roll out the newer binary first, restart PostgreSQL, and then finalize.");
}

GuardStatus
du_guard_update_path(const GuardInput *input, GuardResult *result)
{
	const ExtensionFacts *extension = main_of(input);
	const ExtensionTarget *target = &input->plan->targets[input->facts->main];
	int			order;

	if (!input->plan->target_exists ||
		(!compare_target(input, extension->installed, &order) && !input->plan->named))
		return du_guard_skip(result, "There is no target to find a path to.");
	if (compare_target(input, extension->installed, &order) && order < 0)
		return du_guard_skip(result, "There is no path downwards.");
	if (target->problem != NULL)
		return du_guard_fail(result, target->problem, target->hint == NULL ?
							 "Correct the extension's files on this instance, or finalize to an intermediate version." :
							 input->server_facts == NULL || input->server_facts->losses == NULL ? target->hint :
							 psprintf("%s %s", target->hint, input->server_facts->losses));
	for (int i = 0; i < input->plan->nsteps; i++)
	{
		if (input->plan->steps[i].script->problem != NULL)
			return du_guard_fail(result, input->plan->steps[i].script->problem,
								 "Correct the extension's files on this instance.");
	}
	return du_guard_pass(result, psprintf("The plan has %s.",
										  du_count_words(input->plan->nsteps, "step", "steps")));
}

GuardStatus
du_guard_not_in_recovery(const GuardInput *input, GuardResult *result)
{
	if (!input->server_facts->in_recovery)
		return du_guard_pass(result, "This server is a primary.");
	return du_guard_fail(result, "This server is a standby.",
						 "Connect to the primary; its commit reaches every standby.");
}

/*
 * What cannot be found out is a warning: a hard guard cannot be overridden.  So
 * are functions without a library as long as there is an update, which is what
 * may cure them.
 */
GuardStatus
du_guard_library_loaded(const GuardInput *input, GuardResult *result)
{
	const LibraryFacts *libraries = &input->server_facts->libraries;

	if (libraries->missing != NULL && libraries->state != LIBRARY_STALE)
	{
		if (input->plan->nsteps == 0)
			return du_guard_fail(result, libraries->missing, LIBRARY_MISSING_HINT);
		(void) du_guard_fail(result, libraries->missing,
							 "Update the extension, if its scripts give these functions another library; else put that file in place.");
		return GUARD_WARN;
	}
	switch (libraries->state)
	{
		case LIBRARY_NONE:
			return du_guard_skip(result, "The managed set has no library.");
		case LIBRARY_CURRENT:
			return du_guard_pass(result, "Each library of the managed set that is in memory is the file on disk.");
		case LIBRARY_STALE:
			return du_guard_fail(result, libraries->detail, libraries->hint);
		case LIBRARY_UNKNOWN:
			(void) du_guard_fail(result, libraries->detail, libraries->hint);
			return GUARD_WARN;
	}
	elog(ERROR, "unrecognized state of libraries: %d", (int) libraries->state);
}

/*
 * What the control files ask for at each version on the way: the server would
 * raise 42704 in the middle of the upgrade.
 */
GuardStatus
du_guard_requirements(const GuardInput *input, GuardResult *result)
{
	const MissingExtension *missing;

	if (input->server_facts->missing == NIL)
		return du_guard_pass(result, "Every extension that the upgrade requires is installed.");
	missing = linitial(input->server_facts->missing);
	return du_guard_fail(result,
						 psprintf("Version \"%s\" of extension \"%s\" requires extension \"%s\", which is not installed in this database.",
								  missing->version, missing->extension, missing->name),
						 missing->problem == NULL ?
						 psprintf("Run CREATE EXTENSION %s CASCADE;", quote_identifier(missing->name)) :
						 psprintf("%s Install the files of extension \"%s\" on this server, and then create it here.",
								  missing->problem, missing->name));
}

/*
 * The server lets a script run as the owner, as a finalize does, or as a
 * superuser, which a finalize does for a caller who is one when the owner may
 * not.
 */
GuardStatus
du_guard_owner_can_update(const GuardInput *input, GuardResult *result)
{
	const ServerFacts *server = input->server_facts;
	const char *as_superuser = NULL;

	for (int i = 0; i < input->plan->nsteps; i++)
	{
		const PlanStep *step = &input->plan->steps[i];
		const ExtensionFacts *extension = &input->facts->extensions[step->extension];

		if (du_script_suits_owner(step->script, extension))
			continue;
		if (server->caller_is_superuser)
		{
			as_superuser = extension->name;
			continue;
		}
		if (step->script->trusted)
			return du_guard_fail(result,
								 psprintf("Role \"%s\", which owns extension \"%s\", may not create objects in this database.",
										  extension->owner_name, extension->name),
								 psprintf("As a superuser, run GRANT CREATE ON DATABASE %s TO %s; or finalize as one.",
										  server->database, quote_identifier(extension->owner_name)));
		return du_guard_fail(result,
							 psprintf("Extension \"%s\" can be updated only by a superuser, and its owner \"%s\" is not one.",
									  extension->name, extension->owner_name),
							 "Finalize as a superuser, or let the worker do it.");
	}
	if (as_superuser != NULL)
		return du_guard_pass(result, psprintf("The owner of extension \"%s\" may not run its scripts, and the caller, a superuser, may.",
											  as_superuser));
	return du_guard_pass(result, "The owner of each extension may run its scripts.");
}

GuardStatus
du_guard_companions_aligned(const GuardInput *input, GuardResult *result)
{
	int			ncompanions = 0;

	if (input->facts->overlap != NULL)
		return du_guard_fail(result, input->facts->overlap,
							 "Name it in one of documentdb_upgrade.extension and documentdb_upgrade.managed_extensions, and once.");
	for (int i = 0; i < input->facts->nextensions; i++)
	{
		if (i == input->facts->main)
			continue;
		ncompanions++;
		if (input->plan->targets[i].unrelated)
			return du_guard_fail(result, input->plan->targets[i].problem,
								 psprintf("Take \"%s\" out of documentdb_upgrade.managed_extensions and update it by itself.",
										  input->facts->extensions[i].name));
		if (input->plan->targets[i].problem != NULL)
			return du_guard_fail(result, input->plan->targets[i].problem,
								 "Install the companion's files of the same release as the main extension's.");
	}
	if (ncompanions == 0)
		return du_guard_pass(result, "There are no companions.");
	return du_guard_pass(result, psprintf("%s can be brought to %s.",
										  du_count_words(ncompanions, "companion", "companions"),
										  ncompanions == 1 ? "its target" : "their targets"));
}

GuardStatus
du_guard_no_other_upgrade(const GuardInput *input, GuardResult *result)
{
	const Blocker *other;

	if (input->server_facts->upgrades == NIL)
		return du_guard_pass(result, "Nobody else changes the managed set.");
	other = linitial(input->server_facts->upgrades);
	return du_guard_fail(result,
						 psprintf("%s has held %s for %s.", other->who, other->holds, du_duration_words(other->age)),
						 "Wait until it has ended.");
}
