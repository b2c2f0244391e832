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
#include "nodes/value.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "extension/extension.h"
#include "guards/guards.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_finalize);
PG_FUNCTION_INFO_V1(documentdb_upgrade_finalize_to);
PG_FUNCTION_INFO_V1(documentdb_upgrade_run_finalize_to);
PG_FUNCTION_INFO_V1(documentdb_upgrade_finalize_from);
PG_FUNCTION_INFO_V1(documentdb_upgrade_run_finalize_from);
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
 * The request that the arguments (target, expected_fingerprint, skip_guards)
 * make.
 */
static FinalizeRequest
request_from_arguments(FunctionCallInfo fcinfo)
{
	FinalizeRequest request = {0};

	request.actor = "function";
	request.target = du_version_argument(fcinfo, 0);
	if (request.target == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("target version must not be null"),
				 errhint("Use documentdb_upgrade.finalize() to follow the binary version.")));
	if (!PG_ARGISNULL(1))
		request.expected_fingerprint = text_to_cstring(PG_GETARG_TEXT_PP(1));
	request.skip_guards = names_argument(fcinfo, 2);
	du_guards_check_names(request.skip_guards);
	return request;
}

/*
 * The request that the arguments (from_version, target, expected_fingerprint,
 * skip_guards) make.  Who names both ends may name what cannot be ordered.
 */
static FinalizeRequest
request_from_both_ends(FunctionCallInfo fcinfo)
{
	FinalizeRequest request = {0};

	request.actor = "function";
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("installed version and target version must not be null"),
				 errhint("Use documentdb_upgrade.finalize_to() to name the target alone.")));
	request.from = text_to_cstring(PG_GETARG_TEXT_PP(0));
	request.target = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
		request.expected_fingerprint = text_to_cstring(PG_GETARG_TEXT_PP(2));
	request.skip_guards = names_argument(fcinfo, 3);
	du_guards_check_names(request.skip_guards);
	return request;
}

/*
 * finalize() returns history
 */
Datum
documentdb_upgrade_finalize(PG_FUNCTION_ARGS)
{
	FinalizeRequest request = {0};
	Datum		row;

	request.actor = "function";
	row = du_finalize(&request, &fcinfo->isnull);
	return row;
}

/*
 * finalize_to(target text, expected_fingerprint text, skip_guards text[])
 * returns history
 */
Datum
documentdb_upgrade_finalize_to(PG_FUNCTION_ARGS)
{
	FinalizeRequest request = request_from_arguments(fcinfo);

	return du_finalize(&request, &fcinfo->isnull);
}

/*
 * run_finalize_to(target text, expected_fingerprint text, skip_guards text[])
 */
Datum
documentdb_upgrade_run_finalize_to(PG_FUNCTION_ARGS)
{
	FinalizeRequest request = request_from_arguments(fcinfo);
	bool		isnull;

	(void) du_finalize(&request, &isnull);
	PG_RETURN_VOID();
}

/*
 * finalize_from(from_version text, target text, expected_fingerprint text,
 * skip_guards text[]) returns history
 */
Datum
documentdb_upgrade_finalize_from(PG_FUNCTION_ARGS)
{
	FinalizeRequest request = request_from_both_ends(fcinfo);

	return du_finalize(&request, &fcinfo->isnull);
}

/*
 * run_finalize_from(from_version text, target text, expected_fingerprint text,
 * skip_guards text[])
 */
Datum
documentdb_upgrade_run_finalize_from(PG_FUNCTION_ARGS)
{
	FinalizeRequest request = request_from_both_ends(fcinfo);
	bool		isnull;

	(void) du_finalize(&request, &isnull);
	PG_RETURN_VOID();
}

/* The order for a process that does what a request asks. */
static AttemptOrder
order_of(const FinalizeRequest *request)
{
	AttemptOrder order;
	List	   *names = NIL;
	ListCell   *lc;
	StringInfoData skipped;

	initStringInfo(&skipped);
	foreach(lc, request->skip_guards)
	{
		if (list_member(names, makeString(lfirst(lc))))
			continue;
		names = lappend(names, makeString(lfirst(lc)));
		appendStringInfo(&skipped, "%s%s", skipped.len > 0 ? "," : "", (char *) lfirst(lc));
	}
	memset(&order, 0, sizeof(AttemptOrder));
	if (strlen(request->target) >= sizeof(order.target) || skipped.len >= (int) sizeof(order.skip_guards))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("target version or list of guards is too long")));

	strlcpy(order.actor, request->actor, sizeof(order.actor));
	strlcpy(order.role_name, GetUserNameFromId(GetSessionUserId(), false), sizeof(order.role_name));
	strlcpy(order.extension, du_guc_extension, sizeof(order.extension));
	strlcpy(order.target, request->target, sizeof(order.target));
	strlcpy(order.skip_guards, skipped.data, sizeof(order.skip_guards));
	order.caller = GetUserId();
	order.alter_first = true;

	/* What is longer than any fingerprint must not become one. */
	if (request->expected_fingerprint != NULL)
		strlcpy(order.fingerprint, strlen(request->expected_fingerprint) < sizeof(order.fingerprint) &&
				request->expected_fingerprint[0] != '\0' ? request->expected_fingerprint : "none",
				sizeof(order.fingerprint));
	return order;
}

/*
 * finalize_detached(target text, expected_fingerprint text, skip_guards text[])
 * returns history
 */
Datum
documentdb_upgrade_finalize_detached(PG_FUNCTION_ARGS)
{
	FinalizeRequest request = request_from_arguments(fcinfo);
	AttemptOrder order = order_of(&request);
	AttemptOutcome outcome;
	Datum		row;

	du_stage_check_transaction("finalize");
	row = du_attempt_detach(&order, &outcome);
	if (outcome.result == ATTEMPT_FAILED)
		ereport(ERROR,
				(errcode(outcome.sqlstate),
				 errmsg_internal("%s", outcome.message),
				 outcome.detail[0] ? errdetail_internal("%s", outcome.detail) : 0,
				 outcome.hint[0] ? errhint("%s", outcome.hint) : 0));
	PG_RETURN_DATUM(row);
}
