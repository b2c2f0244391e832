/*-------------------------------------------------------------------------
 *
 * found_versions.c
 *	  Records versions that nobody has told history of.
 *
 * An update without this library, a dump that is restored over files of
 * another release, a drop and create: the version is then another one than
 * history left.  A row says so, else the next one would begin at a version that
 * nothing led to.  Where history knows nothing of an extension there is nothing
 * to compare with; so a restore, which fills history after it has created the
 * extensions, meets no row of ours.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "extension/extension.h"
#include "guards/guards.h"

/*
 * True when history knows this extension; then *version is where it was left,
 * NULL for one that was dropped, and *installed, unless installed is NULL, what the
 * catalogue has in the same snapshot: a change and its row come with one commit.  SPI
 * must be connected.
 */
bool
du_history_last_version(const char *extension, const char **version, const char **installed)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	bool		known;

	values[0] = CStringGetTextDatum(extension);
	known = du_query("SELECT e.change->>'to', (SELECT x.extversion FROM pg_catalog.pg_extension x WHERE x.extname = $1)"
					 " FROM documentdb_upgrade.history h,"
					 "   LATERAL pg_catalog.jsonb_array_elements(h.extensions) AS e(change)"
					 " WHERE h.outcome = 'succeeded' AND e.change->>'extension' = $1"
					 " ORDER BY h.id DESC LIMIT 1", 1, types, values) > 0;
	*version = known ? du_query_text(0, 1) : NULL;
	if (installed != NULL)
		*installed = known ? du_query_text(0, 2) : NULL;
	SPI_freetuptable(SPI_tuptable);
	return known;
}

/*
 * Stores a row about a change that was made by other means than an update; from
 * or to is NULL where there was no or is no extension.  SPI must be connected.
 */
void
du_history_note_change(const char *actor, const char *extension, const char *from, const char *to,
					   const char *message)
{
	VersionChange change = {extension, from, to};
	AttemptRecord row = {0};
	bool		isnull;

	row.extension = extension;
	row.from_version = from;
	row.to_version = to;
	row.changes = list_make1(&change);
	row.outcome = "succeeded";
	row.actor = actor;
	row.started_at = row.finished_at = GetCurrentTimestamp();
	row.message = message;
	(void) du_history_insert(du_history_json(&row), &isnull);
}

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void
note_extension(const char *extension)
{
	const char *last;
	const char *installed;

	if (!du_history_last_version(extension, &last, &installed) || same(last, installed))
		return;
	du_history_note_change("found", extension, last, installed,
						   "changed without this library, or restored from a dump over other files");
}

static void
note_extensions(void *arg)
{
	const UpgradeFacts *facts = arg;

	for (int i = 0; i < facts->nextensions; i++)
		note_extension(facts->extensions[i].name);
}

/* What is installed, in a form that can be compared. */
static char *
installed_versions(const UpgradeFacts *facts)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%u", du_context_own_extension());
	for (int i = 0; i < facts->nextensions; i++)
		appendStringInfo(&buf, " %s %s", facts->extensions[i].name,
						 facts->extensions[i].installed ? facts->extensions[i].installed : "");
	return du_digest_bytes(buf.data, buf.len);
}

/*
 * While a dump is restored, history can be there without its sequence.
 */
static bool
is_being_restored(void)
{
	bool		restored = du_query("SELECT FROM documentdb_upgrade.history_id_seq s"
									" WHERE s.last_value < (SELECT pg_catalog.max(h.id) FROM documentdb_upgrade.history h)",
									0, NULL, NULL) > 0;

	SPI_freetuptable(SPI_tuptable);
	return restored;
}

/*
 * Records versions that differ from those that history left, unless that was
 * looked at before: seen has room for a digest.  Nobody is waited for.  SPI must
 * be connected, on a primary; an error is logged, and the caller goes on.
 */
void
du_history_note_found(const UpgradeFacts *facts, char seen[FOUND_DIGEST_LENGTH])
{
	char	   *now = installed_versions(facts);
	Oid			history = get_relname_relid("history", get_namespace_oid("documentdb_upgrade", false));
	ErrorData  *error;

	if (strcmp(seen, now) == 0 || !du_server_facts_can_write() || !OidIsValid(history) ||
		!ConditionalLockRelationOid(history, RowExclusiveLock) || is_being_restored())
		return;
	error = du_subtransaction_run(note_extensions, unconstify(UpgradeFacts *, facts), SUBTRANSACTION_KEEP);

	/* A fence can rise between any two statements; that is for the next pass. */
	if (error != NULL && error->sqlerrcode == ERRCODE_READ_ONLY_SQL_TRANSACTION)
		return;
	strlcpy(seen, now, FOUND_DIGEST_LENGTH);
	if (error != NULL)
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("could not record the versions that were found"),
				 errdetail_internal("%s", error->message)));
}
