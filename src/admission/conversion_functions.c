/*-------------------------------------------------------------------------
 *
 * conversion_functions.c
 *	  The SQL functions that convert custom resources.
 *
 * Functions of their arguments alone.  A single resource that cannot be
 * converted is an error; a review gets its answer, whatever it is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "admission/internal.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/base.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_convert_resource);
PG_FUNCTION_INFO_V1(documentdb_upgrade_run_convert_resource);
PG_FUNCTION_INFO_V1(documentdb_upgrade_conversion_review);
PG_FUNCTION_INFO_V1(documentdb_upgrade_run_conversion_review);

/* A list of every resource comes as one review. */
#define CONVERSION_LIMIT	(64 * 1024 * 1024)

/*
 * The resource in argument 0 as one of the version in argument 1.
 */
static Jsonb *
convert_argument(FunctionCallInfo fcinfo)
{
	Jsonb	   *resource;
	JsonbValue *converted = NULL;
	char	   *problem;

	if (toast_raw_datum_size(PG_GETARG_DATUM(0)) > DU_RESOURCE_LIMIT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot convert a resource of more than %d bytes", DU_RESOURCE_LIMIT)));
	resource = PG_GETARG_JSONB_P(0);
	if (JB_ROOT_IS_OBJECT(resource))
		converted = du_conversion_run(&resource->root, text_to_cstring(PG_GETARG_TEXT_PP(1)), &problem);
	else
		problem = pstrdup("it is not an object");
	if (converted == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot convert this resource: %s", problem),
				 errhint("Known versions are %s.", du_version_list())));
	return JsonbValueToJsonb(converted);
}

/*
 * convert_resource(resource jsonb, to_version text) returns jsonb
 */
Datum
documentdb_upgrade_convert_resource(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(convert_argument(fcinfo));
}

/*
 * run_convert_resource(resource jsonb, to_version text, INOUT converted jsonb)
 */
Datum
documentdb_upgrade_run_convert_resource(PG_FUNCTION_ARGS)
{
	Jsonb	   *converted;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return du_row_inout(fcinfo, "null");
	converted = convert_argument(fcinfo);
	return du_row_inout(fcinfo, JsonbToCString(NULL, &converted->root, VARSIZE(converted)));
}

/*
 * The answer to the review in argument 0, which may be null.
 */
static char *
answer_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		return du_conversion_answer(NULL);
	if (toast_raw_datum_size(PG_GETARG_DATUM(0)) > CONVERSION_LIMIT)
		return du_conversion_too_large(&PG_GETARG_JSONB_P(0)->root, CONVERSION_LIMIT);
	return du_conversion_answer(&PG_GETARG_JSONB_P(0)->root);
}

/*
 * conversion_review(review jsonb) returns jsonb
 */
Datum
documentdb_upgrade_conversion_review(PG_FUNCTION_ARGS)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(answer_argument(fcinfo)));
}

/*
 * run_conversion_review(review jsonb, INOUT response jsonb)
 */
Datum
documentdb_upgrade_run_conversion_review(PG_FUNCTION_ARGS)
{
	return du_row_inout(fcinfo, answer_argument(fcinfo));
}
