/*-------------------------------------------------------------------------
 *
 * extension_target.c
 *	  Which version an extension is to go to, and on which path.
 *
 * A target is matched by value against what the files offer, so that 0.112.0
 * and 0.112-0 are the same request and never a text substitution.  Each
 * companion goes to the version equal to the main target, else to the
 * highest it offers below it, and never below what it has installed; one that
 * has versions of its own has no target at all.  Paths are the server's; one that leaves the range between installed and target
 * is a problem of the plan, because a script that goes down and up again is
 * not an upgrade.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/internal.h"

#include "utils/builtins.h"

#include "base/base.h"
#include "extension/extension.h"

/*
 * The version string that the files offer for a requested one, or NULL.  The
 * same spelling wins over an equal value, and the binary's own spelling over
 * another equal one.
 */
static const char *
match_offered(const ExtensionFacts *extension, const char *requested)
{
	ExtensionVersion wanted;
	const char *reason;
	const char *match = NULL;
	ListCell   *lc;

	if (!du_version_parse(requested, &wanted, &reason))
		return NULL;
	foreach(lc, extension->offered)
	{
		const char *candidate = lfirst(lc);
		ExtensionVersion version;

		if (strcmp(candidate, requested) == 0)
			return candidate;
		if (!du_version_parse(candidate, &version, &reason) ||
			du_version_compare(&version, &wanted) != 0)
			continue;
		if (match == NULL ||
			(extension->binary != NULL && strcmp(candidate, extension->binary) == 0))
			match = candidate;
	}
	return match;
}

/*
 * The highest offered version that is not above the limit, or NULL.
 */
static const char *
highest_up_to(const ExtensionFacts *extension, const ExtensionVersion *limit)
{
	const char *best = NULL;
	ExtensionVersion best_version;
	const char *reason;
	ListCell   *lc;

	foreach(lc, extension->offered)
	{
		ExtensionVersion version;

		if (!du_version_parse(lfirst(lc), &version, &reason) ||
			du_version_compare(&version, limit) > 0)
			continue;
		if (best == NULL || du_version_compare(&version, &best_version) > 0)
		{
			best = lfirst(lc);
			best_version = version;
		}
	}
	return best;
}

static const char *
goes_back(const ExtensionFacts *extension, const UpdatePath *path, const char *from, const char *to)
{
	return psprintf("The path of extension \"%s\" to \"%s\" goes from \"%s\" back to \"%s\".",
					extension->name, path->target, from, to);
}

/*
 * Why a path is no upgrade: every version on it must be above the one before.
 * What cannot be ordered is passed on the way (PostGIS has "ANY" there), and is
 * no place to start from or to end at.  NULL when it is one.
 */
static const char *
path_problem(const ExtensionFacts *extension, const UpdatePath *path)
{
	ExtensionVersion previous;
	const char *reason;

	if (!du_version_parse(extension->installed, &previous, &reason))
		return psprintf("The installed version \"%s\" of extension \"%s\" cannot be ordered: %s",
						extension->installed, extension->name, reason);
	for (int i = 1; i < path->nversions; i++)
	{
		ExtensionVersion version;

		if (!du_version_parse(path->versions[i], &version, &reason))
		{
			if (i < path->nversions - 1)
				continue;
			return psprintf("The target \"%s\" of extension \"%s\" cannot be ordered: %s",
							path->target, extension->name, reason);
		}
		if (du_version_compare(&version, &previous) <= 0)
			return goes_back(extension, path, path->versions[i - 1], path->versions[i]);
		previous = version;
	}
	return NULL;
}

/*
 * The same where both ends are named: then what cannot be ordered is passed over,
 * and the rest must rise.
 */
static const char *
named_path_problem(const ExtensionFacts *extension, const UpdatePath *path)
{
	ExtensionVersion previous;
	const char *before = NULL;
	const char *reason;

	for (int i = 0; i < path->nversions; i++)
	{
		ExtensionVersion version;

		if (!du_version_parse(path->versions[i], &version, &reason))
			continue;
		if (before != NULL && du_version_compare(&version, &previous) <= 0)
			return goes_back(extension, path, before, path->versions[i]);
		before = path->versions[i];
		previous = version;
	}
	return NULL;
}

/*
 * The highest version above one and below another that can be reached, and that
 * one parsed; the first when there is none.
 */
static const char *
highest_reached(const ExtensionFacts *extension, const char *above, const ExtensionVersion *below,
				ExtensionVersion *highest)
{
	const char *reached = above;
	const char *reason;

	if (!du_version_parse(above, highest, &reason))
		return above;
	for (int i = 0; i < extension->npaths; i++)
	{
		const UpdatePath *path = &extension->paths[i];
		ExtensionVersion version;

		if (!du_version_parse(path->target, &version, &reason) || path_problem(extension, path) != NULL ||
			du_version_compare(&version, below) >= 0 || du_version_compare(&version, highest) <= 0)
			continue;
		reached = path->target;
		*highest = version;
	}
	return reached;
}

/*
 * The highest version beyond the binary one, within what may be asked for, that
 * can be reached; NULL when there is none.
 */
static const char *
reached_beyond(const ExtensionFacts *extension)
{
	const char *best = NULL;
	ExtensionVersion best_version;
	ExtensionVersion limit;
	const char *reason;

	if (strcmp(extension->limit, extension->binary) == 0 ||
		!du_version_parse(extension->binary, &best_version, &reason) ||
		!du_version_parse(extension->limit, &limit, &reason))
		return NULL;
	for (int i = 0; i < extension->npaths; i++)
	{
		const UpdatePath *path = &extension->paths[i];
		ExtensionVersion version;

		if (!du_version_parse(path->target, &version, &reason) || path_problem(extension, path) != NULL ||
			du_version_compare(&version, &limit) > 0 || du_version_compare(&version, &best_version) <= 0)
			continue;
		best = path->target;
		best_version = version;
	}
	return best;
}

/*
 * What to do when no scripts lead to a target: names the highest version before
 * it that can be reached, and the script that is missing from there; or what can
 * be reached beyond it.  *stuck is set when there is neither.
 */
static const char *
missing_script_hint(const ExtensionFacts *extension, const char *target, bool *stuck)
{
	const char *reached;
	const char *next = target;
	const char *beyond = reached_beyond(extension);
	ExtensionVersion highest;
	ExtensionVersion lowest;
	ExtensionVersion version;
	const char *reason;
	ListCell   *lc;

	if (!du_version_parse(target, &lowest, &reason) ||
		!du_version_parse(extension->installed, &highest, &reason))
		return NULL;
	if (beyond != NULL)
		return psprintf("%s Correct that file, or ask for the version by its name: %s",
						extension->odds, du_plan_finalize_statement(beyond, NULL, false));
	reached = highest_reached(extension, extension->installed, &lowest, &highest);
	foreach(lc, extension->offered)
	{
		if (!du_version_parse(lfirst(lc), &version, &reason) ||
			du_version_compare(&version, &highest) <= 0 || du_version_compare(&version, &lowest) >= 0)
			continue;
		next = lfirst(lc);
		lowest = version;
	}
	if (reached != extension->installed)
		return psprintf("Install the missing script \"%s--%s--%s.sql\", or finalize to \"%s\", the highest version that can be reached.",
						extension->name, reached, next, reached);
	*stuck = true;
	return psprintf("No script leads on from \"%s\": install \"%s--%s--%s.sql\". Where there is none, the maintainers of such extensions have them dropped and created (history will have it): BEGIN; SET LOCAL documentdb_upgrade.enforce = off; DROP EXTENSION %s; CREATE EXTENSION %s VERSION %s CASCADE; COMMIT;",
					extension->installed, extension->name, reached, next, quote_identifier(extension->name),
					quote_identifier(extension->name), quote_literal_cstr(target));
}

/*
 * Finds the way to a target that differs from the installed version.
 */
static void
find_path(const ExtensionFacts *extension, bool named, ExtensionTarget *target)
{
	for (int i = 0; i < extension->npaths; i++)
	{
		if (strcmp(extension->paths[i].target, target->target) == 0)
		{
			target->problem = named ? named_path_problem(extension, &extension->paths[i]) :
				path_problem(extension, &extension->paths[i]);
			if (target->problem == NULL)
				target->path = &extension->paths[i];
			return;
		}
	}
	target->problem = psprintf("Extension \"%s\" has no update path from \"%s\" to \"%s\".",
							   extension->name, extension->installed, target->target);
	target->hint = missing_script_hint(extension, target->target, &target->stuck);
}

/*
 * The versions of an extension that can be ordered, installed or offered; their
 * texts are those of the facts.
 */
static ExtensionVersion *
known_versions(const ExtensionFacts *extension, int *n)
{
	ExtensionVersion *versions = palloc((list_length(extension->offered) + 1) * sizeof(ExtensionVersion));
	const char *reason;
	ListCell   *lc;

	*n = 0;
	if (extension->installed != NULL && du_version_parse(extension->installed, &versions[*n], &reason))
		(*n)++;
	foreach(lc, extension->offered)
	{
		if (du_version_parse(lfirst(lc), &versions[*n], &reason))
			(*n)++;
	}
	return versions;
}

/*
 * True when two extensions have a version in common, installed or offered: only
 * then do the numbers of one say anything about the other.  Where the files of
 * one cannot be read, nothing speaks against it.
 */
bool
du_target_share_versions(const ExtensionFacts *a, const ExtensionFacts *b)
{
	int			na;
	int			nb;
	ExtensionVersion *of_a = known_versions(a, &na);
	ExtensionVersion *of_b = known_versions(b, &nb);
	bool		share = a->control->problem != NULL || b->control->problem != NULL;

	for (int i = 0; i < na && !share; i++)
	{
		for (int j = 0; j < nb && !share; j++)
			share = du_version_compare(&of_a[i], &of_b[j]) == 0;
	}
	pfree(of_a);
	pfree(of_b);
	return share;
}

/* True when the files offer a version by this very text. */
static bool
is_offered(const ExtensionFacts *extension, const char *text)
{
	ListCell   *lc;

	foreach(lc, extension->offered)
	{
		if (strcmp(lfirst(lc), text) == 0)
			return true;
	}
	return false;
}

/*
 * The same when that version cannot be ordered: to the very same one.
 */
static void
aim_by_text(const ExtensionFacts *companion, const char *main_target, ExtensionTarget *target)
{
	if (strcmp(companion->installed, main_target) == 0)
		target->target = companion->installed;
	else if (is_offered(companion, main_target))
	{
		target->target = main_target;
		find_path(companion, true, target);
	}
	else
		target->problem = psprintf("Extension \"%s\" has no version \"%s\", which cannot be ordered, so no other one can stand for it.",
								   companion->name, main_target);
}

/*
 * Where a companion goes when the main extension goes to main_target.
 */
void
du_target_aim_companion(const ExtensionFacts *companion, const ExtensionFacts *main_extension,
						const char *main_target, bool named, ExtensionTarget *target)
{
	ExtensionVersion installed;
	ExtensionVersion limit;
	ExtensionVersion aimed;
	const char *reason;
	const char *aim;

	if (companion->control->problem != NULL)
	{
		target->problem = companion->control->problem;
		return;
	}
	if (named && main_target != NULL && !du_version_parse(main_target, &limit, &reason))
	{
		aim_by_text(companion, main_target, target);
		return;
	}
	if (!du_version_parse(companion->installed, &installed, &reason))
	{
		target->problem = psprintf("The installed version \"%s\" of extension \"%s\" cannot be ordered: %s",
								   companion->installed, companion->name, reason);
		return;
	}
	if (main_target == NULL || !du_version_parse(main_target, &limit, &reason))
		return;
	if (!du_target_share_versions(companion, main_extension))
	{
		target->unrelated = true;
		target->problem = psprintf("Extension \"%s\" shares no version with extension \"%s\", so its version cannot follow that one's.",
								   companion->name, main_extension->name);
		return;
	}

	aim = match_offered(companion, main_target);
	if (aim == NULL)
		aim = highest_up_to(companion, &limit);
	if (aim == NULL || !du_version_parse(aim, &aimed, &reason) ||
		du_version_compare(&aimed, &installed) <= 0)
	{
		target->target = companion->installed;
		return;
	}
	target->target = aim;
	find_path(companion, false, target);
}

/*
 * Where the main extension goes when nobody names a version: to that of the
 * binary, or nowhere when it is above that by the scripts of this binary.
 */
static const char *
default_request(const ExtensionFacts *extension)
{
	ExtensionVersion installed;
	ExtensionVersion binary;
	ExtensionVersion limit;
	const char *reason;

	if (extension->installed != NULL && extension->limit != NULL &&
		du_version_parse(extension->installed, &installed, &reason) &&
		du_version_parse(extension->binary, &binary, &reason) &&
		du_version_parse(extension->limit, &limit, &reason) &&
		du_version_compare(&installed, &binary) > 0 && du_version_compare(&installed, &limit) <= 0)
		return extension->installed;
	return extension->binary;
}

/*
 * Where the main extension goes: to the requested version, or that of the
 * binary.  False when the files do not offer it.  What cannot be ordered is to
 * be had by its text where both ends are named.
 */
bool
du_target_aim_main(const ExtensionFacts *extension, const char *requested, bool named,
				   ExtensionTarget *target)
{
	ExtensionVersion installed;
	ExtensionVersion aimed;
	const char *reason;
	bool		exists;

	if (requested == NULL)
		requested = default_request(extension);
	if (requested == NULL)
		return false;

	target->target = named && is_offered(extension, requested) ? requested : match_offered(extension, requested);
	exists = target->target != NULL;
	if (!exists)
		target->target = du_version_respell(requested, extension->binary);
	if (extension->installed == NULL)
		return exists;
	if (strcmp(extension->installed, target->target) == 0 ||
		(du_version_parse(extension->installed, &installed, &reason) &&
		 du_version_parse(target->target, &aimed, &reason) &&
		 du_version_compare(&aimed, &installed) == 0))
	{
		/* Already there, whatever the spelling. */
		target->target = extension->installed;
		return true;
	}
	if (exists)
		find_path(extension, named, target);
	return exists;
}
