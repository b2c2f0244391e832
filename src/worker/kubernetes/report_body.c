/*-------------------------------------------------------------------------
 *
 * report_body.c
 *	  Bodies of the requests that report about a custom resource, and what
 *	  their answers say.
 *
 * Bodies are written directly, without a tree.  Texts must be ones that
 * du_json_copy_text() has made fit for JSON.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include "lib/stringinfo.h"
#include "pgtime.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "worker/net/net.h"
#include "worker/source/source.h"

#define LONGEST_NAME		253
#define DEFAULT_VERSION		"documentdb.io/preview"
#define DEFAULT_KIND		"DocumentDB"

/* A member of an object, with a comma unless it is the first. */
static void
add_text(StringInfo json, const char *name, const char *text)
{
	if (json->len > 0 && json->data[json->len - 1] != '{')
		appendStringInfoChar(json, ',');
	escape_json(json, name);
	appendStringInfoChar(json, ':');
	escape_json(json, text);
}

/* What kind of object the resource is. */
static void
add_kind(StringInfo json, const CustomResource *resource)
{
	add_text(json, "apiVersion", resource->api_version ? resource->api_version : DEFAULT_VERSION);
	add_text(json, "kind", resource->kind ? resource->kind : DEFAULT_KIND);
}

/*
 * A merge patch of the installed version alone, valid for this version of the
 * resource only.
 */
char *
du_body_build_status(const CustomResource *resource, const char *schema_version)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"metadata\":{");
	add_text(&json, "resourceVersion", resource->resource_version);
	appendStringInfoString(&json, "},\"status\":{");
	add_text(&json, "schemaVersion", schema_version);
	appendStringInfoString(&json, "}}");
	return json.data;
}

/*
 * The condition alone, to be applied.
 */
char *
du_body_build_condition(const CustomResource *resource, const ResourceCondition *condition)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	add_kind(&json, resource);
	appendStringInfoString(&json, ",\"metadata\":{");
	add_text(&json, "name", resource->name);
	add_text(&json, "namespace", resource->namespace_name);
	appendStringInfoString(&json, "},\"status\":{\"conditions\":[{");
	add_text(&json, "type", CONDITION_TYPE);
	add_text(&json, "status", condition->status);
	add_text(&json, "reason", condition->reason);
	add_text(&json, "message", condition->message);
	add_text(&json, "lastTransitionTime", condition->since);
	appendStringInfo(&json, ",\"observedGeneration\":" INT64_FORMAT "}]}}",
					 resource->generation);
	return json.data;
}

/*
 * A new Event, in the resource's own namespace.
 */
char *
du_body_build_event(const CustomResource *resource, const ResourceEvent *event,
					   const char *reporter)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{");
	add_text(&json, "name", event->name);
	add_text(&json, "namespace", resource->namespace_name);
	appendStringInfoString(&json, "},\"involvedObject\":{");
	add_kind(&json, resource);
	add_text(&json, "name", resource->name);
	add_text(&json, "namespace", resource->namespace_name);
	add_text(&json, "uid", resource->uid);
	add_text(&json, "resourceVersion", resource->resource_version);
	appendStringInfoString(&json, "},\"source\":{");
	add_text(&json, "component", REPORTER_NAME);
	appendStringInfoChar(&json, '}');
	add_text(&json, "reportingComponent", REPORTER_NAME);
	add_text(&json, "reportingInstance", reporter);
	add_text(&json, "type", event->type);
	add_text(&json, "reason", event->reason);
	add_text(&json, "message", event->message);
	add_text(&json, "firstTimestamp", event->first_time);
	add_text(&json, "lastTimestamp", event->last_time);
	appendStringInfo(&json, ",\"count\":%d}", event->count);
	return json.data;
}

/*
 * A merge patch of an Event that has happened again.  The answer tells how
 * often it was counted, so that no right to read Events is needed.
 */
char *
du_body_build_event_time(const ResourceEvent *event)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	add_text(&json, "lastTimestamp", event->last_time);
	appendStringInfoChar(&json, '}');
	return json.data;
}

/*
 * A merge patch of how often an Event has happened, valid for this version of
 * the Event only.
 */
char *
du_body_build_event_count(int count, const char *resource_version)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"metadata\":{");
	add_text(&json, "resourceVersion", resource_version);
	appendStringInfo(&json, "},\"count\":%d}", count);
	return json.data;
}

/*
 * A time as Kubernetes writes it: RFC 3339, in UTC, whole seconds.
 */
char *
du_body_format_time(TimestampTz time)
{
	pg_time_t	seconds = timestamptz_to_time_t(time);
	char		formatted[64];

	pg_strftime(formatted, sizeof(formatted), "%Y-%m-%dT%H:%M:%SZ", pg_gmtime(&seconds));
	return pstrdup(formatted);
}

static void *
read_ownership(const cJSON *document, void *arg, const char **reason)
{
	static bool owned = true;
	const cJSON *managers = du_json_member(du_json_member(document, "metadata"), "managedFields");
	const cJSON *entry;

	cJSON_ArrayForEach(entry, managers)
	{
		const cJSON *manager = du_json_member(entry, "manager");
		const cJSON *fields = du_json_member(du_json_member(entry, "fieldsV1"), "f:status");

		fields = du_json_member(fields, "f:conditions");
		if (cJSON_IsString(manager) && strcmp(manager->valuestring, (const char *) arg) == 0 &&
			du_json_member(fields, "k:{\"type\":\"" CONDITION_TYPE "\"}") != NULL)
			return &owned;
	}
	return NULL;
}

/*
 * True when a resource that the server has sent shows our condition beside at
 * least so many of others, and keeps it by its type: it must belong to us, as
 * that field manager, alone.
 */
bool
du_body_shows_condition(const char *json, size_t length, const char *manager, int others)
{
	const char *reason;
	const CustomResource *shown = du_resource_parse(json, length, &reason);

	return shown != NULL && shown->has_condition && shown->other_conditions >= others &&
		du_json_read(json, length, read_ownership, unconstify(char *, manager), &reason) != NULL;
}

static void *
read_count(const cJSON *document, void *arg, const char **reason)
{
	int		   *count = palloc(sizeof(int));

	*count = (int) Min(du_json_number(document, "count", 0, reason), PG_INT32_MAX - 1);
	*((const char **) arg) = du_json_text(du_json_object(document, "metadata", reason), "resourceVersion",
										  LONGEST_NAME, false, reason);
	return count;
}

/*
 * How often an Event was counted, and its version; -1 when the text is none.
 */
int
du_body_parse_count(const char *json, size_t length, const char **resource_version)
{
	const char *reason;
	int		   *count = du_json_read(json, length, read_count, resource_version, &reason);

	return count == NULL || *resource_version == NULL ? -1 : *count;
}
