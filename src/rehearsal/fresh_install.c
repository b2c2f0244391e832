/*-------------------------------------------------------------------------
 *
 * fresh_install.c
 *	  What an update leaves against what CREATE EXTENSION makes.
 *
 * Maintainers write an install script and update scripts, and forget in one what
 * they have put in the other.  So a rehearsal in a throw-away database lists the
 * members that the update has left, and they are compared with those of a
 * fresh installation of the target.  Owners do not count: both databases are
 * ours.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "extension/extension.h"

static bool wanted = false;

/*
 * Has a rehearsal in this process list the members; for processes that serve in
 * a throw-away database.
 */
void
du_fresh_want_members(void)
{
	wanted = true;
}

/*
 * The members of the managed set as a JSON array, palloc'd; NULL where nobody
 * asks for them.  SPI must be connected.
 */
char *
du_fresh_list_members(const UpgradeFacts *facts)
{
	Datum	   *names = palloc(facts->nextensions * sizeof(Datum));
	Oid			types[1] = {TEXTARRAYOID};
	Datum		values[1];
	char	   *members;

	if (!wanted)
		return NULL;
	for (int i = 0; i < facts->nextensions; i++)
		names[i] = CStringGetTextDatum(facts->extensions[i].name);
	values[0] = PointerGetDatum(construct_array(names, facts->nextensions, TEXTOID, -1, false, TYPALIGN_INT));
	du_query("SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
			 "   'extension', n.name, 'kind', d.kind, 'identity', d.identity, 'digest', d.digest,"
			 "   'privileges', d.privileges)), '[]')::pg_catalog.text"
			 " FROM pg_catalog.unnest($1) AS n(name), documentdb_upgrade.member_definitions(n.name) d",
			 1, types, values);
	members = du_query_text(0, 1);
	SPI_freetuptable(SPI_tuptable);
	return members;
}

/*
 * True when the row of a rehearsal, as JSON, has a list of members: it passed.
 */
bool
du_fresh_has_members(const char *row)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	bool		has;

	values[0] = CStringGetTextDatum(row);
	has = du_query("SELECT FROM (SELECT $1::pg_catalog.jsonb) AS r(j)"
				   " WHERE j->>'outcome' = 'passed' AND j->'report' ? 'members'", 1, types, values) > 0;
	SPI_freetuptable(SPI_tuptable);
	return has;
}

/*
 * The row of a rehearsal, as JSON, with the differences in place of its list of
 * members: what is missing after the update, what is different, and what only
 * the update leaves.  members is the list of a fresh installation; or there is
 * none, for this reason.  SPI must be connected.
 */
char *
du_fresh_compare(const char *row, const char *members, const char *problem)
{
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];
	char	   *compared;

	values[0] = CStringGetTextDatum(row);
	values[1] = CStringGetTextDatum(members != NULL ? members : "");
	values[2] = CStringGetTextDatum(problem != NULL ? problem : "");
	du_query("SELECT (CASE WHEN $2 = '' AND $3 = '' THEN j #- '{report,members}'"
			 "   ELSE pg_catalog.jsonb_set(j #- '{report,members}', '{report,fresh}',"
			 "     documentdb_upgrade_internal.fresh_differences(j #> '{report,members}',"
			 "       NULLIF($2, '')::pg_catalog.jsonb, NULLIF($3, ''))) END)::pg_catalog.text"
			 " FROM (SELECT $1::pg_catalog.jsonb) AS r(j)", 3, types, values);
	compared = du_query_text(0, 1);
	SPI_freetuptable(SPI_tuptable);
	return compared;
}

/*
 * Warns of the differences in such a row.  SPI must be connected.
 */
void
du_fresh_warn(const char *row)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];

	values[0] = CStringGetTextDatum(row);
	du_query("SELECT pg_catalog.count(*), pg_catalog.array_to_string((pg_catalog.array_agg(pg_catalog.format("
			 "   '%s %s is %s', d->>'kind', d->>'identity', d->>'what')))[1:3], ', ')"
			 " FROM pg_catalog.jsonb_array_elements($1::pg_catalog.jsonb #> '{report,fresh,differences}') AS e(d)"
			 " WHERE d->>'what' <> 'other privileges'", 1, types, values);
	if (du_query_int(0, 1) > 0)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("the update leaves other members than a fresh installation of the same version"),
				 errdetail(INT64_FORMAT " differ: %s%s.", du_query_int(0, 1), du_query_text(0, 2),
						   du_query_int(0, 1) > 3 ? ", ..." : ""),
				 errhint("Tell the maintainers of the extension. They are listed by SELECT documentdb_upgrade.rehearsal_report();")));
	SPI_freetuptable(SPI_tuptable);
}
