/*-------------------------------------------------------------------------
 *
 * report_content.c
 *	  What status and condition of the custom resource should say.
 *
 * Compared with what the resource says, so that only a difference is sent.
 * Texts are kept in the form in which they come back from the server, else
 * they would differ for ever.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "worker/net/net.h"
#include "worker/source/source.h"

#define LONGEST_MESSAGE		30000	/* the usual limit is 32768 */

/*
 * No wish yet, in the current memory context.
 */
DesiredReport *
du_content_create(void)
{
	DesiredReport *wish = palloc0(sizeof(DesiredReport));

	wish->context = AllocSetContextCreate(CurrentMemoryContext,
										  "documentdb_upgrade report content",
										  ALLOCSET_SMALL_SIZES);
	return wish;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static char *
clean_text(const char *text)
{
	return text == NULL ? NULL :
	du_json_copy_text(text, pg_mbcliplen(text, strlen(text), LONGEST_MESSAGE));
}

/*
 * Takes over a content, unless it is the same already.
 */
void
du_content_set(DesiredReport *wish, const ReportContent *content)
{
	MemoryContext fresh = AllocSetContextCreate(MemoryContextGetParent(wish->context),
												"documentdb_upgrade report content",
												ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(fresh);
	ReportContent clean;

	clean.schema_version = clean_text(content->schema_version);
	clean.status = clean_text(content->status);
	clean.reason = clean_text(content->reason);
	clean.message = clean_text(content->message);
	MemoryContextSwitchTo(caller);

	if (wish->serial > 0 &&
		same_text(clean.schema_version, wish->content.schema_version) &&
		same_text(clean.status, wish->content.status) &&
		same_text(clean.reason, wish->content.reason) &&
		same_text(clean.message, wish->content.message))
	{
		MemoryContextDelete(fresh);
		return;
	}
	MemoryContextDelete(wish->context);
	wish->context = fresh;
	wish->content = clean;
	wish->serial++;
}

/*
 * True when the resource shows another version as installed.  A version that
 * is not installed any more is left as it is: the operator owns the field.
 */
bool
du_content_wants_version(const DesiredReport *wish, const CustomResource *resource)
{
	const char *version = wish->content.schema_version;

	return version != NULL && !same_text(version, resource->status_schema_version);
}

/*
 * True when the resource's condition says something else, or was made for
 * another generation.
 */
bool
du_content_wants_condition(const DesiredReport *wish, const CustomResource *resource)
{
	const ReportContent *content = &wish->content;

	return wish->serial > 0 &&
		(!resource->has_condition ||
		 !same_text(content->status, resource->condition_status) ||
		 !same_text(content->reason, resource->condition_reason) ||
		 !same_text(content->message, resource->condition_message) ||
		 resource->generation != resource->condition_generation);
}

/*
 * The body that applies the condition, palloc'd.  The time of its last
 * transition stays while its status does.
 */
char *
du_content_build_condition(const DesiredReport *wish, const CustomResource *resource)
{
	ResourceCondition condition;
	bool		stays = resource->has_condition && resource->condition_since != NULL &&
	same_text(wish->content.status, resource->condition_status);

	condition.status = wish->content.status;
	condition.reason = wish->content.reason;
	condition.message = wish->content.message;
	condition.since = stays ? resource->condition_since :
		du_body_format_time(GetCurrentTimestamp());
	return du_body_build_condition(resource, &condition);
}
