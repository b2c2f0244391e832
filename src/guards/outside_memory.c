/*-------------------------------------------------------------------------
 *
 * outside_memory.c
 *	  What is known of objects of others that an upgrade removes or changes.
 *
 * A rehearsal over the data of here, of exactly this upgrade, has seen it; what
 * it found counts as long as the object stands on what it stood on.  Without
 * one the scripts tell which members they drop, and pg_depend who stands on
 * them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/value.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "plan/plan.h"

/* False where this extension's objects are still of 1.0.0, or are not there. */
static bool
has_findings(void)
{
	return FuncnameGetCandidates(list_make2(makeString("documentdb_upgrade_internal"),
											makeString("standing_on")),
								 -1, NIL, false, false, false, true) != NULL;
}

/* What the newest rehearsal of exactly this upgrade has found. */
static void
recall_findings(const UpgradeFacts *facts, const char *target, OutsideObjects *outside)
{
	const ExtensionFacts *extension = du_managed_main(facts);
	const char *now = du_extension_installed_version(extension->name, NULL);
	Oid			types[5] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID};
	Datum		values[5];

	values[0] = CStringGetTextDatum(extension->name);
	values[1] = CStringGetTextDatum(extension->installed);
	values[2] = CStringGetTextDatum(target);
	values[3] = CStringGetTextDatum(du_fingerprint(facts));

	/* An attempt that begins with the update asks when its steps have run. */
	values[4] = BoolGetDatum(now == NULL || strcmp(now, extension->installed) != 0);
	if (du_query("WITH newest AS ("
				 "   SELECT r.id, r.report, r.sqlstate, r.message, r.detail"
				 "   FROM documentdb_upgrade.rehearsals r"
				 "   WHERE r.extension = $1 AND r.from_version = $2 AND r.to_version = $3"
				 "     AND r.fingerprint = $4 AND NOT r.scratch AND r.report->'outside' IS NOT NULL"
				 "   ORDER BY r.id DESC LIMIT 1),"
				 " applying AS ("
				 "   SELECT f.f->>'effect' AS effect, f.f->>'kind' AS kind, f.f->>'identity' AS identity,"
				 "     (f.f->>'rows_lost')::pg_catalog.int8 AS rows_lost, f.n"
				 "   FROM newest, pg_catalog.jsonb_array_elements(newest.report->'outside')"
				 "     WITH ORDINALITY AS f(f, n)"
				 "   WHERE f.f->>'effect' <> 'granted'"
				 "     AND ($5 OR documentdb_upgrade_internal.finding_applies(f.f)))"
				 " SELECT newest.id, (newest.sqlstate IS NOT DISTINCT FROM '2BP01')::pg_catalog.int4::pg_catalog.int8,"
				 "   (SELECT pg_catalog.count(*) FROM applying a WHERE a.effect <> 'affected'),"
				 "   (SELECT pg_catalog.count(*) FROM applying a WHERE a.effect = 'affected'),"
				 "   (SELECT pg_catalog.string_agg(pg_catalog.format('%s %s %s%s', CASE a.effect"
				 "        WHEN 'lost' THEN 'takes settings or privileges from'"
				 "        WHEN 'removed' THEN 'removes' WHEN 'changed' THEN 'changes'"
				 "        ELSE 'leaves as it was computed before' END,"
				 "        a.kind, a.identity,"
				 "        ' with ' || a.rows_lost || CASE a.rows_lost WHEN 1 THEN ' row' ELSE ' rows' END), '; ' ORDER BY a.n)"
				 "    FROM applying a WHERE a.n <= (SELECT pg_catalog.min(b.n) + 4 FROM applying b)),"
				 "   pg_catalog.concat_ws(': ', newest.message, pg_catalog.split_part(newest.detail, E'\\n', 1))"
				 " FROM newest", 5, types, values) == 1)
	{
		outside->rehearsal = du_query_int(0, 1);
		outside->in_the_way = du_query_int(0, 2) != 0;
		outside->nseen = du_query_int(0, 3);
		outside->naffected = du_query_int(0, 4);
		outside->seen = du_query_text(0, 5);
		outside->message = du_query_text(0, 6);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* What is looked for, and what is found. */
typedef struct ScriptLook
{
	const char *objects;		/* JSON, of du_plan_objects() */
	OutsideObjects *outside;
} ScriptLook;

/* Who stands on what the scripts drop. */
static void
look_at_scripts(void *arg)
{
	const ScriptLook *look = arg;
	OutsideObjects *outside = look->outside;
	Oid			types[1] = {TEXTOID};
	Datum		values[1];

	values[0] = CStringGetTextDatum(look->objects);
	du_query("WITH scripts AS (SELECT $1::pg_catalog.jsonb AS s),"
			 " standing AS (SELECT t.*, pg_catalog.row_number() OVER (ORDER BY t.kind, t.identity) AS n"
			 "   FROM scripts, documentdb_upgrade_internal.standing_on(scripts.s) t)"
			 " SELECT (SELECT pg_catalog.count(*) FROM standing),"
			 "   (SELECT pg_catalog.string_agg(pg_catalog.format('%s %s stands on %s, which script \"%s\" %s',"
			 "        t.kind, t.identity, t.stands_on,"
			 "        pg_catalog.regexp_replace(t.script, '^.*/', ''), t.does), '; ' ORDER BY t.n)"
			 "    FROM standing t WHERE t.n <= 3)", 1, types, values);
	outside->nnamed = du_query_int(0, 1);
	outside->named = du_query_text(0, 2);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Fills in what is known.  Where there was no rehearsal between these versions,
 * none has found anything.  The scripts are asked on request where nothing was
 * rehearsed, for what they say only warns then; and always when a rehearsal has
 * failed because of such objects, which may be gone since.  SPI must be connected.
 */
void
du_outside_recall(const UpgradeFacts *facts, const UpgradePlan *plan, bool rehearsed,
				  bool read_scripts, OutsideObjects *outside)
{
	memset(outside, 0, sizeof(OutsideObjects));
	if (du_managed_main(facts)->installed == NULL || plan->target == NULL || !has_findings())
		return;
	if (rehearsed)
		recall_findings(facts, plan->target, outside);
	if (outside->in_the_way || (read_scripts && outside->rehearsal == 0))
	{
		ScriptLook	look;
		ErrorData  *error;

		outside->looked = true;
		if (!du_outside_may_stand(facts, plan))
			return;
		look.objects = du_plan_objects(plan, facts);
		look.outside = outside;

		/* Rolled back, so that its many catalogues count as no locks of an upgrade. */
		error = du_subtransaction_run(look_at_scripts, &look, SUBTRANSACTION_ROLL_BACK);
		if (error != NULL)
			ReThrowError(error);
	}
}
