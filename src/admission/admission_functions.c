/*-------------------------------------------------------------------------
 *
 * admission_functions.c
 *	  The SQL functions that judge custom resources.
 *
 * Functions of their arguments alone.  What is too large to be a resource is
 * refused by its size, before it is looked at; what nests too deeply, or is no
 * JSON, the server's own input function has refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "admission/internal.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/base.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_validate_spec);
PG_FUNCTION_INFO_V1(documentdb_upgrade_run_validate_spec);
PG_FUNCTION_INFO_V1(documentdb_upgrade_admission_review);
PG_FUNCTION_INFO_V1(documentdb_upgrade_run_admission_review);

/* Bytes of jsonb: an update brings two resources along. */
#define REVIEW_LIMIT	(2 * DU_RESOURCE_LIMIT)

/*
 * The form of argument n; NULL, with an error in the verdict, when it is not a
 * resource.  A null is one only to the caller.
 */
static ResourceForm *
resource_argument(FunctionCallInfo fcinfo, int n, const char *field, SpecVerdict *verdict)
{
	Jsonb	   *jsonb;

	if (toast_raw_datum_size(PG_GETARG_DATUM(n)) > DU_RESOURCE_LIMIT)
	{
		du_spec_error(verdict, field, "TooLong", "may not be more than %d bytes", DU_RESOURCE_LIMIT);
		return NULL;
	}
	jsonb = PG_GETARG_JSONB_P(n);
	if (!JB_ROOT_IS_OBJECT(jsonb))
	{
		FieldError *error = du_spec_error(verdict, field, "TypeInvalid", "must be an object");

		error->value.type = jbvBinary;
		error->value.val.binary.data = &jsonb->root;
		error->value.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
		return NULL;
	}
	return du_form_read(&jsonb->root);
}

static bool
argument_is_null(FunctionCallInfo fcinfo, int n)
{
	JsonbValue	value;
	Jsonb	   *jsonb;

	if (PG_ARGISNULL(n))
		return true;
	if (toast_raw_datum_size(PG_GETARG_DATUM(n)) > DU_RESOURCE_LIMIT)
		return false;
	jsonb = PG_GETARG_JSONB_P(n);
	return JB_ROOT_IS_SCALAR(jsonb) && JsonbExtractScalar(&jsonb->root, &value) && value.type == jbvNull;
}

/*
 * What is wrong with the resources in arguments 0 and 1.
 */
static SpecVerdict *
judge_arguments(FunctionCallInfo fcinfo)
{
	SpecVerdict *verdict = palloc0(sizeof(SpecVerdict));
	ResourceForm *resource = NULL;
	ResourceForm *old = NULL;

	if (argument_is_null(fcinfo, 0))
		du_spec_error(verdict, "", "Required", "there is no resource");
	else
		resource = resource_argument(fcinfo, 0, "", verdict);
	if (!argument_is_null(fcinfo, 1))
		old = resource_argument(fcinfo, 1, "oldObject", verdict);
	return verdict->errors == NIL ? du_spec_judge(resource, old) : verdict;
}

/*
 * validate_spec(new jsonb, old jsonb) returns table (field text, type text,
 * bad_value jsonb, detail text)
 */
Datum
documentdb_upgrade_validate_spec(PG_FUNCTION_ARGS)
{
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, judge_arguments(fcinfo)->errors)
	{
		FieldError *error = lfirst(lc);
		ResultRow	row = {0};

		du_row_add_text(&row, error->field);
		du_row_add_text(&row, error->type);
		if (error->value.type == jbvNull)
			du_row_add_null(&row);
		else
			du_row_add(&row, JsonbPGetDatum(JsonbValueToJsonb(&error->value)));
		du_row_add_text(&row, error->detail);
		du_row_put(fcinfo, &row);
	}
	return (Datum) 0;
}

/*
 * run_validate_spec(new jsonb, old jsonb, INOUT errors jsonb)
 */
Datum
documentdb_upgrade_run_validate_spec(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	du_write_open(&buf, NULL, '[');
	foreach(lc, judge_arguments(fcinfo)->errors)
	{
		FieldError *error = lfirst(lc);

		du_write_open(&buf, NULL, '{');
		du_write_text(&buf, "field", error->field);
		du_write_text(&buf, "type", error->type);
		if (error->value.type != jbvNull)
		{
			Jsonb	   *value = JsonbValueToJsonb(&error->value);

			du_write_key(&buf, "bad_value");
			(void) JsonbToCString(&buf, &value->root, VARSIZE(value));
		}
		du_write_text(&buf, "detail", error->detail);
		du_write_close(&buf, '}');
	}
	du_write_close(&buf, ']');
	return du_row_inout(fcinfo, buf.data);
}

/*
 * The answer to the review in argument 0, which may be null.
 */
static char *
answer_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		return du_admission_answer(NULL);
	if (toast_raw_datum_size(PG_GETARG_DATUM(0)) > REVIEW_LIMIT)
		return du_admission_too_large(&PG_GETARG_JSONB_P(0)->root, REVIEW_LIMIT);
	return du_admission_answer(&PG_GETARG_JSONB_P(0)->root);
}

/*
 * admission_review(review jsonb) returns jsonb
 */
Datum
documentdb_upgrade_admission_review(PG_FUNCTION_ARGS)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(answer_argument(fcinfo)));
}

/*
 * run_admission_review(review jsonb, INOUT response jsonb)
 */
Datum
documentdb_upgrade_run_admission_review(PG_FUNCTION_ARGS)
{
	return du_row_inout(fcinfo, answer_argument(fcinfo));
}
