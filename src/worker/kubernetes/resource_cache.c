/*-------------------------------------------------------------------------
 *
 * resource_cache.c
 *	  What is known of the custom resource.
 *
 * Keeps the state that a source shows, and its memory: the resource lives in
 * a context that the next one replaces, so nothing grows however often it
 * changes.  A state is only called changed when it is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include "utils/memutils.h"

#include "processes/processes.h"
#include "worker/source/source.h"

#define VERSION_CHARACTERS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_."

/*
 * A view of nothing yet, in the current memory context.
 */
ResourceCache *
du_cache_open(DesiredState *state)
{
	ResourceCache *view = palloc0(sizeof(ResourceCache));

	view->state = state;
	view->context = CurrentMemoryContext;
	view->problem_context = AllocSetContextCreate(CurrentMemoryContext,
												  "documentdb_upgrade source problem",
												  ALLOCSET_SMALL_SIZES);
	return view;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* True for what a shell takes as it is. */
static bool
is_plain(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")] == '\0';
}

/*
 * What is read, for people, and the commands by which they change it.
 */
void
du_cache_set_location(ResourceCache *view, const char *namespace_name, const char *resource)
{
	MemoryContext previous = MemoryContextSwitchTo(view->context);
	char	   *location = psprintf("%s/%s", namespace_name, resource);

	if (same_text(view->state->location, location))
		pfree(location);
	else
	{
		view->state->location = location;
		view->state->hold_hint = view->state->wish = NULL;
		if (is_plain(namespace_name) && is_plain(resource))
		{
			view->state->hold_hint = psprintf("When its reason is gone, run kubectl annotate dbs.documentdb.io %s --namespace %s %s-",
											  resource, namespace_name, HOLD_ANNOTATION);
			view->state->wish = psprintf("set spec.schemaVersion to \"%s\" (or \"auto\"): kubectl patch dbs.documentdb.io %s --namespace %s --type merge -p '{\"spec\":{\"schemaVersion\":\"%s\"}}'",
										 WISH_VERSION, resource, namespace_name, WISH_VERSION);
		}
		view->changed = true;
	}
	MemoryContextSwitchTo(previous);
}

/*
 * Takes over health, problem and hint, unless they are the same already.
 */
void
du_cache_set_health(ResourceCache *view, SourceHealth health, const char *problem,
				   const char *hint)
{
	DesiredState *state = view->state;

	if (state->health == health && same_text(state->problem, problem) &&
		same_text(state->hint, hint))
		return;
	MemoryContextReset(view->problem_context);
	state->health = health;
	state->problem = problem == NULL ? NULL : MemoryContextStrdup(view->problem_context, problem);
	state->hint = hint == NULL ? NULL : MemoryContextStrdup(view->problem_context, hint);
	view->changed = true;
}

/*
 * The server has just said what is true.
 */
void
du_cache_note_contact(ResourceCache *view)
{
	du_source_note_contact(view->state);
}

/*
 * The server has just said that there is no resource.
 */
void
du_cache_note_absence(ResourceCache *view)
{
	du_cache_set_health(view, SOURCE_MISSING,
					   psprintf("There is no custom resource \"%s\".", view->state->location),
					   "Nothing runs until it is there; see documentdb_upgrade.kubernetes_resource if its name is wrong.");
	du_cache_note_contact(view);
}

/*
 * A context for a resource that is about to be read; du_cache_take() takes
 * care of it then.
 */
MemoryContext
du_cache_create_context(ResourceCache *view)
{
	return AllocSetContextCreate(view->context, "documentdb_upgrade custom resource",
								 ALLOCSET_SMALL_SIZES);
}

/*
 * True for a version that can be part of a URL as it is.
 */
bool
du_cache_is_version(const char *version)
{
	return version != NULL && version[0] != '\0' &&
		strlen(version) < RESOURCE_VERSION_LENGTH &&
		strspn(version, VERSION_CHARACTERS) == strlen(version);
}

/* Shows another resource, or another version of it. */
static void
replace_resource(ResourceCache *view, MemoryContext fresh, const CustomResource *resource)
{
	if (view->resource_context != NULL)
		MemoryContextDelete(view->resource_context);
	view->resource_context = fresh;
	view->state->resource = resource;
	view->state->version = resource->schema_version;
	strlcpy(view->resume, resource->resource_version, sizeof(view->resume));
	view->changed = true;
}

/*
 * Takes over a resource that was read into a context of its own.  Gives back
 * a reason, a constant, when it is not one that can be used.
 */
const char *
du_cache_take(ResourceCache *view, MemoryContext fresh, const CustomResource *resource,
			 const char *name)
{
	DesiredState *state = view->state;
	const CustomResource *known = state->resource;
	const char *reason = NULL;

	if (!same_text(resource->name, name))
		reason = "it has another name";
	else if (resource->uid == NULL || resource->namespace_name == NULL)
		reason = "it has no uid or no namespace";
	else if (!du_cache_is_version(resource->resource_version))
		reason = "it has no usable resourceVersion";
	if (reason != NULL)
	{
		MemoryContextDelete(fresh);
		return reason;
	}

	du_cache_note_contact(view);
	if (known == NULL || !same_text(known->uid, resource->uid) ||
		!same_text(known->resource_version, resource->resource_version))
		replace_resource(view, fresh, resource);
	else
	{
		/* The version to watch from may be a newer one already. */
		if (view->resume[0] == '\0')
			strlcpy(view->resume, resource->resource_version, sizeof(view->resume));
		MemoryContextDelete(fresh);
	}
	if (state->resource->being_deleted)
		du_cache_set_health(view, SOURCE_MISSING, "The custom resource is being deleted.",
						   "Nothing runs until there is a new one.");
	else
		du_cache_set_health(view, SOURCE_OK, NULL, NULL);
	return NULL;
}

/*
 * True when a version is lower than another.  They are numbers on every
 * server so far; others could not be ordered.
 */
static bool
is_lower_version(const char *a, const char *b)
{
	size_t		length_a = strlen(a);
	size_t		length_b = strlen(b);

	if (strspn(a, "0123456789") != length_a || strspn(b, "0123456789") != length_b)
		return false;
	return length_a != length_b ? length_a < length_b : strcmp(a, b) < 0;
}

/*
 * True when an event tells less than what is known already.
 */
bool
du_cache_is_older(const ResourceCache *view, const CustomResource *resource)
{
	const CustomResource *known = view->state->resource;

	return known != NULL && resource->resource_version != NULL &&
		same_text(known->uid, resource->uid) &&
		(resource->generation < known->generation ||
		 is_lower_version(resource->resource_version, known->resource_version));
}
