/*-------------------------------------------------------------------------
 *
 * managed_set.c
 *	  The managed set as this instance sees it.
 *
 * Which extensions belong together, and in which order they are updated.
 * All results are palloc'd in the caller's context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "base/base.h"

/*
 * Extensions that are known to share their version numbers, in the order of
 * update, by their main extension.  Of every other one nothing is known, and
 * what nobody has named is nobody's to update.
 */
static const struct
{
	const char *main;
	const char *members;
}			families[] =

{
	{"documentdb", "documentdb_core, documentdb, documentdb_extended_rum"},
};

/*
 * The list of the managed set of a main extension as somebody has written it,
 * which is about the first one, else its family; empty when it has none.
 */
static const char *
managed_list(const char *main, bool is_first)
{
	if (is_first && du_guc_managed_extensions[strspn(du_guc_managed_extensions, " \t\r\n")] != '\0')
		return du_guc_managed_extensions;
	for (int i = 0; i < lengthof(families); i++)
	{
		if (strcmp(families[i].main, main) == 0)
			return families[i].members;
	}
	return "";
}

/*
 * The names of a managed set, installed or not, main extension included;
 * that alone when the setting is not a list of names.
 */
static List *
names_of_set(const char *main, bool is_first, bool *valid)
{
	char	   *copy = pstrdup(managed_list(main, is_first));
	List	   *elements;
	List	   *names = NIL;
	ListCell   *lc;
	bool		has_main = false;

	*valid = SplitIdentifierString(copy, ',', &elements);
	if (!*valid)
		return list_make1(pstrdup(main));

	foreach(lc, elements)
	{
		const char *name = lfirst(lc);
		ListCell   *lc2;
		bool		seen = false;

		foreach(lc2, names)
			seen |= strcmp(lfirst(lc2), name) == 0;
		if (seen)
			continue;
		has_main |= strcmp(name, main) == 0;
		names = lappend(names, unconstify(char *, name));
	}
	if (!has_main)
		names = lappend(names, pstrdup(main));
	return names;
}

/* The same of the set that is meant now. */
static List *
managed_names(bool *valid)
{
	return names_of_set(du_main_extension(), du_main_selected()[0] == '\0', valid);
}

static bool
has_name(const List *names, const char *name)
{
	const ListCell *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/*
 * The place of an extension in the order of update, counted from 0; -1 when
 * it does not belong to the managed set.
 */
int
du_managed_place(const char *name)
{
	bool		valid;
	List	   *names = managed_names(&valid);
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return foreach_current_index(lc);
	}
	return -1;
}

/*
 * The main extension of the set that an extension belongs to, the first of
 * several, palloc'd; NULL when it belongs to none.
 */
const char *
du_managed_set_of(const char *name)
{
	List	   *mains = du_main_extensions();
	bool		valid;
	ListCell   *lc;

	foreach(lc, mains)
	{
		if (has_name(names_of_set(lfirst(lc), foreach_current_index(lc) == 0, &valid), name))
			return lfirst(lc);
	}
	return NULL;
}

/*
 * A sentence about an extension of this set that belongs to another one too;
 * NULL when there is none.
 */
static const char *
find_overlap(const List *names)
{
	List	   *mains = du_main_extensions();
	const char *own = du_main_extension();
	bool		valid;
	ListCell   *lc;

	foreach(lc, mains)
	{
		const char *other = lfirst(lc);
		List	   *others = strcmp(other, own) == 0 ? NIL :
			names_of_set(other, foreach_current_index(lc) == 0, &valid);
		ListCell   *lc2;

		foreach(lc2, others)
		{
			if (has_name(names, lfirst(lc2)))
				return psprintf("Extension \"%s\" belongs to the managed sets of \"%s\" and of \"%s\".",
								(char *) lfirst(lc2), own, other);
		}
	}
	return NULL;
}

/*
 * The installed versions of all managed sets as one text, to be compared with
 * its like.  Reads the catalogue alone, in any database.
 */
char *
du_managed_versions(void)
{
	List	   *mains = du_main_extensions();
	StringInfoData buf;
	bool		valid;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, mains)
	{
		ListCell   *lc2;

		foreach(lc2, names_of_set(lfirst(lc), foreach_current_index(lc) == 0, &valid))
		{
			const char *version = du_extension_installed_version(lfirst(lc2), NULL);

			appendStringInfo(&buf, "%s ", version ? version : "-");
		}
	}
	return buf.data;
}

/*
 * A snapshot of the managed set: the installed extensions of it in the order
 * of update, and the main extension in any case.
 */
UpgradeFacts *
du_managed_gather(void)
{
	UpgradeFacts *facts = palloc0(sizeof(UpgradeFacts));
	bool		valid;
	List	   *names = managed_names(&valid);
	ListCell   *lc;

	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("setting \"documentdb_upgrade.managed_extensions\" is not a list of names"),
				 errhint("Separate the names of extensions by commas.")));

	facts->overlap = find_overlap(names);
	facts->extensions = palloc0(list_length(names) * sizeof(ExtensionFacts));
	foreach(lc, names)
	{
		ExtensionFacts *extension = &facts->extensions[facts->nextensions];
		const char *name = lfirst(lc);
		bool		is_main = strcmp(name, du_main_extension()) == 0;

		if (!is_main && du_extension_installed_version(name, NULL) == NULL)
			continue;
		if (is_main)
			facts->main = facts->nextensions;
		extension->name = name;
		facts->nextensions++;
		du_extension_read(extension);
	}
	return facts;
}

const ExtensionFacts *
du_managed_main(const UpgradeFacts *facts)
{
	return &facts->extensions[facts->main];
}
