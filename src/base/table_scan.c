/*-------------------------------------------------------------------------
 *
 * table_scan.c
 *	  Reads a small table row by row, its columns by their names.
 *
 * A scan is for tables of few rows that are looked at by every session, for
 * hooks, and for where no query can be run: to plan one takes longer, is done
 * again whenever an extension was created, and asks the libraries of others.  It
 * takes a snapshot of its own, so after a lock was waited for it sees what is
 * there now, and it asks for no right: who may know is for the caller to judge.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/*
 * Begins to read a table that is there, in no order; du_scan_end() must follow.
 * False, and nothing to end, when there is none of that name.
 */
bool
du_scan_begin_if_exists(TableScan *scan, const char *schema, const char *table)
{
	Oid			namespace = get_namespace_oid(schema, true);
	Oid			relid = OidIsValid(namespace) ? get_relname_relid(table, namespace) : InvalidOid;

	scan->rel = OidIsValid(relid) ? try_table_open(relid, AccessShareLock) : NULL;
	if (scan->rel == NULL)
		return false;
	scan->index = NULL;
	scan->snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan->scan = systable_beginscan(scan->rel, InvalidOid, false, scan->snapshot, 0, NULL);
	return true;
}

static void
report_missing(const char *schema, const char *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("relation \"%s.%s\" does not exist", schema, table)));
}

/*
 * The same for a table that must be there; 42P01 when it is not.
 */
void
du_scan_begin(TableScan *scan, const char *schema, const char *table)
{
	if (!du_scan_begin_if_exists(scan, schema, table))
		report_missing(schema, table);
}

/*
 * Like du_scan_begin() for rows in the falling order of the primary key, which
 * the table must have.
 */
void
du_scan_begin_newest(TableScan *scan, const char *schema, const char *table)
{
	du_scan_begin(scan, schema, table);
	systable_endscan(scan->scan);
	list_free(RelationGetIndexList(scan->rel));
	if (!OidIsValid(scan->rel->rd_pkindex))
		elog(ERROR, "table \"%s\" has no primary key", table);
	scan->index = index_open(scan->rel->rd_pkindex, AccessShareLock);
	scan->scan = systable_beginscan_ordered(scan->rel, scan->index, scan->snapshot, 0, NULL);
}

/*
 * Goes on to the next row; false when there is none.
 */
bool
du_scan_next(TableScan *scan)
{
	scan->tuple = scan->index == NULL ? systable_getnext(scan->scan) :
		systable_getnext_ordered(scan->scan, BackwardScanDirection);
	return HeapTupleIsValid(scan->tuple);
}

/*
 * Ends it, and gives that lock on the table back: NoLock keeps it until the
 * transaction ends.
 */
void
du_scan_end(TableScan *scan, LOCKMODE lock)
{
	if (scan->index == NULL)
		systable_endscan(scan->scan);
	else
	{
		systable_endscan_ordered(scan->scan);
		index_close(scan->index, lock);
	}
	UnregisterSnapshot(scan->snapshot);
	table_close(scan->rel, lock);
}

/*
 * A column of the present row.  One that the table does not have is null: it
 * may be of another release.
 */
Datum
du_scan_value(const TableScan *scan, const char *column, bool *isnull)
{
	AttrNumber	number = get_attnum(RelationGetRelid(scan->rel), column);

	*isnull = number == InvalidAttrNumber;
	return *isnull ? (Datum) 0 : heap_getattr(scan->tuple, number, RelationGetDescr(scan->rel), isnull);
}

/*
 * A column of the present row as a text, palloc'd; NULL for a null.
 */
char *
du_scan_text(const TableScan *scan, const char *column)
{
	bool		isnull;
	Datum		value = du_scan_value(scan, column, &isnull);
	Oid			type = isnull ? InvalidOid : get_atttype(RelationGetRelid(scan->rel),
														 get_attnum(RelationGetRelid(scan->rel), column));
	Oid			output;
	bool		is_varlena;

	if (isnull)
		return NULL;
	if (type == TEXTOID)
		return TextDatumGetCString(value);
	getTypeOutputInfo(type, &output, &is_varlena);
	return OidOutputFunctionCall(output, value);
}

/*
 * True when a column of the present row has that text, which is no null.
 */
bool
du_scan_has_text(const TableScan *scan, const char *column, const char *text)
{
	const char *value = du_scan_text(scan, column);

	return value != NULL && strcmp(value, text) == 0;
}
