/*-------------------------------------------------------------------------
 *
 * conversion_review.c
 *	  The answer to a Kubernetes conversion review.
 *
 * An apiextensions.k8s.io/v1 ConversionReview comes in, one with a response goes
 * out: every object converted, in the order in which they came, or none and the
 * reason.  Whatever comes in, an answer goes out, because an API server that gets
 * none can neither read nor list its resources.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "admission/internal.h"

#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "base/base.h"

#define REVIEW_API_VERSION	"apiextensions.k8s.io/v1"
#define REVIEW_KIND			"ConversionReview"

static void
begin_answer(StringInfo buf, const char *uid)
{
	initStringInfo(buf);
	du_write_open(buf, NULL, '{');
	du_write_text(buf, "apiVersion", REVIEW_API_VERSION);
	du_write_text(buf, "kind", REVIEW_KIND);
	du_write_open(buf, "response", '{');
	du_write_text(buf, "uid", uid == NULL ? "" : uid);
}

/*
 * Why nothing has been converted.
 */
static char *
fail(const char *uid, const char *message, const char *reason, int code)
{
	StringInfoData buf;

	begin_answer(&buf, uid);
	du_write_open(&buf, "convertedObjects", '[');
	du_write_close(&buf, ']');
	du_write_open(&buf, "result", '{');
	du_write_text(&buf, "status", "Failure");
	du_write_text(&buf, "message", message);
	du_write_text(&buf, "reason", reason);
	du_write_int(&buf, "code", code);
	du_write_close(&buf, '}');
	du_write_close(&buf, '}');
	du_write_close(&buf, '}');
	return buf.data;
}

/*
 * Which object of a review is meant.
 */
static const char *
name_object(const JsonbContainer *object, int n)
{
	JsonbValue	value;
	const JsonbContainer *metadata = du_form_object(object, "metadata", &value);
	char	   *space = du_form_text(metadata, "namespace", &value);
	char	   *name = du_form_text(metadata, "name", &value);

	if (name == NULL)
		return psprintf("object %d", n + 1);
	return psprintf("object %d (%s%s%s)", n + 1, space == NULL ? "" : du_spec_shown(space),
					space == NULL ? "" : "/", du_spec_shown(name));
}

/*
 * A webhook converts within one group: API servers take nothing else.
 */
static bool
same_group(const char *a, const char *b)
{
	const char *slash = a == NULL ? NULL : strchr(a, '/');

	return slash != NULL && strncmp(a, b, slash - a + 1) == 0;
}

/*
 * Appends an object as one of that version; what is wrong, or NULL.  What it
 * takes is freed with the caller's context.
 */
static char *
convert_object(StringInfo buf, const JsonbContainer *object, const char *version)
{
	JsonbValue	value;
	JsonbValue *converted;
	Jsonb	   *jsonb;
	char	   *api_version = du_form_text(object, "apiVersion", &value);
	char	   *problem;

	if (object == NULL)
		return pstrdup("it is not an object");
	converted = du_conversion_run(object, version, &problem);
	if (converted == NULL)
		return problem;
	if (!same_group(api_version, version))
		return psprintf("a conversion review cannot change the group of \"%s\"", du_spec_shown(api_version));
	jsonb = JsonbValueToJsonb(converted);
	du_write_key(buf, NULL);
	(void) JsonbToCString(buf, &jsonb->root, VARSIZE(jsonb));
	return NULL;
}

/*
 * The answer to a review that says what it asks for.
 */
static char *
convert_objects(const char *uid, const char *version, const JsonbContainer *objects)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "conversion", ALLOCSET_DEFAULT_SIZES);
	StringInfoData buf;
	int			n = JsonContainerSize(objects);

	begin_answer(&buf, uid);
	du_write_open(&buf, "convertedObjects", '[');
	for (int i = 0; i < n; i++)
	{
		MemoryContext before = MemoryContextSwitchTo(context);
		JsonbValue *element = getIthJsonbValueFromContainer((JsonbContainer *) objects, i);
		const JsonbContainer *object = element->type == jbvBinary && JsonContainerIsObject(element->val.binary.data) ?
			element->val.binary.data : NULL;
		char	   *problem = convert_object(&buf, object, version);

		MemoryContextSwitchTo(before);
		if (problem != NULL)
			return fail(uid, psprintf("cannot convert %s to version \"%s\": %s", name_object(object, i),
									  du_spec_shown(version), problem), "BadRequest", 400);
		MemoryContextReset(context);
	}
	du_write_close(&buf, ']');
	du_write_open(&buf, "result", '{');
	du_write_text(&buf, "status", "Success");
	du_write_close(&buf, '}');
	du_write_close(&buf, '}');
	du_write_close(&buf, '}');
	return buf.data;
}

/*
 * The answer to a review, which may be NULL, as JSON text.
 */
char *
du_conversion_answer(const JsonbContainer *review)
{
	JsonbValue	value;
	JsonbValue	objects;
	char	   *api_version = du_form_text(review, "apiVersion", &value);
	char	   *kind = du_form_text(review, "kind", &value);
	const JsonbContainer *request = du_form_object(review, "request", &value);
	char	   *uid = du_form_text(request, "uid", &value);
	char	   *version = du_form_text(request, "desiredAPIVersion", &value);
	const char *problem = NULL;

	(void) du_form_object(request, "objects", &objects);
	if (review == NULL || !JsonContainerIsObject(review))
		problem = "it is not an object";
	else if (api_version == NULL || strcmp(api_version, REVIEW_API_VERSION) != 0)
		problem = "apiVersion: it must be \"" REVIEW_API_VERSION "\"";
	else if (kind == NULL || strcmp(kind, REVIEW_KIND) != 0)
		problem = "kind: it must be \"" REVIEW_KIND "\"";
	else if (request == NULL)
		problem = "request: it must be an object";
	else if (uid == NULL || uid[0] == '\0')
		problem = "request.uid: it must be a string that is not empty";
	else if (version == NULL)
		problem = "request.desiredAPIVersion: it must be a string";
	else if (objects.type != jbvBinary || !JsonContainerIsArray(objects.val.binary.data))
		problem = "request.objects: it must be an array";
	else if (du_version_find(version) < 0)
		problem = psprintf("request.desiredAPIVersion: version \"%s\" is not known", du_spec_shown(version));
	if (problem != NULL)
		return fail(uid, psprintf("this conversion review cannot be answered: %s", problem), "BadRequest", 400);
	return convert_objects(uid, version, objects.val.binary.data);
}

/*
 * The answer to a review that is larger than so many bytes.
 */
char *
du_conversion_too_large(const JsonbContainer *review, int limit)
{
	JsonbValue	value;

	return fail(du_form_text(du_form_object(review, "request", &value), "uid", &value),
				psprintf("this conversion review cannot be answered: it is larger than %d MB", limit / (1024 * 1024)),
				"RequestEntityTooLarge", 413);
}
