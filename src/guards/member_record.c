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

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

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

/*
 * Records the members as they are now.  SPI must be connected.
 */
void
du_members_record(const UpgradeFacts *facts)
{
	Oid			types[2] = {TEXTARRAYOID, INT4OID};
	Datum		values[2];

	values[0] = extension_names(facts);
	values[1] = Int32GetDatum(PG_VERSION_NUM / 10000);
	du_query("DELETE FROM documentdb_upgrade.member_digests WHERE extension = ANY ($1)",
			 1, types, values);
	du_query("INSERT INTO documentdb_upgrade.member_digests"
			 "   (extension, version, server_release, kind, identity, digest, recorded_at)"
			 " SELECT e.extname, e.extversion, $2, d.kind, d.identity, d.digest,"
			 "   pg_catalog.clock_timestamp()"
			 " FROM pg_catalog.pg_extension e,"
			 "   documentdb_upgrade.member_definitions(e.extname::pg_catalog.text) d"
			 " WHERE e.extname = ANY ($1::pg_catalog.name[]) ON CONFLICT DO NOTHING",
			 2, types, values);
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
