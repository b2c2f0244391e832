/*-------------------------------------------------------------------------
 *
 * parity_functions.c
 *	  The SQL functions that give back what a parity run has found.
 *
 * Whose runs somebody may see depends on the role that calls, as who the
 * tables are read: that of SET ROLE, or of a SECURITY DEFINER function, and not
 * that of the session, which may serve many.  So the caller is taken here,
 * before the owner of this extension reads the tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "parity/internal.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/tuplestore.h"

#include "base/base.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_parity_checksums);
PG_FUNCTION_INFO_V1(documentdb_upgrade_parity_found);
PG_FUNCTION_INFO_V1(documentdb_upgrade_parity_counts);

/*
 * Gives back the rows of a query over run and reader, whose columns are those
 * of the function.
 */
static Datum
give_rows(FunctionCallInfo fcinfo, const char *sql)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ExecutionContext context;
	Oid			types[2] = {INT8OID, OIDOID};
	Datum		values[2];
	int			n;

	/* No run has the number 0. */
	values[0] = Int64GetDatum(PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0));
	values[1] = ObjectIdGetDatum(GetUserId());
	InitMaterializedSRF(fcinfo, 0);
	du_context_enter(&context);
	SPI_connect();
	n = du_query(sql, 2, types, values);
	for (int i = 0; i < n; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	du_context_leave(&context);
	return (Datum) 0;
}

/*
 * parity_checksums(run bigint) returns the rows of table_checksums()
 */
Datum
documentdb_upgrade_parity_checksums(PG_FUNCTION_ARGS)
{
	return give_rows(fcinfo, "SELECT * FROM documentdb_upgrade_internal.parity_read_checksums($1, $2)");
}

/*
 * parity_found(run bigint) returns the rows of compare_with()
 */
Datum
documentdb_upgrade_parity_found(PG_FUNCTION_ARGS)
{
	return give_rows(fcinfo, "SELECT * FROM documentdb_upgrade_internal.parity_read_differences($1, $2)");
}

/*
 * parity_counts(run bigint) returns the rows of row_counts()
 */
Datum
documentdb_upgrade_parity_counts(PG_FUNCTION_ARGS)
{
	return give_rows(fcinfo, "SELECT * FROM documentdb_upgrade_internal.parity_read_counts($1, $2)");
}
