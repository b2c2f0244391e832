/*-------------------------------------------------------------------------
 *
 * custom_resource.c
 *	  The operator's custom resource, read from JSON.
 *
 * Fields that are not known are ignored, so every shape that the operator has
 * shipped can be read; a known field of the wrong type makes the whole text
 * unusable, because acting on half of a resource is worse than waiting.  What
 * is kept is copied and bounded.  Where the text comes from is left to
 * others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/source/source.h"

#include "extension/extension.h"
#include "worker/net/net.h"

#define RESOURCE_KIND		"DocumentDB"
#define LONGEST_NAME		253
#define LONGEST_VERSION		255
#define LONGEST_REFERENCE	1024
#define LONGEST_HOLD		1024
#define LONGEST_TEXT		32768	/* of a condition's message */
#define LONGEST_MESSAGE		512 /* of the server's own */

/*
 * The binary version that a spec names, with dots, or NULL.  What stands in its
 * place and is none is given as it is written.  Releases of the operator have kept
 * the image in three places; the newest that holds one wins.
 */
static char *
get_spec_binary(const cJSON *spec, const char **reason)
{
	char	   *version = du_json_text(spec, "documentDBVersion", LONGEST_VERSION, true, reason);
	const char *images[] = {
		du_json_text(du_json_object(spec, "image", reason), "documentDB", LONGEST_REFERENCE, false, reason),
		du_json_text(du_json_object(spec, "advanced", reason), "documentDBImage", LONGEST_REFERENCE, false, reason),
		du_json_text(spec, "documentDBImage", LONGEST_REFERENCE, false, reason)
	};
	const char *image = NULL;
	SpecImage	told;

	if (*reason != NULL)
		return NULL;
	for (int i = 0; i < lengthof(images) && image == NULL; i++)
		if (images[i] != NULL && images[i][0] != '\0')
			image = images[i];
	du_image_resolve(image, version, &told);
	return told.version != NULL ? told.version : told.unread;
}

static void
read_metadata(CustomResource *resource, const cJSON *metadata, const char **reason)
{
	const cJSON *annotations = du_json_object(metadata, "annotations", reason);

	resource->name = du_json_text(metadata, "name", LONGEST_NAME, false, reason);
	resource->namespace_name = du_json_text(metadata, "namespace", LONGEST_NAME, false, reason);
	resource->uid = du_json_text(metadata, "uid", LONGEST_NAME, false, reason);
	resource->resource_version = du_json_text(metadata, "resourceVersion", LONGEST_NAME, false, reason);
	resource->generation = du_json_number(metadata, "generation", 0, reason);
	resource->being_deleted = du_json_member(metadata, "deletionTimestamp") != NULL;
	resource->hold = du_json_text(annotations, HOLD_ANNOTATION, LONGEST_HOLD, true, reason);
}

/*
 * True when spec.clusterReplication asks for high availability: the operator
 * then gives the primary region three instances, whatever instancesPerNode says.
 * Where there is one region alone it looks at neither.
 */
static bool
is_highly_available(const cJSON *spec, const char **reason)
{
	const cJSON *replication = du_json_object(spec, "clusterReplication", reason);
	bool		asked = du_json_bool(replication, "highAvailability", reason);

	return asked && cJSON_GetArraySize(du_json_member(replication, "clusterList")) > 1;
}

static void
read_spec(CustomResource *resource, const cJSON *spec, const char **reason)
{
	int64		instances = du_json_number(spec, "instancesPerNode", -1, reason);

	resource->schema_version = du_json_text(spec, "schemaVersion", LONGEST_VERSION, false, reason);
	if (resource->schema_version == NULL)
		resource->schema_version = "";
	resource->spec_binary = get_spec_binary(spec, reason);
	resource->instances_per_node = (int) Min(instances, PG_INT32_MAX);
	resource->highly_available = is_highly_available(spec, reason);
	resource->maintenance = du_json_bool(spec, "maintenance", reason);
}

static void
read_status(CustomResource *resource, const cJSON *status, const char **reason)
{
	const cJSON *conditions = du_json_member(status, "conditions");
	const cJSON *condition;

	resource->status_schema_version = du_json_text(status, "schemaVersion", LONGEST_VERSION, true, reason);
	if (conditions != NULL && !cJSON_IsArray(conditions) && *reason == NULL)
		*reason = "field \"conditions\" is not a list";

	cJSON_ArrayForEach(condition, conditions)
	{
		char	   *type = du_json_text(condition, "type", LONGEST_NAME, true, reason);

		if (type == NULL || strcmp(type, CONDITION_TYPE) != 0)
		{
			resource->other_conditions++;
			continue;
		}
		resource->has_condition = true;
		resource->condition_status = du_json_text(condition, "status", LONGEST_NAME, true, reason);
		resource->condition_reason = du_json_text(condition, "reason", LONGEST_REFERENCE, true, reason);
		resource->condition_message = du_json_text(condition, "message", LONGEST_TEXT, true, reason);
		resource->condition_since = du_json_text(condition, "lastTransitionTime", LONGEST_NAME, true, reason);
		resource->condition_generation = du_json_number(condition, "observedGeneration", 0, reason);
	}
}

static CustomResource *
read_resource(const cJSON *object, const char **reason)
{
	CustomResource *resource = palloc0(sizeof(CustomResource));

	resource->api_version = du_json_text(object, "apiVersion", LONGEST_NAME, false, reason);
	resource->kind = du_json_text(object, "kind", LONGEST_NAME, false, reason);
	if (resource->kind != NULL && strcmp(resource->kind, RESOURCE_KIND) != 0 && *reason == NULL)
		*reason = psprintf("its kind is \"%s\", not \"%s\"", resource->kind, RESOURCE_KIND);
	read_metadata(resource, du_json_object(object, "metadata", reason), reason);
	read_spec(resource, du_json_object(object, "spec", reason), reason);
	read_status(resource, du_json_object(object, "status", reason), reason);
	return *reason == NULL ? resource : NULL;
}

static void *
read_single(const cJSON *document, void *arg, const char **reason)
{
	return read_resource(document, reason);
}

/*
 * One resource.
 */
CustomResource *
du_resource_parse(const char *json, size_t length, const char **reason)
{
	return du_json_read(json, length, read_single, NULL, reason);
}

typedef struct ListQuery
{
	const char *name;
	const char *version;
} ListQuery;

static void *
read_list(const cJSON *document, void *arg, const char **reason)
{
	ListQuery  *query = arg;
	const cJSON *metadata = du_json_object(document, "metadata", reason);
	const cJSON *items = du_json_member(document, "items");
	const cJSON *item;

	query->version = du_json_text(metadata, "resourceVersion", LONGEST_NAME, false, reason);
	if (*reason == NULL && (query->version == NULL || query->version[0] == '\0'))
		*reason = "it is a list without a resourceVersion";
	if (*reason == NULL && items != NULL && !cJSON_IsArray(items))
		*reason = "field \"items\" is not a list";
	if (*reason != NULL)
		return NULL;

	cJSON_ArrayForEach(item, items)
	{
		const cJSON *name = du_json_member(du_json_member(item, "metadata"), "name");

		if (cJSON_IsString(name) && strcmp(name->valuestring, query->name) == 0)
			return read_resource(item, reason);
	}
	return NULL;
}

/*
 * The resource of that name in a list; NULL without a reason when the list
 * has none.
 */
CustomResource *
du_resource_parse_list(const char *json, size_t length, const char *name,
					   const char **list_version, const char **reason)
{
	ListQuery	query = {name, NULL};
	CustomResource *resource = du_json_read(json, length, read_list, &query, reason);

	*list_version = *reason == NULL ? query.version : NULL;
	return resource;
}

static bool
find_event_type(const char *name, WatchEventType *type)
{
	static const char *const names[] = {
		[WATCH_ADDED] = "ADDED",
		[WATCH_MODIFIED] = "MODIFIED",
		[WATCH_DELETED] = "DELETED",
		[WATCH_BOOKMARK] = "BOOKMARK",
		[WATCH_ERROR] = "ERROR"
	};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(name, names[i]) == 0)
		{
			*type = i;
			return true;
		}
	}
	return false;
}

static void *
read_event(const cJSON *document, void *arg, const char **reason)
{
	WatchEvent *event = palloc0(sizeof(WatchEvent));
	const cJSON *object = du_json_object(document, "object", reason);
	char	   *type = du_json_text(document, "type", LONGEST_NAME, false, reason);

	if (*reason != NULL)
		return NULL;
	if (object == NULL || type == NULL || !find_event_type(type, &event->type))
	{
		*reason = "it is no event of a watch";
		return NULL;
	}
	if (event->type == WATCH_ERROR)
	{
		event->code = (int) Min(du_json_number(object, "code", 0, reason), PG_INT32_MAX);
		event->message = du_json_text(object, "message", LONGEST_MESSAGE, true, reason);
		return event;
	}
	event->resource_version = du_json_text(du_json_object(object, "metadata", reason),
										   "resourceVersion", LONGEST_NAME, false, reason);
	if (event->resource_version == NULL && *reason == NULL)
		*reason = "it has no resourceVersion";
	if (event->type != WATCH_BOOKMARK && *reason == NULL)
		event->resource = read_resource(object, reason);
	return event;
}

/*
 * One line of a watch.
 */
WatchEvent *
du_resource_parse_event(const char *json, size_t length, const char **reason)
{
	return du_json_read(json, length, read_event, NULL, reason);
}

static void *
read_owner(const cJSON *document, void *arg, const char **reason)
{
	const cJSON *metadata = du_json_object(document, "metadata", reason);
	const cJSON *owners = du_json_member(metadata, "ownerReferences");
	const cJSON *owner;

	cJSON_ArrayForEach(owner, owners)
	{
		const cJSON *kind = du_json_member(owner, "kind");

		if (cJSON_IsString(kind) && strcmp(kind->valuestring, (const char *) arg) == 0)
			return du_json_text(owner, "name", LONGEST_NAME, false, reason);
	}
	return NULL;
}

/*
 * Name of an object's owner of that kind; NULL without a reason when it has
 * none.
 */
char *
du_resource_parse_owner(const char *json, size_t length, const char *kind,
						const char **reason)
{
	return du_json_read(json, length, read_owner, unconstify(char *, kind), reason);
}

static void *
read_status_message(const cJSON *document, void *arg, const char **reason)
{
	char	   *kind = du_json_text(document, "kind", LONGEST_NAME, true, reason);
	char	   *message = du_json_text(document, "message", LONGEST_MESSAGE, true, reason);

	if (kind == NULL || strcmp(kind, "Status") != 0)
		return NULL;
	return message != NULL ? message : pstrdup("");
}

/*
 * What the server says in a Status object; NULL when the text is none.
 */
char *
du_resource_status_message(const char *json, size_t length)
{
	const char *reason;

	return du_json_read(json, length, read_status_message, NULL, &reason);
}
