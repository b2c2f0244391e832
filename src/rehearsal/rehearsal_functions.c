/*-------------------------------------------------------------------------
 *
 * rehearsal_functions.c
 *	  The SQL function that rehearses an upgrade.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "fmgr.h"

#include "base/base.h"
#include "extension/extension.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_rehearse);
PG_FUNCTION_INFO_V1(documentdb_upgrade_run_rehearse);

/* Rehearses as the arguments (target, scratch) ask. */
static Datum
rehearse(FunctionCallInfo fcinfo)
{
	char	   *target = du_version_argument(fcinfo, 0);
	Datum		row;

	if (!PG_ARGISNULL(1) && PG_GETARG_BOOL(1))
		row = du_rehearse_in_scratch(target, &fcinfo->isnull);
	else
		row = du_rehearse(target, &fcinfo->isnull);
	return row;
}

/*
 * rehearse(target text, scratch boolean, extension text) returns rehearsals
 */
Datum
documentdb_upgrade_rehearse(PG_FUNCTION_ARGS)
{
	return du_main_call(rehearse, fcinfo, 2);
}

/*
 * run_rehearse(target text, scratch boolean, extension text)
 */
Datum
documentdb_upgrade_run_rehearse(PG_FUNCTION_ARGS)
{
	(void) du_main_call(rehearse, fcinfo, 2);
	PG_RETURN_VOID();
}
