/*-------------------------------------------------------------------------
 *
 * rehearsal_memory.c
 *	  What earlier rehearsals say about an upgrade.
 *
 * A rehearsal is true for the fingerprint that it was made for.  That is
 * computed only when there is one to compare with, because it reads every
 * script and library.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "extension/extension.h"
#include "plan/plan.h"

/* False in a database without this extension, and while nothing was rehearsed. */
static bool
has_memory(void)
{
	Oid			schema = get_namespace_oid("documentdb_upgrade", true);

	return OidIsValid(schema) && OidIsValid(get_relname_relid("rehearsals", schema)) &&
		!du_table_is_empty("rehearsals");
}

/*
 * Fills in the newest rehearsal from the installed version of the main
 * extension to the target.  SPI must be connected.
 */
void
du_rehearsals_recall(const UpgradeFacts *facts, const char *target,
					 RememberedRehearsal *rehearsal)
{
	const ExtensionFacts *extension = du_managed_main(facts);
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];
	const char *fingerprint;

	memset(rehearsal, 0, sizeof(RememberedRehearsal));
	if (extension->installed == NULL || target == NULL || !has_memory())
		return;
	values[0] = CStringGetTextDatum(extension->name);
	values[1] = CStringGetTextDatum(extension->installed);
	values[2] = CStringGetTextDatum(target);
	if (du_query("SELECT r.id, (r.outcome = 'passed')::pg_catalog.int4::pg_catalog.int8,"
				 " (NOT r.scratch)::pg_catalog.int4::pg_catalog.int8,"
				 " pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - r.finished_at),"
				 " r.lock_entries::pg_catalog.int8, r.message, r.fingerprint,"
				 " (r.report->>'locks_named')::pg_catalog.int8"
				 " FROM documentdb_upgrade.rehearsals r"
				 " WHERE r.extension = $1 AND r.from_version = $2 AND r.to_version = $3"
				 " ORDER BY r.id DESC LIMIT 1", 3, types, values) == 1)
	{
		rehearsal->id = du_query_int(0, 1);
		rehearsal->passed = du_query_int(0, 2) != 0;
		rehearsal->in_place = du_query_int(0, 3) != 0;
		rehearsal->age = du_query_double(0, 4);
		rehearsal->lock_entries = du_query_int(0, 5);
		rehearsal->message = du_query_text(0, 6);
		fingerprint = du_query_text(0, 7);
		rehearsal->locks_named = du_query_int(0, 8);
		rehearsal->is_current = fingerprint != NULL &&
			strcmp(fingerprint, du_fingerprint(facts)) == 0;
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * What the newest rehearsal over the data of here that ran a step with this
 * very script has seen it do; the last ten are looked at.  SPI must be connected.
 */
RememberedRisk
du_rehearsals_recall_step(const char *extension, const char *from, const char *to,
						  const char *sha256)
{
	Oid			types[4] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[4];
	RememberedRisk risk = {NULL, NULL};

	if (sha256 == NULL || !has_memory())
		return risk;
	values[0] = CStringGetTextDatum(extension);
	values[1] = CStringGetTextDatum(from);
	values[2] = CStringGetTextDatum(to);
	values[3] = CStringGetTextDatum(sha256);
	if (du_query("SELECT s.step->>'risk', pg_catalog.format('Rehearsal %s: %s', r.id, s.step->>'risk_reason')"
				 " FROM (SELECT n.id, n.report FROM documentdb_upgrade.rehearsals n"
				 "       WHERE NOT n.scratch ORDER BY n.id DESC LIMIT 10) AS r,"
				 "   pg_catalog.jsonb_array_elements(r.report->'steps') AS s(step)"
				 " WHERE s.step->>'extension' = $1 AND s.step->>'from' = $2 AND s.step->>'to' = $3"
				 " AND s.step->>'sha256' = $4 AND s.step ? 'ms'"
				 " ORDER BY r.id DESC LIMIT 1", 4, types, values) == 1)
	{
		risk.risk = du_query_text(0, 1);
		risk.reason = du_query_text(0, 2);
	}
	SPI_freetuptable(SPI_tuptable);
	return risk;
}
