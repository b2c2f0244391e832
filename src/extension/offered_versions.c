/*-------------------------------------------------------------------------
 *
 * offered_versions.c
 *	  Which versions of an extension people can choose, in words for them.
 *
 * All results are palloc'd in the caller's context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/base.h"

#define LONGEST_CHAIN	10		/* of extensions that require each other */

static int
compare_versions(const ListCell *a, const ListCell *b)
{
	ExtensionVersion x;
	ExtensionVersion y;
	const char *reason;

	(void) du_version_parse(lfirst(a), &x, &reason);
	(void) du_version_parse(lfirst(b), &y, &reason);
	return du_version_compare(&x, &y);
}

/*
 * What could be a target: offered, above the installed version and within what
 * may be asked for; in ascending order.
 */
List *
du_offered_choices(const ExtensionFacts *extension)
{
	List	   *versions = NIL;
	ExtensionVersion installed;
	ExtensionVersion limit;
	const char *reason;
	ListCell   *lc;

	if (extension->installed == NULL || extension->limit == NULL ||
		!du_version_parse(extension->installed, &installed, &reason) ||
		!du_version_parse(extension->limit, &limit, &reason))
		return NIL;
	foreach(lc, extension->offered)
	{
		ExtensionVersion version;

		if (du_version_parse(lfirst(lc), &version, &reason) &&
			du_version_compare(&version, &installed) > 0 &&
			du_version_compare(&version, &limit) <= 0)
			versions = lappend(versions, lfirst(lc));
	}
	list_sort(versions, compare_versions);
	return versions;
}

/*
 * What to do about a target that the files do not offer: names what they do, and
 * what the target may have been mistaken for.
 */
const char *
du_offered_choices_hint(const ExtensionFacts *extension, const char *target)
{
	List	   *choices = du_offered_choices(extension);
	const char *offers;
	ExtensionVersion ignored;
	const char *reason;
	ListCell   *lc;

	if (choices != NIL)
		offers = psprintf("Choose one of: %s.", du_names_join(choices));
	else if (extension->installed != NULL && !du_version_parse(extension->installed, &ignored, &reason))
		offers = psprintf("The files offer %s.", du_names_join(extension->offered));
	else
		offers = "The files offer nothing above the installed version.";

	foreach(lc, extension->offered)
	{
		if (du_version_extends(target, lfirst(lc)))
			return psprintf("A package and the extension in it have versions of their own: \"%s\" may be that of a package, whose extension is at \"%s\". %s",
							target, (char *) lfirst(lc), offers);
	}
	return offers;
}

/*
 * Why the files of an extension, or of one that it requires, do not do; NULL
 * when they do.  Files that require each other in a circle are for the server to
 * refuse.
 */
static const char *
missing_files(const ControlFile *control, int depth)
{
	ListCell   *lc;

	if (control->problem != NULL)
		return control->problem;
	if (depth == LONGEST_CHAIN)
		return NULL;
	foreach(lc, control->requires)
	{
		const char *name = lfirst(lc);
		const char *problem;

		if (OidIsValid(get_extension_oid(name, true)))
			continue;
		problem = missing_files(du_control_read(name), depth + 1);
		if (problem != NULL)
			return problem;
	}
	return NULL;
}

/*
 * How an extension that is not installed comes into this database, in a
 * sentence.
 */
const char *
du_offered_creation_hint(const ExtensionFacts *extension)
{
	const ControlFile *control = extension->control;
	const char *problem = missing_files(control, 0);
	const char *other = "set documentdb_upgrade.extension to the extension you mean";

	if (problem != NULL)
		return psprintf("%s Install its files on this server, or %s.", problem, other);
	if (extension->binary == NULL)
		return psprintf("Its files on this server offer no version; correct them, or %s.", other);
	return psprintf("If another one is meant, %s; to have this one, run CREATE EXTENSION %s%s CASCADE;", other,
					quote_identifier(extension->name),
					control->default_version != NULL ? "" :
					psprintf(" VERSION %s", quote_literal_cstr(extension->binary)));
}
