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

#include "extension/extension.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_rehearse);
PG_FUNCTION_INFO_V1(documentdb_upgrade_run_rehearse);

/* Rehearses as the arguments (target, scratch) ask. */
static Datum
rehearse(FunctionCallInfo fcinfo, bool *isnull)
{
	char	   *target = du_version_argument(fcinfo, 0);

	if (!PG_ARGISNULL(1) && PG_GETARG_BOOL(1))
		return du_rehearse_in_scratch(target, isnull);
	return du_rehearse(target, isnull);
}

/*
 * rehearse(target text, scratch boolean) returns rehearsals
 */
Datum
documentdb_upgrade_rehearse(PG_FUNCTION_ARGS)
{
	return rehearse(fcinfo, &fcinfo->isnull);
}

/*
 * run_rehearse(target text, scratch boolean)
 */
Datum
documentdb_upgrade_run_rehearse(PG_FUNCTION_ARGS)
{
	bool		isnull;

	(void) rehearse(fcinfo, &isnull);
	PG_RETURN_VOID();
}
