/*-------------------------------------------------------------------------
 *
 * member_record.c
 *	  What the members of the managed set were at the last finalize.
 *
 * Each finalize records a digest of every member's definition, so that the
 * next one can say what somebody has changed in between: an update script may
 * fail on that, or undo it.  A record counts for the version and the server
 * release it was made with; the same definition may read differently on
 * another.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "extension/extension.h"

/* The names of the installed extensions, as a parameter of type text[]. */
static Datum
extension_names(const UpgradeFacts *facts)
{
	Datum	   *names = palloc(facts->nextensions * sizeof(Datum));
	int			n = 0;

	for (int i = 0; i < facts->nextensions; i++)
	{
		if (OidIsValid(facts->extensions[i].oid))
			names[n++] = CStringGetTextDatum(facts->extensions[i].name);
	}
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The columns of table member_digests. */
enum
{
	COLUMN_EXTENSION,
	COLUMN_VERSION,
	COLUMN_SERVER_RELEASE,
	COLUMN_KIND,
	COLUMN_IDENTITY,
	COLUMN_DIGEST,
	COLUMN_RECORDED_AT,
	NCOLUMNS
};

/* Starts a scan over the record of an extension. */
static SysScanDesc
scan_record(Relation rel, Snapshot snapshot, const char *extension)
{
	Oid			index = du_primary_key_index(rel);
	ScanKeyData key;

	ScanKeyEntryInitialize(&key, 0, COLUMN_EXTENSION + 1, BTEqualStrategyNumber, TEXTOID,
						   DEFAULT_COLLATION_OID, F_TEXTEQ, CStringGetTextDatum(extension));
	return systable_beginscan(rel, index, OidIsValid(index), snapshot, 1, &key);
}

/* Removes the record of an extension. */
static void
forget(Relation rel, const char *extension)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = scan_record(rel, snapshot, extension);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		CatalogTupleDelete(rel, &tuple->t_self);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
}

static int
compare_definitions(const ListCell *a, const ListCell *b)
{
	const MemberDefinition *left = lfirst(a);
	const MemberDefinition *right = lfirst(b);
	int			order = strcmp(left->kind, right->kind);

	return order != 0 ? order : strcmp(left->identity, right->identity);
}

/* Notes the members of an extension as they are now. */
static void
note(Relation rel, CatalogIndexState indexes, const char *extension)
{
	List	   *definitions = du_member_definitions(extension);
	Datum		values[NCOLUMNS];
	bool		nulls[NCOLUMNS] = {false};
	const MemberDefinition *last = NULL;
	ListCell   *lc;

	values[COLUMN_EXTENSION] = CStringGetTextDatum(extension);
	values[COLUMN_VERSION] = CStringGetTextDatum(du_extension_installed_version(extension, NULL));
	values[COLUMN_SERVER_RELEASE] = Int32GetDatum(PG_VERSION_NUM / 10000);
	values[COLUMN_RECORDED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());

	/* Two of one name, which the server does not promise to exclude, count as one. */
	list_sort(definitions, compare_definitions);
	foreach(lc, definitions)
	{
		const MemberDefinition *definition = lfirst(lc);

		if (last != NULL && strcmp(last->kind, definition->kind) == 0 &&
			strcmp(last->identity, definition->identity) == 0)
			continue;
		last = definition;
		values[COLUMN_KIND] = CStringGetTextDatum(definition->kind);
		values[COLUMN_IDENTITY] = CStringGetTextDatum(definition->identity);
		values[COLUMN_DIGEST] = CStringGetTextDatum(definition->digest);
		CatalogTupleInsertWithInfo(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls), indexes);
	}
}

/*
 * Records the members as they are now.  SPI must be connected.  The table is
 * written as catalogues are: many rows, and no query to plan.
 */
void
du_members_record(const UpgradeFacts *facts)
{
	Relation	rel = table_openrv(makeRangeVar("documentdb_upgrade", "member_digests", -1), RowExclusiveLock);
	CatalogIndexState indexes = CatalogOpenIndexes(rel);

	if (RelationGetDescr(rel)->natts != NCOLUMNS)
		elog(ERROR, "table \"member_digests\" has %d columns", RelationGetDescr(rel)->natts);
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (!OidIsValid(facts->extensions[i].oid))
			continue;
		forget(rel, facts->extensions[i].name);
		note(rel, indexes, facts->extensions[i].name);
	}
	CatalogCloseIndexes(indexes);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

/* True when a row of the table is about an extension as it is installed. */
static bool
is_of_installed(Relation rel, HeapTuple tuple, const ExtensionFacts *extension)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		isnull;
	Datum		version = heap_getattr(tuple, COLUMN_VERSION + 1, desc, &isnull);
	Datum		release = heap_getattr(tuple, COLUMN_SERVER_RELEASE + 1, desc, &isnull);

	return DatumGetInt32(release) == PG_VERSION_NUM / 10000 &&
		strcmp(TextDatumGetCString(version), extension->installed) == 0;
}

/*
 * True when there is a record of an extension as it is installed.
 */
static bool
is_recorded(const ExtensionFacts *extension)
{
	Relation	rel;
	Snapshot	snapshot;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	if (!OidIsValid(extension->oid))
		return false;
	rel = table_openrv(makeRangeVar("documentdb_upgrade", "member_digests", -1), AccessShareLock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = scan_record(rel, snapshot, extension->name);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = is_of_installed(rel, tuple, extension);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);
	return found;
}

/*
 * Compares the members with the record, palloc'd.  SPI must be connected.
 */
MemberChanges *
du_members_compare(const UpgradeFacts *facts)
{
	MemberChanges *changes = palloc0(sizeof(MemberChanges));
	Oid			types[2] = {TEXTARRAYOID, INT4OID};
	Datum		values[2];
	bool		recorded = false;

	/* Without one there is no need to plan what follows. */
	for (int i = 0; i < facts->nextensions && !recorded; i++)
		recorded = is_recorded(&facts->extensions[i]);
	if (!recorded)
		return changes;
	values[0] = extension_names(facts);
	values[1] = Int32GetDatum(PG_VERSION_NUM / 10000);
	du_query("WITH recorded AS MATERIALIZED ("
			 "   SELECT m.extension, m.kind, m.identity, m.digest"
			 "   FROM documentdb_upgrade.member_digests m"
			 "   JOIN pg_catalog.pg_extension e ON e.extname = m.extension::pg_catalog.name"
			 "     AND e.extversion = m.version"
			 "   WHERE m.extension = ANY ($1) AND m.server_release = $2),"
			 " present AS MATERIALIZED ("
			 "   SELECT r.extension, d.kind, d.identity, d.digest"
			 "   FROM (SELECT DISTINCT extension FROM recorded) r,"
			 "     documentdb_upgrade.member_definitions(r.extension) d),"
			 " difference AS ("
			 "   SELECT CASE WHEN r.digest IS NULL THEN 1 WHEN p.digest IS NULL THEN 2 ELSE 3 END AS what,"
			 "     coalesce(p.kind, r.kind) || ' ' || coalesce(p.identity, r.identity) AS name"
			 "   FROM recorded r FULL JOIN present p USING (extension, kind, identity)"
			 "   WHERE r.digest IS DISTINCT FROM p.digest),"
			 " counted AS ("
			 "   SELECT d.what, pg_catalog.count(*) AS n,"
			 "     pg_catalog.array_to_string((pg_catalog.array_agg(d.name ORDER BY d.name))[1:3], ', ') AS names"
			 "   FROM difference d GROUP BY d.what)"
			 " SELECT (SELECT pg_catalog.count(DISTINCT extension) FROM recorded),"
			 "   (SELECT pg_catalog.sum(c.n)::pg_catalog.int8 FROM counted c),"
			 "   (SELECT pg_catalog.string_agg(pg_catalog.format('%s %s (%s%s)', c.n,"
			 "        CASE c.what WHEN 1 THEN 'added' WHEN 2 THEN 'removed' ELSE 'changed' END,"
			 "        c.names, CASE WHEN c.n > 3 THEN ', ...' END), ', ' ORDER BY c.what)"
			 "    FROM counted c)",
			 2, types, values);
	changes->nrecorded = (int) du_query_int(0, 1);
	changes->total = du_query_int(0, 2);
	changes->summary = du_query_text(0, 3);
	SPI_freetuptable(SPI_tuptable);
	return changes;
}
