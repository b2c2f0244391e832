/*-------------------------------------------------------------------------
 *
 * finalize_functions.c
 *	  The SQL functions and the procedure that commit an upgrade.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "extension/extension.h"
#include "guards/guards.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_finalize);
PG_FUNCTION_INFO_V1(documentdb_upgrade_finalize_to);
PG_FUNCTION_INFO_V1(documentdb_upgrade_run_finalize_to);
PG_FUNCTION_INFO_V1(documentdb_upgrade_finalize_detached);

/* The elements of a text[] argument, none for a null. */
static List *
names_argument(FunctionCallInfo fcinfo, int n)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	List	   *names = NIL;

	if (PG_ARGISNULL(n))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("name of a guard to skip must not be null")));
		names = lappend(names, TextDatumGetCString(elements[i]));
	}
	return names;
}

/*
 * The request that the arguments (target, expected_fingerprint, skip_guards,
 * one_transaction, from) make; with_from says whether the last two are there.
 * Who names both ends may name what cannot be ordered.
 */
static FinalizeRequest
request_from_arguments(FunctionCallInfo fcinfo, bool with_from)
{
	FinalizeRequest request = {0};

	request.actor = "function";
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("target version must not be null"),
				 errhint("Use documentdb_upgrade.finalize() to follow the binary version.")));
	if (with_from && !PG_ARGISNULL(4))
		request.from = text_to_cstring(PG_GETARG_TEXT_PP(4));
	request.target = request.from != NULL ? text_to_cstring(PG_GETARG_TEXT_PP(0)) :
		du_version_argument(fcinfo, 0);
	if (!PG_ARGISNULL(1))
		request.expected_fingerprint = text_to_cstring(PG_GETARG_TEXT_PP(1));
	request.skip_guards = names_argument(fcinfo, 2);
	du_guards_check_names(request.skip_guards);
	return request;
}

static Datum
finalize(FunctionCallInfo fcinfo)
{
	FinalizeRequest request = {0};
	Datum		row;

	request.actor = "function";
	row = du_finalize(&request, &fcinfo->isnull);
	return row;
}

/*
 * finalize(extension text) returns history
 */
Datum
documentdb_upgrade_finalize(PG_FUNCTION_ARGS)
{
	return du_main_call(finalize, fcinfo, 0);
}

/*
 * What finalize_to() and run_finalize_to() do; in the objects of 1.0.0 the last
 * arguments are not there.
 */
static Datum
finalize_to(FunctionCallInfo fcinfo)
{
	FinalizeRequest request = request_from_arguments(fcinfo, PG_NARGS() > 4);
	bool		stepwise = PG_NARGS() > 3 && !PG_ARGISNULL(3) && !PG_GETARG_BOOL(3);
	Datum		row;

	if (!stepwise)
	{
		row = du_finalize(&request, &fcinfo->isnull);
		return row;
	}
	du_stage_check_transaction("finalize");
	return du_finalize_stepwise(&request);
}

/*
 * finalize_to(target text, expected_fingerprint text, skip_guards text[],
 * one_transaction boolean, "from" text, extension text) returns history
 */
Datum
documentdb_upgrade_finalize_to(PG_FUNCTION_ARGS)
{
	return du_main_call(finalize_to, fcinfo, 5);
}

/*
 * run_finalize_to(target text, expected_fingerprint text, skip_guards text[],
 * one_transaction boolean, "from" text, extension text)
 */
Datum
documentdb_upgrade_run_finalize_to(PG_FUNCTION_ARGS)
{
	(void) du_main_call(finalize_to, fcinfo, 5);
	PG_RETURN_VOID();
}

static Datum
finalize_detached(FunctionCallInfo fcinfo)
{
	FinalizeRequest request = request_from_arguments(fcinfo, false);
	AttemptOrder order;
	AttemptOutcome outcome;
	Datum		row;

	du_stage_check_transaction("finalize");
	du_finalize_judge(&request);
	du_attempt_describe(&request, &order);
	order.alter_first = true;
	row = du_attempt_detach(&order, &outcome);
	if (outcome.result == ATTEMPT_FAILED)
		ereport(ERROR,
				(errcode(outcome.sqlstate),
				 errmsg_internal("%s", outcome.message),
				 outcome.detail[0] ? errdetail_internal("%s", outcome.detail) : 0,
				 outcome.hint[0] ? errhint("%s", outcome.hint) : 0));
	PG_RETURN_DATUM(row);
}

/*
 * finalize_detached(target text, expected_fingerprint text, skip_guards text[],
 * extension text) returns history
 */
Datum
documentdb_upgrade_finalize_detached(PG_FUNCTION_ARGS)
{
	return du_main_call(finalize_detached, fcinfo, 3);
}
