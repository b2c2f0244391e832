/*-------------------------------------------------------------------------
 *
 * release_record.c
 *	  Records a release when what this server runs has changed.
 *
 * Of a release the server sees its own version, and files of the main
 * extension: what the control file offers, and the digests of control file
 * and libraries.  Whether that is another release than the newest one of the
 * table is decided there, in SQL.  A pass asks only when the sizes and times
 * of the files, or the versions, differ from those it asked about last, so a
 * worker that has nothing new to tell reads no file and no table.  Which
 * libraries there are depends on the members, thousands with DocumentDB, so
 * they are looked through once per installed version.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "status/internal.h"

#include <sys/stat.h>

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "extension/extension.h"
#include "guards/guards.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_observed_release);

/* Version of this server, such as 15.18; palloc'd. */
static char *
server_release(void)
{
	int			number = atoi(GetConfigOption("server_version_num", false, false));

	return psprintf("%d.%d", number / 10000, number % 10000);
}

static void
append_file(StringInfo buf, const char *path)
{
	struct stat st;

	if (path == NULL || stat(path, &st) != 0)
		return;
	appendStringInfo(buf, "%s %llu %lld %lld.%09ld\n", path,
					 (unsigned long long) st.st_ino, (long long) st.st_size,
					 (long long) st.st_mtim.tv_sec, (long) st.st_mtim.tv_nsec);
}

/*
 * Paths of the libraries of an extension, as remembered.
 */
static List *
libraries_of(const ExtensionFacts *extension, ReleaseMemory *memory)
{
	char	   *key = psprintf("%u %s", extension->oid, extension->installed);
	MemoryContext context;
	List	   *libraries;

	if (memory->members_of != NULL && strcmp(memory->members_of, key) == 0)
		return memory->libraries;

	libraries = du_members_libraries(extension);
	context = MemoryContextSwitchTo(TopMemoryContext);
	if (memory->members_of != NULL)
		pfree(memory->members_of);
	list_free_deep(memory->libraries);
	memory->libraries = NIL;
	memory->members_of = pstrdup(key);
	for (int i = 0; i < list_length(libraries); i++)
		memory->libraries = lappend(memory->libraries, pstrdup(list_nth(libraries, i)));
	MemoryContextSwitchTo(context);
	return memory->libraries;
}

/*
 * A digest that changes whenever an observation could, without reading a
 * file; palloc'd.
 */
static char *
quick_look(const ExtensionFacts *extension, ReleaseMemory *memory)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%u %s %s %s\n", du_context_own_extension(), server_release(),
					 extension->name, extension->binary ? extension->binary : "");
	append_file(&buf, extension->control->path);
	foreach(lc, libraries_of(extension, memory))
		append_file(&buf, lfirst(lc));
	return du_digest_bytes(buf.data, buf.len);
}

/*
 * What this server sees of the release that it runs, as JSON; palloc'd.
 */
static char *
observe(const ExtensionFacts *extension)
{
	StringInfoData buf;
	const char *libraries = du_server_facts_binary_digest(extension);

	initStringInfo(&buf);
	du_write_open(&buf, NULL, '{');
	du_write_open(&buf, "postgres", '{');
	du_write_text(&buf, "version", server_release());
	du_write_close(&buf, '}');
	if (extension->binary != NULL)
	{
		du_write_open(&buf, "extension", '{');
		du_write_text(&buf, "name", extension->name);
		du_write_text(&buf, "version", extension->binary);
		if (libraries[0] != '\0')
			du_write_text(&buf, "library_sha256", libraries);
		if (extension->control->path != NULL)
			du_write_text(&buf, "control_sha256", du_digest_file(extension->control->path));
		du_write_close(&buf, '}');
	}
	du_write_close(&buf, '}');
	return buf.data;
}

static void
store(void *arg)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];

	values[0] = CStringGetTextDatum((char *) arg);
	du_query("SELECT documentdb_upgrade_internal.observe_release($1::pg_catalog.jsonb)", 1, types, values);
	SPI_freetuptable(SPI_tuptable);
}

/* Nobody is waited for: a table that somebody holds is for the next pass. */
static bool
lock_table(const char *name, LOCKMODE mode)
{
	Oid			table = get_relname_relid(name, get_namespace_oid("documentdb_upgrade", false));

	return OidIsValid(table) && ConditionalLockRelationOid(table, mode);
}

/*
 * Records what this server runs, unless that is known; nothing where the
 * tables are those of an older version of ours.  SPI must be connected, on a
 * primary.  An error is logged and the pass goes on.
 */
void
du_release_record(const UpgradeFacts *facts, ReleaseMemory *memory)
{
	const ExtensionFacts *extension = du_managed_main(facts);
	const char *seen;
	ErrorData  *error;

	/* Files that are away, as while they are exchanged, are no release. */
	if (!OidIsValid(extension->oid) || extension->binary == NULL || !du_server_facts_can_write())
		return;
	seen = quick_look(extension, memory);
	if (strcmp(memory->seen, seen) == 0)
		return;
	if (!lock_table("releases", ShareRowExclusiveLock) ||
		!lock_table("rollbacks", RowShareLock))
		return;

	error = du_subtransaction_run(store, observe(extension), SUBTRANSACTION_KEEP);

	/* A fence can rise between any two statements; that is for the next pass. */
	if (error != NULL && error->sqlerrcode == ERRCODE_READ_ONLY_SQL_TRANSACTION)
		return;
	strlcpy(memory->seen, seen, sizeof(memory->seen));
	if (error != NULL)
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("could not record the release that this server runs"),
				 errdetail_internal("%s", error->message)));
}

/*
 * observed_release() returns jsonb
 */
Datum
documentdb_upgrade_observed_release(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	ExecutionContext context;
	char	   *observed;

	du_context_enter(&context);
	SPI_connect();
	observed = MemoryContextStrdup(caller, observe(du_managed_main(du_managed_gather())));
	SPI_finish();
	du_context_leave(&context);
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(observed)));
}
