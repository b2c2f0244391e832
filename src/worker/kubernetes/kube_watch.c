/*-------------------------------------------------------------------------
 *
 * kube_watch.c
 *	  The watch of the custom resource.
 *
 * Takes events into the view as they come.  A watch that is cut off comes
 * back by itself from the version it had reached; whenever more is needed
 * than that, it ends with an outcome and stays away until it is wanted again.
 *
 * Silence is no sign of health: the server ends each watch after
 * resync_interval, and one that the server does not end is ended here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include "utils/memutils.h"

#include "base/base.h"
#include "worker/net/net.h"
#include "worker/source/source.h"

#define STEADY_MS			5000	/* a watch that lived as long has worked */
#define OPENING_MS			15000	/* until it must have begun */

struct KubernetesWatch
{
	KubernetesApi *api;
	ResourceCache *view;
	HttpExchange *exchange;		/* NULL: none under way */
	int			seconds;		/* for which it was asked */
	bool		open;			/* it has begun */
	bool		wanted;
	int64		not_before;
	Backoff		backoff;
	Backoff		expired;		/* versions too old to begin from, in a row */
};

/*
 * A watch that is not wanted yet, in the current memory context.
 */
KubernetesWatch *
du_watch_create(KubernetesApi *api, ResourceCache *view)
{
	KubernetesWatch *watch = palloc0(sizeof(KubernetesWatch));

	watch->api = api;
	watch->view = view;
	return watch;
}

/*
 * It shall begin, from the view's version, as soon as it may; or not at all.
 */
void
du_watch_want(KubernetesWatch *watch, bool wanted)
{
	watch->wanted = wanted;
}

bool
du_watch_is_running(const KubernetesWatch *watch)
{
	return watch->exchange != NULL;
}

/*
 * True when it runs and the server has agreed to it.
 */
bool
du_watch_is_open(const KubernetesWatch *watch)
{
	return watch->exchange != NULL && watch->open;
}

/*
 * True when it has been open for long enough to be relied on.
 */
bool
du_watch_is_steady(const KubernetesWatch *watch)
{
	return du_watch_is_open(watch) &&
		du_http_get_answer(watch->exchange)->duration_ms >= STEADY_MS;
}

/*
 * True when it has failed and not been steady since.
 */
bool
du_watch_is_failing(const KubernetesWatch *watch)
{
	return watch->backoff.failures > 1;
}

/*
 * How long to wait, in milliseconds, before the list that follows a version
 * too old to begin from: that is no failure, unless it comes again and again.
 */
long
du_watch_get_list_delay(KubernetesWatch *watch)
{
	long		delay = du_kube_next_delay(&watch->expired);

	return watch->expired.failures == 1 ? 0 : delay;
}

/*
 * Forgets the failures of an outage that is over.
 */
void
du_watch_forgive(KubernetesWatch *watch)
{
	watch->backoff.failures = 0;
	watch->not_before = 0;
}

static void
end(KubernetesWatch *watch)
{
	du_http_end(watch->exchange);
	watch->exchange = NULL;
	watch->open = false;
}

/* The next one has to wait. */
static void
hold_back(KubernetesWatch *watch)
{
	watch->not_before = du_clock_ms() + du_kube_next_delay(&watch->backoff);
}

/* It has told what makes no sense. */
static WatchOutcome
refuse_event(KubernetesWatch *watch, const char *reason, KubeVerdict *verdict)
{
	memset(verdict, 0, sizeof(*verdict));
	verdict->health = SOURCE_INVALID;
	verdict->problem = psprintf("The API server's answer is not an event of a watch: %s.", reason);
	verdict->hint = "The worker tries again by itself.";
	verdict->retry_after_ms = -1;
	hold_back(watch);
	return WATCH_FAILED;
}

static void
resume_from(KubernetesWatch *watch, const char *version)
{
	if (du_cache_is_version(version))
		strlcpy(watch->view->resume, version, sizeof(watch->view->resume));
}

/* The server ends the watch from within. */
static WatchOutcome
take_error(KubernetesWatch *watch, const WatchEvent *event, KubeVerdict *verdict)
{
	if (event->code == 410)
		return WATCH_EXPIRED;
	memset(verdict, 0, sizeof(*verdict));
	verdict->health = SOURCE_UNREACHABLE;
	verdict->problem = psprintf("The API server has ended the watch with code %d: %s.",
								event->code, event->message ? event->message : "no reason");
	verdict->hint = "The worker tries again by itself.";
	verdict->retry_after_ms = -1;
	hold_back(watch);
	return WATCH_FAILED;
}

static void
take_deletion(KubernetesWatch *watch, const CustomResource *resource)
{
	const CustomResource *known = watch->view->state->resource;

	if (known == NULL || resource->uid == NULL || strcmp(known->uid, resource->uid) == 0)
		du_cache_note_absence(watch->view);
	resume_from(watch, resource->resource_version);
}

/*
 * Takes one line into the view.  The fresh context holds what was read, and
 * is given away or deleted.
 */
static WatchOutcome
take_line(KubernetesWatch *watch, const char *line, size_t length, KubeVerdict *verdict)
{
	MemoryContext fresh = du_cache_create_context(watch->view);
	MemoryContext caller = MemoryContextSwitchTo(fresh);
	const char *reason;
	WatchEvent *event = du_resource_parse_event(line, length, &reason);
	WatchOutcome outcome = WATCH_STAYS;

	MemoryContextSwitchTo(caller);

	/* A line that was understood: this watch works, however short it lives. */
	if (event != NULL && event->type != WATCH_ERROR)
		watch->backoff.failures = watch->expired.failures = 0;
	if (event == NULL)
		outcome = refuse_event(watch, reason, verdict);
	else if (event->type == WATCH_ERROR)
		outcome = take_error(watch, event, verdict);
	else if (event->type == WATCH_BOOKMARK)
	{
		resume_from(watch, event->resource_version);
		du_cache_note_contact(watch->view);
	}
	else if (du_cache_is_older(watch->view, event->resource))
		ereport(DEBUG1,
				(errmsg_internal("event about an older version of the custom resource is ignored")));
	else if (event->type == WATCH_DELETED)
	{
		watch->view->events++;
		take_deletion(watch, event->resource);
	}
	else
	{
		watch->view->events++;
		reason = du_cache_take(watch->view, fresh, event->resource, watch->api->resource);
		return reason == NULL ? WATCH_STAYS : refuse_event(watch, reason, verdict);
	}
	MemoryContextDelete(fresh);
	return outcome;
}

/* It has ended as watches do: at its time, or cut off. */
static WatchOutcome
follow(KubernetesWatch *watch, int64 lived_ms)
{
	watch->not_before = 0;
	if (lived_ms >= STEADY_MS)
		watch->backoff.failures = watch->expired.failures = 0;
	if (lived_ms >= watch->seconds * 1000L - 1000)
		return WATCH_AT_END;
	if (lived_ms < STEADY_MS)
		hold_back(watch);
	watch->wanted = true;
	return WATCH_STAYS;
}

/* Finds out why it has ended. */
static WatchOutcome
conclude(KubernetesWatch *watch, const HttpAnswer *answer, KubeVerdict *verdict)
{
	*verdict = du_kube_judge(watch->api, KUBE_WATCH_RESOURCES, answer);
	if (answer->status == 200 &&
		(verdict->health == SOURCE_OK || verdict->health == SOURCE_UNREACHABLE))
		return follow(watch, answer->duration_ms);
	if (verdict->status == 410)
		return WATCH_EXPIRED;
	if (verdict->status == 403)
		return WATCH_FORBIDDEN;
	hold_back(watch);
	return WATCH_FAILED;
}

/* Takes what has come. */
static WatchOutcome
take_lines(KubernetesWatch *watch, KubeVerdict *verdict)
{
	const HttpAnswer *answer = du_http_get_answer(watch->exchange);
	HttpAnswer	late = {0};
	const char *line;
	size_t		length;

	if (answer->status == 200 && !watch->open)
	{
		watch->open = true;
		du_cache_note_contact(watch->view);
	}
	while (du_http_take_line(watch->exchange, &line, &length))
	{
		WatchOutcome outcome = take_line(watch, line, length, verdict);

		if (outcome != WATCH_STAYS)
			return outcome;
	}
	if (answer->state != HTTP_RUNNING)
		return conclude(watch, answer, verdict);
	if (watch->open || answer->duration_ms <= OPENING_MS)
		return WATCH_STAYS;
	late.state = HTTP_FAILED;
	late.failure = HTTP_UNREACHABLE;
	late.problem = "timed out";
	return conclude(watch, &late, verdict);
}

/* Begins, unless the token cannot be read. */
static WatchOutcome
begin(KubernetesWatch *watch, KubeVerdict *verdict)
{
	watch->wanted = false;
	watch->seconds = Max(du_guc_resync_interval / 1000, 1);
	watch->exchange = du_kube_watch(watch->api, watch->view->resume, watch->seconds, verdict);
	return watch->exchange != NULL ? WATCH_STAYS : WATCH_FAILED;
}

/*
 * Takes what has arrived, and begins when it is wanted and may.  The verdict
 * is set with WATCH_FORBIDDEN and WATCH_FAILED, in the current memory context.
 */
WatchOutcome
du_watch_advance(KubernetesWatch *watch, int64 not_before, KubeVerdict *verdict)
{
	WatchOutcome outcome = WATCH_STAYS;

	if (watch->exchange != NULL)
	{
		outcome = take_lines(watch, verdict);
		if (outcome != WATCH_STAYS || watch->wanted)
			end(watch);
	}
	else if (watch->wanted && du_clock_ms() >= Max(watch->not_before, not_before))
		outcome = begin(watch, verdict);
	return outcome;
}

/*
 * Adds the time of the next du_watch_advance(); sockets are the client's.
 */
void
du_watch_add_waits(KubernetesWatch *watch, int64 not_before, WaitList *list)
{
	int64		now = du_clock_ms();

	if (watch->exchange == NULL && watch->wanted)
		du_wait_at_most(list, Max(Max(watch->not_before, not_before) - now, 0));
	if (watch->exchange != NULL && !watch->open)
		du_wait_at_most(list, OPENING_MS);
}
