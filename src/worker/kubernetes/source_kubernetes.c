/*-------------------------------------------------------------------------
 *
 * source_kubernetes.c
 *	  The desired version from the operator's custom resource.
 *
 * The resource is read, then watched from the version that was read.  A watch
 * ends at each resync_interval; the resource is then read anew, so that
 * nothing that a watch could miss stays unseen for longer.  Where watching is
 * not allowed the resource is read at each poll_interval.
 *
 * Two things can be under way: a read and a watch.  Whatever goes wrong with
 * either leads back to a read, which decides about the health; its pace after
 * failures is that of a backoff.  A read always says what is true now, while
 * an event of a watch that is older than what is known is ignored.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include "utils/memutils.h"

#include "base/base.h"
#include "worker/net/net.h"
#include "worker/source/source.h"

#define OWNER_KIND			"DocumentDB"
#define NOT_PLANNED			(-1)
#define PROMPT_REREADS		3	/* in a row, before they wait */

/* What a read is worth once the watch may have told more. */
typedef enum ReadWorth
{
	READ_ANSWERS,				/* it is the newest that is known */
	READ_OVERTAKEN,				/* what is known is newer */
	READ_UNCLEAR				/* the two cannot be ordered */
} ReadWorth;

typedef struct KubernetesSource
{
	DesiredSource base;			/* what the loop knows */
	MemoryContext context;		/* of all that follows */
	MemoryContext scratch;		/* of one advance() */
	KubernetesApi *api;
	ResourceCache *view;
	bool		guessed;		/* the resource's name is the cluster's */

	HttpExchange *read;
	KubeRequest read_kind;
	bool		read_again;		/* once this one is done */
	uint64		events_at_read; /* that the watch had told when it began */
	int			rereads;		/* because one was unclear, in a row */
	KubeRequest next_kind;
	int64		next_read;		/* by the clock, or NOT_PLANNED */

	Backoff		backoff;
	int64		not_before;		/* the server has asked for a pause */

	KubernetesWatch *watch;
	bool		poll_only;		/* watching was refused */
	bool		logged;			/* that it is polled */
	int64		retry_watch;	/* when to try it all the same */
} KubernetesSource;

static void
plan_read(KubernetesSource *k, KubeRequest kind, long delay_ms)
{
	k->next_kind = kind;
	k->next_read = du_clock_ms() + delay_ms;
}

/*
 * Something went wrong: says so and plans the next read.
 */
static void
fail(KubernetesSource *k, const KubeVerdict *verdict)
{
	long		delay = du_kube_next_delay(&k->backoff);

	du_cache_set_health(k->view, verdict->health, verdict->problem, verdict->hint);
	if (verdict->retry_after_ms >= 0)
		k->not_before = du_clock_ms() + verdict->retry_after_ms;
	plan_read(k, KUBE_GET_RESOURCE, delay);
	du_watch_want(k->watch, false);
}

/* The server has answered, but not with what was asked for. */
static void
fail_parse(KubernetesSource *k, const char *what, const char *reason)
{
	KubeVerdict verdict = {0};

	verdict.health = SOURCE_INVALID;
	verdict.retry_after_ms = -1;
	verdict.problem = psprintf("The API server's answer is not a %s: %s.", what, reason);
	verdict.hint = "The worker tries again by itself.";
	fail(k, &verdict);
}

/*
 * The name of the resource is known now.
 */
static void
use_name(KubernetesSource *k, const char *name)
{
	if (k->api->resource == NULL || strcmp(k->api->resource, name) != 0)
		du_kube_set_resource(k->api, name);
	du_cache_set_location(k->view, k->api->namespace_name, k->api->resource);
}

/*
 * The resource is the owner of the cluster that this server belongs to.  A
 * server that hides the cluster leaves its name as the best guess.
 */
static void
take_cluster(KubernetesSource *k, const HttpAnswer *answer, const KubeVerdict *verdict)
{
	const char *reason = NULL;
	const char *owner = NULL;

	if (verdict->health == SOURCE_OK)
		owner = du_resource_parse_owner(answer->body, answer->body_length, OWNER_KIND, &reason);
	else if (verdict->status != 403 && verdict->health != SOURCE_MISSING)
	{
		fail(k, verdict);
		return;
	}
	if (reason != NULL)
	{
		fail_parse(k, "cluster", reason);
		return;
	}
	k->guessed = owner == NULL || !du_kube_is_name(owner);
	use_name(k, k->guessed ? k->api->cluster : owner);
	plan_read(k, KUBE_GET_RESOURCE, 0);
}

/*
 * After a read that went well: how to learn of changes.  A watch of what is
 * not there needs the version of a list.
 */
static void
plan_next(KubernetesSource *k, bool listed)
{
	if (k->backoff.failures > 0)
		du_watch_forgive(k->watch);
	k->backoff.failures = 0;
	k->rereads = 0;

	/* A list that the watch needs by now stays planned. */
	if (!listed && k->next_read != NOT_PLANNED && k->next_kind == KUBE_LIST_RESOURCES)
		return;
	k->next_read = NOT_PLANNED;
	if (du_watch_is_running(k->watch))
		return;
	if (k->poll_only && du_clock_ms() < k->retry_watch)
		plan_read(k, KUBE_GET_RESOURCE, du_guc_poll_interval);
	else if (!listed && k->base.state.health == SOURCE_MISSING)
		plan_read(k, KUBE_LIST_RESOURCES, 0);
	else
	{
		/* Do not leave the resource unseen while it cannot be watched. */
		if (du_watch_is_failing(k->watch))
			plan_read(k, KUBE_GET_RESOURCE, du_guc_poll_interval);
		du_watch_want(k->watch, true);
	}
}

/* Says once why the resource is polled. */
static void
log_polling(KubernetesSource *k, const KubeVerdict *verdict)
{
	if (!k->logged)
		ereport(LOG,
				(errmsg("custom resource \"%s\" cannot be watched and is read at each poll_interval",
						k->base.state.location),
				 errdetail_internal("%s", verdict->problem),
				 verdict->hint != NULL ? errhint("%s", verdict->hint) : 0));
	k->logged = true;
}

/* List or watch is not allowed: read now and then. */
static void
poll_instead(KubernetesSource *k, const KubeVerdict *verdict)
{
	k->poll_only = true;
	du_watch_want(k->watch, false);
	k->retry_watch = du_clock_ms() + du_guc_resync_interval;
	log_polling(k, verdict);
	plan_read(k, KUBE_GET_RESOURCE, du_guc_poll_interval);
}

/*
 * What a read is worth, which says that there is this resource, or none.
 * Without news from the watch it is right even where it goes back: the
 * server's storage may have been restored.
 */
static ReadWorth
judge_read(const KubernetesSource *k, const CustomResource *resource)
{
	const DesiredState *state = &k->base.state;

	if (k->events_at_read == k->view->events)
		return READ_ANSWERS;
	if (resource == NULL || state->resource == NULL || state->health == SOURCE_MISSING ||
		resource->uid == NULL || strcmp(resource->uid, state->resource->uid) != 0)
		return READ_UNCLEAR;
	return du_cache_is_older(k->view, resource) ? READ_OVERTAKEN : READ_ANSWERS;
}

/* Another read has to answer. */
static void
read_again(KubernetesSource *k)
{
	k->read_again = true;
	k->rereads++;
}

static void
take_absence(KubernetesSource *k)
{
	if (judge_read(k, NULL) == READ_UNCLEAR)
	{
		read_again(k);
		return;
	}
	du_cache_note_absence(k->view);
	plan_next(k, false);
}

/* Takes a resource that was read into the fresh context, which it ends. */
static void
take_resource(KubernetesSource *k, MemoryContext fresh, const CustomResource *resource)
{
	ReadWorth	worth = judge_read(k, resource);
	const char *reason = NULL;

	if (worth == READ_ANSWERS)
		reason = du_cache_take(k->view, fresh, resource, k->api->resource);
	else
		MemoryContextDelete(fresh);

	if (worth == READ_OVERTAKEN)
		du_cache_note_contact(k->view);
	if (reason != NULL)
		fail_parse(k, "custom resource", reason);
	else if (worth == READ_UNCLEAR)
		read_again(k);
	else
		plan_next(k, false);
}

static void
parse_resource(KubernetesSource *k, const HttpAnswer *answer)
{
	MemoryContext fresh = du_cache_create_context(k->view);
	CustomResource *resource;
	const char *reason;

	MemoryContextSwitchTo(fresh);
	resource = du_resource_parse(answer->body, answer->body_length, &reason);
	MemoryContextSwitchTo(k->scratch);
	if (resource != NULL)
	{
		take_resource(k, fresh, resource);
		return;
	}
	reason = pstrdup(reason);
	MemoryContextDelete(fresh);
	fail_parse(k, "custom resource", reason);
}

/* Takes the answer to KUBE_GET_RESOURCE. */
static void
take_read(KubernetesSource *k, const HttpAnswer *answer, const KubeVerdict *verdict)
{
	if (verdict->health == SOURCE_MISSING && !verdict->kind_missing)
		take_absence(k);
	else if (verdict->health == SOURCE_OK)
		parse_resource(k, answer);
	else
		fail(k, verdict);
}

static void
take_list(KubernetesSource *k, const HttpAnswer *answer, const KubeVerdict *verdict)
{
	MemoryContext fresh;
	CustomResource *resource;
	const char *version;
	const char *reason;

	if (verdict->status == 403)
	{
		poll_instead(k, verdict);
		return;
	}
	if (verdict->health != SOURCE_OK)
	{
		fail(k, verdict);
		return;
	}
	if (k->events_at_read != k->view->events)
	{
		/* Its version may be older than where the watch has got to. */
		read_again(k);
		return;
	}
	fresh = du_cache_create_context(k->view);
	MemoryContextSwitchTo(fresh);
	resource = du_resource_parse_list(answer->body, answer->body_length, k->api->resource,
									  &version, &reason);
	MemoryContextSwitchTo(k->scratch);
	version = version != NULL ? pstrdup(version) : NULL;
	reason = reason != NULL ? pstrdup(reason) : NULL;
	if (reason == NULL && !du_cache_is_version(version))
		reason = "it has no usable resourceVersion";
	if (reason == NULL && resource != NULL)
		reason = du_cache_take(k->view, fresh, resource, k->api->resource);
	else
		MemoryContextDelete(fresh);
	if (reason != NULL)
	{
		fail_parse(k, "list of custom resources", reason);
		return;
	}
	if (resource == NULL)
		du_cache_note_absence(k->view);
	strlcpy(k->view->resume, version, sizeof(k->view->resume));
	plan_next(k, true);
}

/* A read that somebody waits for is done. */
static void
end_refresh(KubernetesSource *k)
{
	if (k->base.state.refreshing)
		k->view->changed = true;
	k->base.state.refreshing = false;
}

/* Takes the answer to a read when it is there. */
static void
advance_read(KubernetesSource *k)
{
	const HttpAnswer *answer = du_http_get_answer(k->read);
	KubeVerdict verdict;

	if (answer->state == HTTP_RUNNING)
		return;
	verdict = du_kube_judge(k->api, k->read_kind, answer);
	if (k->read_kind == KUBE_GET_CLUSTER)
		take_cluster(k, answer, &verdict);
	else if (k->read_kind == KUBE_GET_RESOURCE)
		take_read(k, answer, &verdict);
	else
		take_list(k, answer, &verdict);
	du_http_end(k->read);
	k->read = NULL;

	if (k->read_again)
		plan_read(k, KUBE_GET_RESOURCE, k->rereads <= PROMPT_REREADS ? 0 : du_guc_poll_interval);
	else if (k->read_kind != KUBE_GET_CLUSTER || k->backoff.failures > 0)
		end_refresh(k);
	k->read_again = false;
}

static void
start_read(KubernetesSource *k)
{
	KubeVerdict verdict;

	if (!du_kube_find_server(k->api, &verdict))
	{
		fail(k, &verdict);
		end_refresh(k);
		return;
	}
	if (k->api->resource != NULL)
		use_name(k, k->api->resource);
	k->read_kind = k->api->resource == NULL ? KUBE_GET_CLUSTER : k->next_kind;
	k->next_read = NOT_PLANNED;
	k->events_at_read = k->view->events;
	k->read = du_kube_get(k->api, k->read_kind, &verdict);
	if (k->read == NULL)
	{
		fail(k, &verdict);
		end_refresh(k);
	}
}

/* What the watch leaves to do. */
static void
follow_watch(KubernetesSource *k, WatchOutcome outcome, const KubeVerdict *verdict)
{
	bool		look_for_name = k->guessed && k->base.state.health == SOURCE_MISSING;

	if (du_watch_is_open(k->watch))
		k->poll_only = false;
	if (du_watch_is_steady(k->watch))
		k->logged = false;
	switch (outcome)
	{
		case WATCH_STAYS:
			break;
		case WATCH_AT_END:
			plan_read(k, look_for_name ? KUBE_GET_CLUSTER : KUBE_GET_RESOURCE, 0);
			break;
		case WATCH_EXPIRED:
			plan_read(k, KUBE_LIST_RESOURCES, du_watch_get_list_delay(k->watch));
			break;
		case WATCH_FORBIDDEN:
			poll_instead(k, verdict);
			break;
		case WATCH_FAILED:
			if (verdict->retry_after_ms >= 0)
				fail(k, verdict);
			else
				plan_read(k, KUBE_GET_RESOURCE, 0);
			if (du_watch_is_failing(k->watch) && k->base.state.health == SOURCE_OK)
				log_polling(k, verdict);
			break;
	}
}

/* See desired_source.h for this one and the following. */
static bool
advance(DesiredSource *source)
{
	KubernetesSource *k = source->data;
	MemoryContext caller = MemoryContextSwitchTo(k->scratch);
	KubeVerdict verdict;

	k->view->changed = false;
	du_http_advance(k->api->http);
	follow_watch(k, du_watch_advance(k->watch, k->not_before, &verdict), &verdict);
	if (k->read != NULL)
		advance_read(k);
	if (k->read == NULL && k->next_read != NOT_PLANNED &&
		du_clock_ms() >= Max(k->next_read, k->not_before))
		start_read(k);

	MemoryContextSwitchTo(caller);
	MemoryContextReset(k->scratch);
	return k->view->changed;
}

static void
refresh(DesiredSource *source)
{
	KubernetesSource *k = source->data;

	source->state.refreshing = true;
	if (k->read != NULL)
		k->read_again = k->read_kind != KUBE_GET_CLUSTER;
	else
		plan_read(k, KUBE_GET_RESOURCE, 0);
}

static void
add_waits(DesiredSource *source, WaitList *list)
{
	KubernetesSource *k = source->data;

	du_http_add_waits(k->api->http, list);
	du_watch_add_waits(k->watch, k->not_before, list);
	if (k->read == NULL && k->next_read != NOT_PLANNED)
		du_wait_at_most(list, Max(Max(k->next_read, k->not_before) - du_clock_ms(), 0));
}

static void
reload(DesiredSource *source)
{
	KubernetesSource *k = source->data;
	int64		soonest = du_clock_ms() + du_guc_poll_interval;

	if (k->poll_only && k->next_read > soonest)
		k->next_read = soonest;
}

static void
close_source(DesiredSource *source)
{
	KubernetesSource *k = source->data;

	MemoryContextDelete(k->context);
}

/*
 * Opens the source, which belongs to a memory context of its own.
 */
DesiredSource *
du_source_kubernetes_open(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "documentdb_upgrade kubernetes source",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	KubernetesSource *k = palloc0(sizeof(KubernetesSource));

	k->context = context;
	k->scratch = AllocSetContextCreate(context, "documentdb_upgrade kubernetes scratch",
									   ALLOCSET_DEFAULT_SIZES);
	k->base.name = "kubernetes";
	k->base.data = k;
	k->base.advance = advance;
	k->base.refresh = refresh;
	k->base.add_waits = add_waits;
	k->base.reload = reload;
	k->base.close = close_source;
	k->api = du_kube_open();
	k->view = du_cache_open(&k->base.state);
	k->watch = du_watch_create(k->api, k->view);
	plan_read(k, KUBE_GET_RESOURCE, 0);
	MemoryContextSwitchTo(caller);
	return &k->base;
}
