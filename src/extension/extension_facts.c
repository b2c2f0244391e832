/*-------------------------------------------------------------------------
 *
 * extension_facts.c
 *	  What is known of one extension: in the catalogue, on disk, and in memory.
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
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "base/base.h"

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
du_extension_installed_version(const char *extension, Oid *oid)
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
du_extension_version_before(const char *extension)
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
du_extension_offer(ExtensionFacts *extension, const char *version)
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

	foreach(lc, du_script_names(extension->control, extension->name))
	{
		if (strstr(lfirst(lc), "--") == NULL)
			du_extension_offer(extension, lfirst(lc));
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

	foreach(lc, du_script_names(extension->control, extension->name))
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

/*
 * A binary above the present one that this server has run, as a clause; NULL
 * when none is known: then nobody has taken one back.  Read by a scan, for this
 * must work where no query does.
 */
static const char *
seen_above(const ExtensionFacts *extension)
{
	const char *seen = NULL;
	TableScan	scan;

	if (!du_scan_begin_if_exists(&scan, "documentdb_upgrade_internal", "binaries_seen"))
		return NULL;
	while (du_scan_next(&scan))
	{
		const char *version = du_scan_text(&scan, "version");

		if (du_scan_has_text(&scan, "extension", extension->name) && is_above(version, extension->binary) &&
			(seen == NULL || is_above(version, seen)))
			seen = version;
	}
	du_scan_end(&scan, AccessShareLock);
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

static bool
has_order(const char *text)
{
	ExtensionVersion version;
	const char *reason;

	return du_version_parse(text, &version, &reason);
}

/*
 * Adds the versions that the names of scripts tell: fewer than the server's
 * own function finds, but without a query.
 */
static void
read_script_names(ExtensionFacts *extension)
{
	ListCell   *lc;

	foreach(lc, du_script_names(extension->control, extension->name))
	{
		char	   *from = lfirst(lc);
		char	   *to = strstr(from, "--");

		if (to != NULL)
		{
			*to = '\0';
			to += 2;
			if (strstr(to, "--") != NULL)
				continue;
			du_extension_offer(extension, to);
			if (!has_order(from) && has_order(to))
				extension->stations = lappend(extension->stations, from);
		}
		du_extension_offer(extension, from);
	}
}

/*
 * One extension, managed or not, installed or not, without its update paths.
 * Reads the catalogue and the files alone, as anybody and in any database.
 */
ExtensionFacts *
du_extension_alone(const char *name)
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
		du_extension_offer(extension, extension->control->default_version);
	extension->binary = extension->control->default_version != NULL ?
		extension->control->default_version : highest_offered(extension);
	look_beyond_default(extension, true);
	return extension;
}

/*
 * Everything about one extension.
 */
void
du_extension_read(ExtensionFacts *extension)
{
	extension->libraries = palloc0(sizeof(LibraryNames));
	extension->libraries->context = CurrentMemoryContext;
	read_extension_row(extension, NULL);
	if (OidIsValid(extension->oid))
		describe_owner(extension);

	extension->control = du_control_read(extension->name);
	if (extension->control->problem != NULL)
		return;

	du_paths_read(extension);
	if (extension->control->default_version != NULL)
		du_extension_offer(extension, extension->control->default_version);
	if (extension->control->default_version == NULL || extension->npaths == 0)
		read_install_scripts(extension);
	extension->binary = extension->control->default_version != NULL ?
		extension->control->default_version : highest_offered(extension);
	look_beyond_default(extension, false);
}
