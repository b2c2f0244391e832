/*-------------------------------------------------------------------------
 *
 * managed_set.c
 *	  The managed set as this instance sees it.
 *
 * pg_extension is read with a catalogue scan, which takes a fresh snapshot:
 * after a lock was waited for, the answer is of after the wait whatever
 * snapshot the caller's query has.  Versions and paths are the server's own
 * (update_paths.c).  Nothing here decides; a control file that is missing is
 * a fact like any other.  No query is run.
 *
 * All results are palloc'd in the caller's context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "base/base.h"

#define LONGEST_CHAIN	10		/* of extensions that require each other */

/*
 * Fills what pg_extension says of one extension in a snapshot, NULL being that
 * of the catalogue; leaves it alone when the extension is not installed.
 */
static void
read_extension_row(ExtensionFacts *extension, Snapshot snapshot)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(extension->name));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);
		bool		isnull;
		Datum		version = heap_getattr(tuple, Anum_pg_extension_extversion,
										   RelationGetDescr(rel), &isnull);

		if (isnull)
			elog(ERROR, "extension \"%s\" has no version", extension->name);
		extension->oid = form->oid;
		extension->installed = TextDatumGetCString(version);
		extension->owner = form->extowner;
		extension->schema = form->extnamespace;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * The installed version of an extension, NULL when it is not installed; its
 * OID goes to *oid unless oid is NULL.
 */
char *
du_managed_installed_version(const char *extension, Oid *oid)
{
	ExtensionFacts facts = {0};

	if (strlen(extension) >= NAMEDATALEN)
		return NULL;
	facts.name = extension;
	read_extension_row(&facts, NULL);
	if (oid != NULL)
		*oid = facts.oid;
	return unconstify(char *, facts.installed);
}

/*
 * The version that an extension had before this transaction has changed
 * anything, palloc'd; NULL when it was not installed.
 */
char *
du_managed_version_before(const char *extension)
{
	ExtensionFacts facts = {0};
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

	/* No command of this transaction is seen. */
	snapshot->curcid = FirstCommandId;
	facts.name = extension;
	if (strlen(extension) < NAMEDATALEN)
		read_extension_row(&facts, snapshot);
	UnregisterSnapshot(snapshot);
	return unconstify(char *, facts.installed);
}

static void
describe_owner(ExtensionFacts *extension)
{
	extension->owner_name = GetUserNameFromId(extension->owner, true);
	if (extension->owner_name == NULL)
		extension->owner_name = psprintf("%u", extension->owner);
	extension->owner_is_superuser = superuser_arg(extension->owner);
	extension->owner_can_create =
		du_database_aclcheck(MyDatabaseId, extension->owner, ACL_CREATE) == ACLCHECK_OK;
	extension->schema_name = get_namespace_name(extension->schema);
	if (extension->schema_name == NULL)
		elog(ERROR, "schema with OID %u vanished", extension->schema);
}

/*
 * Adds a version to those that an extension's files offer, once.
 */
void
du_managed_offer(ExtensionFacts *extension, const char *version)
{
	ListCell   *lc;

	foreach(lc, extension->offered)
	{
		if (strcmp(lfirst(lc), version) == 0)
			return;
	}
	extension->offered = lappend(extension->offered, pstrdup(version));
}

/*
 * Adds the versions that only an install script offers.
 */
static void
read_install_scripts(ExtensionFacts *extension)
{
	ListCell   *lc;

	foreach(lc, du_control_script_names(extension->control, extension->name))
	{
		if (strstr(lfirst(lc), "--") == NULL)
			du_managed_offer(extension, lfirst(lc));
	}
}

/*
 * The highest version that the files offer, NULL when none can be ordered.
 */
static const char *
highest_offered(const ExtensionFacts *extension)
{
	const char *best = NULL;
	ExtensionVersion best_version;
	ListCell   *lc;

	foreach(lc, extension->offered)
	{
		ExtensionVersion version;
		const char *reason;

		if (!du_version_parse(lfirst(lc), &version, &reason))
			continue;
		if (best == NULL || du_version_compare(&version, &best_version) > 0)
		{
			best = lfirst(lc);
			best_version = version;
		}
	}
	return best;
}

/*
 * The highest version that a script leads to or installs, NULL when none can be
 * ordered.
 */
static const char *
highest_in_scripts(const ExtensionFacts *extension)
{
	const char *best = NULL;
	ExtensionVersion best_version;
	ListCell   *lc;

	foreach(lc, du_control_script_names(extension->control, extension->name))
	{
		const char *to = lfirst(lc);
		ExtensionVersion version;
		const char *reason;

		for (const char *p = strstr(to, "--"); p != NULL; p = strstr(to, "--"))
			to = p + 2;
		if (!du_version_parse(to, &version, &reason))
			continue;
		if (best == NULL || du_version_compare(&version, &best_version) > 0)
		{
			best = to;
			best_version = version;
		}
	}
	return best;
}

/* True when a text is a version above another one. */
static bool
is_above(const char *text, const char *other)
{
	ExtensionVersion a;
	ExtensionVersion b;
	const char *reason;

	return text != NULL && other != NULL && du_version_parse(text, &a, &reason) &&
		du_version_parse(other, &b, &reason) && du_version_compare(&a, &b) > 0;
}

/* The text in a column of a row, palloc'd; NULL for a null. */
static char *
text_of(Relation rel, HeapTuple tuple, const char *column)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, get_attnum(RelationGetRelid(rel), column), RelationGetDescr(rel),
									 &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * A binary above the present one that this server has run, as a clause; NULL
 * when none is known: then nobody has taken one back.  Read by a scan, for this
 * must work where no query does.
 */
static const char *
seen_above(const ExtensionFacts *extension)
{
	Oid			schema = get_namespace_oid("documentdb_upgrade_internal", true);
	Oid			table = OidIsValid(schema) ? get_relname_relid("binaries_seen", schema) : InvalidOid;
	const char *seen = NULL;
	Relation	rel;
	Snapshot	snapshot;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(table))
		return NULL;
	rel = table_open(table, AccessShareLock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		const char *name = text_of(rel, tuple, "extension");
		const char *version = text_of(rel, tuple, "version");

		if (name != NULL && strcmp(name, extension->name) == 0 && is_above(version, extension->binary) &&
			(seen == NULL || is_above(version, seen)))
			seen = version;
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return seen == NULL ? NULL : psprintf("this server has run a binary of \"%s\"", seen);
}

/*
 * A library that is older than a version, as a clause; NULL when it is not, or
 * does not tell.
 */
static const char *
loaded_below(const ExtensionFacts *extension, const char *version)
{
	Oid			function = InvalidOid;
	ErrorData  *problem;
	const char *loaded;

	if (strcmp(extension->name, du_main_extension()) == 0)
		function = du_loaded_version_function(extension);
	/* Asking must load no library that this process would then keep. */
	if (!OidIsValid(function) || !du_library_reports(extension, function))
		return NULL;
	loaded = du_loaded_version_ask(extension, function, &problem);
	return is_above(version, loaded) ? psprintf("its library reports version \"%s\"", loaded) : NULL;
}

/*
 * Finds out what the scripts say beyond the default version: a control file can
 * be behind its own scripts, and then they count for who asks for such a version
 * by name.  Scripts that a newer binary has left behind do not count: there this
 * server has run that binary, or its library tells.  Hooks, which any role and
 * database can enter, look at the files alone.
 */
static void
look_beyond_default(ExtensionFacts *extension, bool files_alone)
{
	const char *highest;
	const char *against = NULL;

	extension->limit = extension->binary;
	if (extension->control->default_version == NULL)
		return;
	highest = highest_in_scripts(extension);
	if (!is_above(highest, extension->binary))
		return;
	if (!files_alone)
	{
		against = seen_above(extension);
		if (against == NULL)
			against = loaded_below(extension, highest);
	}
	extension->odds = psprintf("The control file \"%s\" has default version \"%s\", and the scripts beside it lead to \"%s\"%s%s.",
							   extension->control->path, extension->binary, highest,
							   against ? ", but " : "", against ? against : "");
	if (against == NULL)
		extension->limit = highest;
}

/*
 * Adds the versions that the names of scripts tell: fewer than the server's
 * own function finds, but without a query.
 */
static void
read_script_names(ExtensionFacts *extension)
{
	ListCell   *lc;

	foreach(lc, du_control_script_names(extension->control, extension->name))
	{
		char	   *from = lfirst(lc);
		char	   *to = strstr(from, "--");

		if (to != NULL)
		{
			*to = '\0';
			to += 2;
			if (strstr(to, "--") != NULL)
				continue;
			du_managed_offer(extension, to);
		}
		du_managed_offer(extension, from);
	}
}

/*
 * One extension, managed or not, installed or not, without its update paths.
 * Reads the catalogue and the files alone, as anybody and in any database.
 */
ExtensionFacts *
du_managed_extension(const char *name)
{
	ExtensionFacts *extension = palloc0(sizeof(ExtensionFacts));

	extension->name = pstrdup(name);
	if (strlen(name) < NAMEDATALEN)
		read_extension_row(extension, NULL);
	if (OidIsValid(extension->oid))
		describe_owner(extension);
	extension->control = du_control_read(name);
	if (extension->control->problem != NULL)
		return extension;

	read_script_names(extension);
	if (extension->control->default_version != NULL)
		du_managed_offer(extension, extension->control->default_version);
	extension->binary = extension->control->default_version != NULL ?
		extension->control->default_version : highest_offered(extension);
	look_beyond_default(extension, true);
	return extension;
}

/*
 * Everything about one extension.
 */
static void
read_extension(ExtensionFacts *extension)
{
	read_extension_row(extension, NULL);
	if (OidIsValid(extension->oid))
		describe_owner(extension);

	extension->control = du_control_read(extension->name);
	if (extension->control->problem != NULL)
		return;

	du_paths_read(extension);
	if (extension->control->default_version != NULL)
		du_managed_offer(extension, extension->control->default_version);
	if (extension->control->default_version == NULL || extension->npaths == 0)
		read_install_scripts(extension);
	extension->binary = extension->control->default_version != NULL ?
		extension->control->default_version : highest_offered(extension);
	look_beyond_default(extension, false);
}

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
du_managed_choices(const ExtensionFacts *extension)
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
du_managed_choices_hint(const ExtensionFacts *extension, const char *target)
{
	List	   *choices = du_managed_choices(extension);
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
du_managed_creation_hint(const ExtensionFacts *extension)
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
			const char *version = du_managed_installed_version(lfirst(lc2), NULL);

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

		if (!is_main && du_managed_installed_version(name, NULL) == NULL)
			continue;
		if (is_main)
			facts->main = facts->nextensions;
		extension->name = name;
		facts->nextensions++;
		read_extension(extension);
	}
	return facts;
}

const ExtensionFacts *
du_managed_main(const UpgradeFacts *facts)
{
	return &facts->extensions[facts->main];
}
