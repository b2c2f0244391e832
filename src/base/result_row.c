/*-------------------------------------------------------------------------
 *
 * result_row.c
 *	  One row of a set that a function returns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* Adds the next column. */
void
du_row_add(ResultRow *row, Datum value)
{
	Assert(row->n < RESULT_COLUMNS);
	row->nulls[row->n] = false;
	row->values[row->n++] = value;
}

void
du_row_add_null(ResultRow *row)
{
	Assert(row->n < RESULT_COLUMNS);
	row->nulls[row->n] = true;
	row->values[row->n++] = (Datum) 0;
}

/* Adds a text, null for NULL. */
void
du_row_add_text(ResultRow *row, const char *value)
{
	if (value == NULL)
		du_row_add_null(row);
	else
		du_row_add(row, CStringGetTextDatum(value));
}

void
du_row_add_int(ResultRow *row, int value)
{
	du_row_add(row, Int32GetDatum(value));
}

/* Adds a point in time, null for 0. */
void
du_row_add_time(ResultRow *row, TimestampTz time)
{
	if (time == 0)
		du_row_add_null(row);
	else
		du_row_add(row, TimestampTzGetDatum(time));
}

/* Adds a list of strings as text[]. */
void
du_row_add_names(ResultRow *row, List *names)
{
	Datum	   *elements = palloc(Max(list_length(names), 1) * sizeof(Datum));
	ListCell   *lc;
	int			n = 0;

	foreach(lc, names)
		elements[n++] = CStringGetTextDatum(lfirst(lc));
	du_row_add(row, PointerGetDatum(construct_array(elements, n, TEXTOID, -1,
													false, TYPALIGN_INT)));
}

/*
 * Puts the row into the materialized result of a function.
 */
void
du_row_put(FunctionCallInfo fcinfo, ResultRow *row)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row->values, row->nulls);
}

/*
 * The row of a procedure with one INOUT argument, from the text of a jsonb.
 */
Datum
du_row_inout(FunctionCallInfo fcinfo, const char *json)
{
	TupleDesc	tupdesc;
	Datum		value = DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
	bool		isnull = false;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), &value, &isnull));
}
