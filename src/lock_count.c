/*-------------------------------------------------------------------------
 *
 * lock_count.c
 *	  What the things that a plan may lock add up to.
 *
 * A relation counts once, with its indexes, its TOAST table and its children.
 * Where code may touch any data table, those of the managed set and those that
 * hang on it are counted, by what such code does to each.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lock_count.h"

#include "access/twophase.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lock.h"

#include "execution_context.h"

/*
 * Entries for data tables: n of them, with so many indexes and TOAST tables.
 */
static int64
entries_of_tables(const LockEstimate *estimate, int64 n, int64 nindexes, int64 ntoast)
{
	switch (estimate->touch)
	{
		case TOUCH_NONE:
			return 0;
		case TOUCH_ALTER:
			return n * (1 + estimate->nobjects);
		case TOUCH_ROWS:
			return n + nindexes;
		case TOUCH_WHOLE:
			return n + nindexes + 2 * ntoast;
		case TOUCH_REWRITE:
			/* Old and new, the types of both, and what depends on them. */
			return 2 * (n + nindexes + 2 * ntoast) + 3 * n;
	}
	elog(ERROR, "unrecognized touch: %d", (int) estimate->touch);
}

/*
 * Counts the relations.  Data tables are the tables in member schemas, the
 * member tables, and tables with columns of a member type.  PostgreSQL 18
 * keeps NOT NULL as a constraint, which takes an entry of its own when it is
 * dropped, as a default does.
 */
static void
count_relations(LockEstimate *estimate)
{
	Oid			types[6] = {OIDARRAYOID, OIDARRAYOID, BOOLOID, BOOLOID, BOOLOID, BOOLOID};
	Datum		values[6];
	List	   *extensions = NIL;

	for (int i = 0; i < estimate->facts->nextensions; i++)
		extensions = lappend_oid(extensions, estimate->facts->extensions[i].oid);
	values[0] = du_oid_array(estimate->relations);
	values[1] = du_oid_array(extensions);
	values[2] = BoolGetDatum(estimate->own_tables);
	values[3] = BoolGetDatum(estimate->touch != TOUCH_NONE);
	values[4] = BoolGetDatum(estimate->collections);
	values[5] = BoolGetDatum(PG_VERSION_NUM >= 180000);
	du_query("WITH RECURSIVE member AS MATERIALIZED ("
			 "   SELECT d.classid, d.objid FROM pg_catalog.pg_depend d"
			 "   WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
			 "   AND d.refobjid = ANY ($2) AND d.deptype = 'e'),"
			 " root AS (SELECT r.oid FROM pg_catalog.unnest($1) AS r(oid)"
			 "   UNION SELECT m.objid FROM member m"
			 "     WHERE $3 AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
			 "   UNION SELECT i.inhrelid FROM root JOIN pg_catalog.pg_inherits i ON i.inhparent = root.oid),"
			 " heap AS MATERIALIZED (SELECT r.oid FROM root r UNION ALL"
			 "   SELECT c.reltoastrelid FROM root r JOIN pg_catalog.pg_class c ON c.oid = r.oid"
			 "   WHERE c.reltoastrelid <> 0),"
			 " data AS MATERIALIZED ("
			 "   SELECT c.oid, c.reltoastrelid FROM pg_catalog.pg_class c"
			 "   WHERE $4 AND c.relkind IN ('r', 'p', 'm', 'f') AND ("
			 "     c.relnamespace IN (SELECT m.objid FROM member m"
			 "       WHERE m.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass)"
			 "     OR c.oid IN (SELECT m.objid FROM member m"
			 "       WHERE m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass)"
			 "     OR c.oid IN (SELECT d.objid FROM member m JOIN pg_catalog.pg_depend d"
			 "         ON d.refclassid = m.classid AND d.refobjid = m.objid"
			 "       WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass"
			 "       AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass))),"
			 " collection AS (SELECT c.oid FROM pg_catalog.pg_class c"
			 "   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
			 "   WHERE $5 AND n.nspname = 'documentdb_data' AND c.relkind = 'r'"
			 "   AND c.relname ~ '^documents_[0-9]+$')"
			 " SELECT (SELECT pg_catalog.count(*) FROM (SELECT h.oid FROM heap h"
			 "     UNION SELECT i.indexrelid FROM heap h JOIN pg_catalog.pg_index i ON i.indrelid = h.oid) x),"
			 " (SELECT pg_catalog.count(*) FROM data),"
			 " (SELECT pg_catalog.count(*) FROM data d JOIN pg_catalog.pg_index i ON i.indrelid = d.oid),"
			 " (SELECT pg_catalog.count(*) FROM data d WHERE d.reltoastrelid <> 0),"
			 " (SELECT pg_catalog.count(*) FROM collection),"
			 " (SELECT pg_catalog.sum(a.atthasdef::pg_catalog.int4 + (a.attnotnull AND $6)::pg_catalog.int4)::pg_catalog.int8"
			 "   FROM collection c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
			 "   WHERE a.attname = 'creation_time' AND NOT a.attisdropped)",
			 6, types, values);
	estimate->ntables = Max(du_query_int(0, 2), du_query_int(0, 5));
	estimate->needed = du_query_int(0, 1) +
		Max(entries_of_tables(estimate, du_query_int(0, 2), du_query_int(0, 3), du_query_int(0, 4)),
			du_query_int(0, 5) + du_query_int(0, 6));
	SPI_freetuptable(SPI_tuptable);
}

/* Entries of the shared lock table that others hold or wait for. */
static int64
count_held(void)
{
	LockData   *data = GetLockStatusData();
	int64		n = 0;

	for (int i = 0; i < data->nelements; i++)
	{
		if (!data->locks[i].fastpath && data->locks[i].pid != MyProcPid)
			n++;
	}
	return n;
}

static int
compare_routines(const ListCell *a, const ListCell *b)
{
	const ScriptRoutine *x = lfirst(a);
	const ScriptRoutine *y = lfirst(b);
	int			order = strcmp(x->name.name, y->name.name);

	return order != 0 ? order :
		strcmp(x->name.schema ? x->name.schema : "", y->name.schema ? y->name.schema : "");
}

/*
 * Names of the routines that the plan makes, each once: steps replace the
 * same ones again and again.
 */
static int
count_routines(const LockEstimate *estimate)
{
	List	   *routines = list_copy(estimate->routines);
	int			n = 0;

	list_sort(routines, compare_routines);
	for (int i = 0; i < list_length(routines); i++)
	{
		if (i == 0 || compare_routines(list_nth_cell(routines, i - 1),
									   list_nth_cell(routines, i)) != 0)
			n++;
	}
	return n;
}

/*
 * Does the sums.  SPI must be connected.
 */
void
du_lock_count_sum(LockEstimate *estimate)
{
	if (estimate->relations != NIL || estimate->own_tables ||
		estimate->touch != TOUCH_NONE || estimate->collections)
		count_relations(estimate);
	estimate->objects += count_routines(estimate);
	estimate->needed += estimate->objects;
	estimate->held = count_held();
	estimate->slots = (int64) MaxBackends + max_prepared_xacts;
	estimate->formula = max_locks_per_xact * estimate->slots;
}
