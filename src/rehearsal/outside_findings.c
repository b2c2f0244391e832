/*-------------------------------------------------------------------------
 *
 * outside_findings.c
 *	  What a rehearsal did to objects of others, for its report.
 *
 * Collected step by step while the upgrade runs; looked at more closely when it
 * has been rolled back and everything is there again: rows are counted then, and
 * the statements written that would bring an object back.
 *
 * In a schema that is itself a member, as DocumentDB's schema for the tables of
 * collections is, an extension keeps what it makes at run time.  What it changes
 * there is its own affair, what it removes there is somebody's data.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"

/* False for what is rebuilt easily: indexes, constraints, triggers, policies. */
static bool
holds_data_or_code(const CatalogChange *change)
{
	return change->object.classId == ProcedureRelationId ||
		change->object.classId == TypeRelationId ||
		(change->object.classId == RelationRelationId && strcmp(change->kind, "index") != 0);
}

/* True for a change of somebody else's object. */
static bool
is_of_others(const CatalogChange *change)
{
	if (change->place <= PLACE_INSIDE || change->action == CHANGE_ADDED)
		return false;
	if (change->place == PLACE_MEMBER_SCHEMA)
		return change->action == CHANGE_REMOVED && holds_data_or_code(change);
	return true;
}

/*
 * What it means for the owner of the object; NULL for what is of no interest.
 */
static const char *
effect_of(const CatalogChange *change)
{
	if (!is_of_others(change))
	{
		/* An administrator may have changed a member. */
		if (change->place == PLACE_INSIDE && change->action == CHANGE_CHANGED &&
			(change->lost != NIL || du_change_lost_privileges(change) != NIL))
			return "lost";
		return NULL;
	}
	if (change->action == CHANGE_REMOVED)
		return "removed";
	if (change->definition || change->owner || change->recreated || change->revoked != NIL ||
		(change->rewritten && strcmp(change->kind, "table") == 0))
		return "changed";
	return change->granted != NIL ? "granted" : NULL;
}

static void
open_finding(StringInfo buf, const char *effect, const char *extension, const PlanStep *step)
{
	du_write_open(buf, NULL, '{');
	du_write_text(buf, "effect", effect);
	du_write_text(buf, "extension", extension);
	du_write_text(buf, "from", step->from);
	du_write_text(buf, "to", step->to);
}

static void
write_address(StringInfo buf, const ObjectAddress *object)
{
	du_write_int(buf, "classid", object->classId);
	du_write_int(buf, "objid", object->objectId);
	du_write_int(buf, "objsubid", object->objectSubId);
}

static void
add_change(OutsideFindings *findings, const char *extension, const PlanStep *step,
		   const CatalogChange *change)
{
	const char *effect = effect_of(change);

	if (effect == NULL)
		return;
	open_finding(&findings->objects, effect, extension, step);
	du_write_text(&findings->objects, "kind", change->kind);
	du_write_text(&findings->objects, "identity", change->identity);
	du_write_texts(&findings->objects, "what", du_change_words(change));
	du_write_texts(&findings->objects, "details", change->details);
	du_write_texts(&findings->objects, "granted", change->granted);
	du_write_texts(&findings->objects, "revoked",
				   strcmp(effect, "lost") == 0 ? du_change_lost_privileges(change) : change->revoked);
	du_write_texts(&findings->objects, "lost", change->lost);
	write_address(&findings->objects, change->recreated ? &change->replaced : &change->object);
	du_write_close(&findings->objects, '}');
}

/* A function that now computes something else, on which an index may stand. */
static void
add_replaced(OutsideFindings *findings, const char *extension, const PlanStep *step,
			 const CatalogChange *change)
{
	ListCell   *lc;

	if (change->object.classId != ProcedureRelationId || change->action != CHANGE_CHANGED ||
		change->recreated || change->place != PLACE_INSIDE)
		return;
	foreach(lc, change->details)
	{
		if (strcmp(lfirst(lc), "body") != 0)
			continue;
		open_finding(&findings->replaced, "affected", extension, step);
		du_write_text(&findings->replaced, "function", change->identity);
		write_address(&findings->replaced, &change->object);
		du_write_close(&findings->replaced, '}');
	}
}

static void
add_rows(OutsideFindings *findings, const char *extension, const PlanStep *step,
		 const TableRows *rows)
{
	ObjectAddress table;

	if (rows->is_new || rows->place != PLACE_OUTSIDE || (rows->updated == 0 && rows->deleted == 0))
		return;
	ObjectAddressSet(table, RelationRelationId, rows->oid);
	open_finding(&findings->objects, "changed", extension, step);
	du_write_text(&findings->objects, "kind", "table");
	du_write_text(&findings->objects, "identity", rows->table);
	du_write_texts(&findings->objects, "what", list_make1("rows"));
	du_write_int(&findings->objects, "rows_updated", rows->updated);
	du_write_int(&findings->objects, "rows_deleted", rows->deleted);
	write_address(&findings->objects, &table);
	du_write_close(&findings->objects, '}');
}

/*
 * Begins with none.
 */
void
du_findings_start(OutsideFindings *findings)
{
	initStringInfo(&findings->objects);
	initStringInfo(&findings->replaced);
}

/*
 * Adds what a step did.
 */
void
du_findings_add(OutsideFindings *findings, const char *extension, const PlanStep *step,
				const StepEffects *effects)
{
	ListCell   *lc;

	foreach(lc, effects->changes)
	{
		add_change(findings, extension, step, lfirst(lc));
		add_replaced(findings, extension, step, lfirst(lc));
	}
	foreach(lc, effects->rows)
		add_rows(findings, extension, step, lfirst(lc));
}

/*
 * Adds key "outside" to a report, after the rollback: the findings with rows that
 * are lost, what they stand on and the statements that bring them back.  SPI must
 * be connected.
 */
void
du_findings_write(const OutsideFindings *findings, StringInfo buf)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];

	if (findings->objects.len == 0 && findings->replaced.len == 0)
	{
		du_write_open(buf, "outside", '[');
		du_write_close(buf, ']');
		return;
	}
	values[0] = CStringGetTextDatum(psprintf("[%s]", findings->objects.data));
	values[1] = CStringGetTextDatum(psprintf("[%s]", findings->replaced.data));
	du_query("SELECT documentdb_upgrade_internal.outside_findings($1::pg_catalog.jsonb,"
			 " $2::pg_catalog.jsonb)::pg_catalog.text", 2, types, values);
	du_write_key(buf, "outside");
	appendStringInfoString(buf, du_query_text(0, 1));
	SPI_freetuptable(SPI_tuptable);
}
