/*-------------------------------------------------------------------------
 *
 * admission_answer.c
 *	  The answer to a Kubernetes admission review.
 *
 * An admission.k8s.io/v1 AdmissionReview comes in, one with a response goes
 * out, worded as an API server words its own refusals.  Whatever comes in, an
 * answer goes out: who asks is waiting with somebody's request in hand.  What
 * is no review is denied and told so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "admission/internal.h"

#include "lib/stringinfo.h"
#include "utils/json.h"

#include "base/base.h"

/* What a request asks for. */
typedef struct AdmissionRequest
{
	char	   *uid;
	char	   *operation;
	char	   *subresource;
	char	   *group;
	char	   *kind;
	const JsonbContainer *object;
	const JsonbContainer *old_object;
	const char *problem;		/* why it cannot be judged, or NULL */
	const char *field;			/* where */
} AdmissionRequest;

static void
note_problem(AdmissionRequest *request, const char *field, const char *problem)
{
	if (request->problem != NULL)
		return;
	request->problem = problem;
	request->field = field;
}

/*
 * The request of a review, which may be NULL.
 */
static void
read_request(const JsonbContainer *review, AdmissionRequest *request)
{
	JsonbValue	value;
	char	   *version = du_form_text(review, "apiVersion", &value);
	char	   *kind = du_form_text(review, "kind", &value);
	const JsonbContainer *body = du_form_object(review, "request", &value);
	const JsonbContainer *group_kind = du_form_object(body, "kind", &value);

	request->uid = du_form_text(body, "uid", &value);
	request->operation = du_form_text(body, "operation", &value);
	request->subresource = du_form_text(body, "subResource", &value);
	request->group = du_form_text(group_kind, "group", &value);
	request->kind = du_form_text(group_kind, "kind", &value);
	request->object = du_form_object(body, "object", &value);
	request->old_object = du_form_object(body, "oldObject", &value);

	if (review == NULL || !JsonContainerIsObject(review))
		note_problem(request, "", "it is not an object");
	if (version == NULL || strcmp(version, "admission.k8s.io/v1") != 0)
		note_problem(request, "apiVersion", "it must be \"admission.k8s.io/v1\"");
	if (kind == NULL || strcmp(kind, "AdmissionReview") != 0)
		note_problem(request, "kind", "it must be \"AdmissionReview\"");
	if (body == NULL)
		note_problem(request, "request", "it must be an object");
	if (request->uid == NULL || request->uid[0] == '\0')
		note_problem(request, "request.uid", "it must be a string that is not empty");
	if (request->operation == NULL)
		note_problem(request, "request.operation", "it must be a string");
	if (request->kind == NULL)
		note_problem(request, "request.kind.kind", "it must be a string");
}

static bool
is(const char *word, const char *expected)
{
	return word != NULL && strcmp(word, expected) == 0;
}

/*
 * The sentence in which Kubernetes puts an error, without its field.
 */
static char *
error_body(const FieldError *error)
{
	JsonbValue	value = error->value;
	StringInfoData buf;

	initStringInfo(&buf);
	if (is(error->type, "Forbidden"))
		appendStringInfo(&buf, "Forbidden: %s", error->detail);
	else if (is(error->type, "Required"))
		appendStringInfo(&buf, "Required value: %s", error->detail);
	else if (is(error->type, "TooLong"))
		appendStringInfo(&buf, "Too long: %s", error->detail);
	else
	{
		appendStringInfoString(&buf, "Invalid value: ");
		if (value.type == jbvString)
			escape_json(&buf, du_spec_shown(pnstrdup(value.val.string.val, value.val.string.len)));
		else if (value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data))
			appendStringInfoString(&buf, "an object");
		else if (value.type == jbvBinary)
			appendStringInfoString(&buf, "an array");
		else
		{
			Jsonb	   *jsonb = JsonbValueToJsonb(&value);

			appendStringInfoString(&buf, du_spec_shown(JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb))));
		}
		appendStringInfo(&buf, ": %s", error->detail);
	}
	return buf.data;
}

static void
begin_answer(StringInfo buf, const char *uid, bool allowed)
{
	initStringInfo(buf);
	du_write_open(buf, NULL, '{');
	du_write_text(buf, "apiVersion", "admission.k8s.io/v1");
	du_write_text(buf, "kind", "AdmissionReview");
	du_write_open(buf, "response", '{');
	du_write_text(buf, "uid", uid == NULL ? "" : uid);
	du_write_bool(buf, "allowed", allowed);
}

static char *
end_answer(StringInfo buf, const List *warnings)
{
	if (warnings != NIL)
		du_write_texts(buf, "warnings", warnings);
	du_write_close(buf, '}');
	du_write_close(buf, '}');
	return buf->data;
}

static void
begin_status(StringInfo buf, const char *message, const char *reason, int code)
{
	du_write_open(buf, "status", '{');
	du_write_text(buf, "status", "Failure");
	du_write_text(buf, "message", message);
	du_write_text(buf, "reason", reason);
	du_write_int(buf, "code", code);
}

/*
 * Denies what cannot be judged.
 */
static char *
deny_review(const AdmissionRequest *request)
{
	StringInfoData buf;
	char	   *message;

	message = psprintf("this admission review cannot be judged: %s%s%s", request->field,
					   request->field[0] == '\0' ? "" : ": ", request->problem);
	begin_answer(&buf, request->uid, false);
	begin_status(&buf, message, "BadRequest", 400);
	du_write_close(&buf, '}');
	return end_answer(&buf, NIL);
}

static char *
allow(const AdmissionRequest *request, const List *warnings)
{
	StringInfoData buf;

	begin_answer(&buf, request->uid, true);
	return end_answer(&buf, warnings);
}

/*
 * Denies a resource with every error of its fields.
 */
static char *
deny_resource(const AdmissionRequest *request, const char *name, const SpecVerdict *verdict)
{
	StringInfoData buf;
	StringInfoData message;
	bool		several = list_length(verdict->errors) > 1;
	ListCell   *lc;

	initStringInfo(&message);
	appendStringInfo(&message, "%s.%s \"%s\" is invalid: %s", DU_RESOURCE_KIND, request->group,
					 name, several ? "[" : "");
	foreach(lc, verdict->errors)
	{
		FieldError *error = lfirst(lc);

		appendStringInfo(&message, "%s%s: %s", foreach_current_index(lc) > 0 ? ", " : "",
						 error->field, error_body(error));
	}
	if (several)
		appendStringInfoChar(&message, ']');

	begin_answer(&buf, request->uid, false);
	begin_status(&buf, message.data, "Invalid", 422);
	du_write_open(&buf, "details", '{');
	du_write_text(&buf, "name", name);
	du_write_text(&buf, "group", request->group);
	du_write_text(&buf, "kind", DU_RESOURCE_KIND);
	du_write_open(&buf, "causes", '[');
	foreach(lc, verdict->errors)
	{
		FieldError *error = lfirst(lc);

		du_write_open(&buf, NULL, '{');
		du_write_text(&buf, "reason", psprintf("FieldValue%s", error->type));
		du_write_text(&buf, "message", error_body(error));
		du_write_text(&buf, "field", error->field);
		du_write_close(&buf, '}');
	}
	du_write_close(&buf, ']');
	du_write_close(&buf, '}');
	du_write_close(&buf, '}');
	return end_answer(&buf, verdict->warnings);
}

static char *
judge_request(const AdmissionRequest *request)
{
	ResourceForm *resource = du_form_read(request->object);
	ResourceForm *old = is(request->operation, "UPDATE") ? du_form_read(request->old_object) : NULL;
	SpecVerdict *verdict = du_spec_judge(resource, old);

	if (verdict->errors == NIL)
		return allow(request, verdict->warnings);
	return deny_resource(request, resource->name == NULL ? "" : du_spec_shown(resource->name), verdict);
}

/*
 * The answer, as JSON text.
 */
char *
du_admission_answer(const JsonbContainer *review)
{
	AdmissionRequest request = {0};
	bool		update;

	read_request(review, &request);
	update = is(request.operation, "UPDATE");
	if (request.problem != NULL)
		return deny_review(&request);
	if (is(request.operation, "DELETE") || is(request.operation, "CONNECT"))
		return allow(&request, NIL);
	if (!update && !is(request.operation, "CREATE"))
	{
		note_problem(&request, "request.operation", "it must be CREATE, UPDATE, DELETE or CONNECT");
		return deny_review(&request);
	}

	/* The status is what the operator and we report; it asks for nothing. */
	if (request.subresource != NULL && request.subresource[0] != '\0')
		return allow(&request, NIL);
	if (!du_version_has_group(request.group) || !is(request.kind, DU_RESOURCE_KIND))
		return allow(&request, list_make1("this webhook knows " DU_RESOURCE_KIND " of documentdb.io and db.microsoft.com only and has not looked at this resource"));
	if (request.object == NULL)
		note_problem(&request, "request.object", "it must be an object");
	if (update && request.old_object == NULL)
		note_problem(&request, "request.oldObject", "it must be an object");
	return request.problem != NULL ? deny_review(&request) : judge_request(&request);
}

/*
 * The answer to a review that is larger than so many bytes.
 */
char *
du_admission_too_large(const JsonbContainer *review, int limit)
{
	AdmissionRequest request = {0};
	StringInfoData buf;

	read_request(review, &request);
	begin_answer(&buf, request.uid, false);
	begin_status(&buf, psprintf("this admission review cannot be judged: it is larger than %d MB", limit / (1024 * 1024)),
				 "RequestEntityTooLarge", 413);
	du_write_close(&buf, '}');
	return end_answer(&buf, NIL);
}
