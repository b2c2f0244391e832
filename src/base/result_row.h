/*-------------------------------------------------------------------------
 *
 * result_row.h
 *	  One row of a set that a function returns.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_RESULT_ROW_H
#define DU_RESULT_ROW_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "nodes/pg_list.h"

#define RESULT_COLUMNS 24

typedef struct ResultRow
{
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS];
	int			n;
} ResultRow;

extern void du_row_add(ResultRow *row, Datum value);
extern void du_row_add_null(ResultRow *row);
extern void du_row_add_text(ResultRow *row, const char *value);
extern void du_row_add_int(ResultRow *row, int value);
extern void du_row_add_time(ResultRow *row, TimestampTz time);
extern void du_row_add_names(ResultRow *row, List *names);
extern Datum du_row_inout(FunctionCallInfo fcinfo, const char *json);
extern void du_row_put(FunctionCallInfo fcinfo, ResultRow *row);

#endif							/* DU_RESULT_ROW_H */
