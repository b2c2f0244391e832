/*-------------------------------------------------------------------------
 *
 * fingerprint.c
 *	  A token for everything that an upgrade plan depends on.
 *
 * Who has reviewed a plan hands its fingerprint to finalize_to, which then
 * runs exactly what was reviewed or refuses: versions, control files, scripts
 * and libraries are all in it.  Files are named without their directories, so
 * that two instances of the same image have the same fingerprint.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/internal.h"

#include <unistd.h>

#include "lib/stringinfo.h"

#include "base/base.h"
#include "citus/citus.h"
#include "extension/extension.h"

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/*
 * True for the name of an update script ("1.0--1.1") whose both ends lie
 * between the installed version and the highest that may be asked for, as far
 * as they can be ordered.
 */
static bool
is_ahead(const char *name, const ExtensionVersion *installed,
		 const ExtensionVersion *limit)
{
	char	   *from_text = pstrdup(name);
	char	   *to_text = strstr(from_text, "--");
	ExtensionVersion from;
	ExtensionVersion to;
	const char *reason;

	if (to_text == NULL)
		return false;
	*to_text = '\0';
	to_text += 2;
	return (!du_version_parse(from_text, &from, &reason) || du_version_compare(&from, installed) >= 0) &&
		(!du_version_parse(to_text, &to, &reason) || du_version_compare(&to, limit) <= 0);
}

static void
append_file(StringInfo buf, const char *kind, const char *name, const char *path)
{
	const char *sha256 = du_digest_file(path);

	appendStringInfo(buf, "%s %s %s\n", kind, name, sha256 ? sha256 : "unreadable");
}

static void
append_extension(StringInfo buf, const ExtensionFacts *extension)
{
	ExtensionVersion installed;
	ExtensionVersion limit;
	const char *reason;
	bool		ordered;
	List	   *names;
	ListCell   *lc;

	appendStringInfo(buf, "extension %s installed %s binary %s\n", extension->name,
					 extension->installed ? extension->installed : "-",
					 extension->binary ? extension->binary : "-");
	if (extension->control->path != NULL)
		append_file(buf, "control", extension->name, extension->control->path);
	if (extension->installed == NULL || extension->binary == NULL)
		return;

	foreach(lc, du_members_libraries(extension))
		append_file(buf, "library", strrchr(lfirst(lc), '/') + 1, lfirst(lc));

	foreach(lc, extension->offered)
	{
		const char *path = psprintf("%s/%s--%s.control", extension->control->directory,
									extension->name, (char *) lfirst(lc));

		if (access(path, F_OK) == 0)
			append_file(buf, "control", lfirst(lc), path);
	}

	/* Where there is no order, all of them count. */
	ordered = du_version_parse(extension->installed, &installed, &reason) &&
		du_version_parse(extension->limit, &limit, &reason);
	names = du_script_names(extension->control, extension->name);
	list_sort(names, compare_names);
	foreach(lc, names)
	{
		if (ordered ? is_ahead(lfirst(lc), &installed, &limit) : strstr(lfirst(lc), "--") != NULL)
			append_file(buf, "script", lfirst(lc),
						psprintf("%s/%s--%s.sql", extension->control->directory,
								 extension->name, (char *) lfirst(lc)));
	}
}

/*
 * SHA-256 over everything that any plan of this instance depends on:
 * versions, control files, libraries, and the update scripts between the
 * installed version and the highest that may be asked for; of a cluster also the
 * nodes that Citus lists.  It does not depend on the target, so one
 * token serves finalize() and finalize_to() alike.
 */
char *
du_fingerprint(const UpgradeFacts *facts)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "documentdb_upgrade fingerprint 1\n");
	for (int i = 0; i < facts->nextensions; i++)
		append_extension(&buf, &facts->extensions[i]);
	foreach(lc, du_citus_nodes())
	{
		const CitusNode *node = lfirst(lc);

		if (node->id > 0)
			appendStringInfo(&buf, "node %d %s group %d %s %s\n", node->id, node->name, node->group,
							 node->role, node->active ? "active" : "inactive");
	}
	return du_digest_bytes(buf.data, buf.len);
}
