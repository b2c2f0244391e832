/*-------------------------------------------------------------------------
 *
 * kube_report.c
 *	  Tells the API server where the schema stands: status, condition,
 *	  Events.
 *
 * What the resource should say is compared with what the source has read of
 * it, and only a difference is sent, one request at a time.  What became of a
 * request is seen in the resource itself: an accepted one is not sent again
 * until the resource changes, and one with an unknown outcome is followed by
 * a read and another comparison.
 *
 * The version is merge-patched alone, for one version of the resource only,
 * because the operator writes the same field.  The condition is applied
 * without force, and only where a trial shows that the server keeps
 * conditions by their type: elsewhere it would take away those of others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include "utils/memutils.h"

#include "base/base.h"
#include "worker/net/net.h"
#include "worker/source/source.h"

#define SOON_MS				2000
#define TRIAL_INTERVALS		6	/* of resync_interval, between trials */
#define UID_LENGTH			256

/* What can be told, each at its own pace. */
typedef enum TopicKind
{
	TOPIC_STATUS,
	TOPIC_CONDITION,
	TOPIC_EVENT,
	NTOPICS
} TopicKind;

static const char *const topic_names[] = {"status.schemaVersion", ("condition " CONDITION_TYPE), "Events"};

struct KubernetesReport
{
	MemoryContext context;
	MemoryContext scratch;		/* of one advance() */
	DesiredSource *source;
	KubernetesApi *api;

	DesiredReport *wish;
	EventDelivery events;
	bool		keeps_conditions;	/* a trial has shown it */

	HttpExchange *exchange;
	TopicKind	kind;			/* what the exchange is about */
	KubeRequest request;
	ReportPace topics[NTOPICS];
	int64		not_before;		/* the server has asked for a pause */
	char		uid[UID_LENGTH];	/* of the resource */
	ReportCounters counters;
};

/*
 * Opens reports about what a source reads, in a memory context of their own.
 * The source must stay open as long.
 */
KubernetesReport *
du_kube_report_open(DesiredSource *kubernetes_source)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "documentdb_upgrade kubernetes report",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	KubernetesReport *report = palloc0(sizeof(KubernetesReport));

	report->context = context;
	report->scratch = AllocSetContextCreate(context, "documentdb_upgrade report scratch",
											ALLOCSET_DEFAULT_SIZES);
	report->source = kubernetes_source;
	report->api = du_kube_open();
	report->wish = du_content_create();
	du_events_init(&report->events);
	MemoryContextSwitchTo(caller);
	return report;
}

/*
 * What the resource should say from now on.  Costs nothing when that is what
 * it should say already.
 */
void
du_kube_report_set(KubernetesReport *report, const ReportContent *content)
{
	du_content_set(report->wish, content);
}

/*
 * Queues an Event about the resource.
 */
void
du_kube_report_event(KubernetesReport *report, const char *type, const char *reason,
				const char *message)
{
	if (du_guc_report_status)
		du_event_queue_add(&report->events.queue, type, reason, message);
}

/* The resource as the source has read it, when that can be relied on. */
static const CustomResource *
get_resource(const KubernetesReport *report)
{
	const DesiredState *state = &report->source->state;

	return state->health == SOURCE_OK ? state->resource : NULL;
}

/*
 * When a topic is due, by the clock; -1 when there is nothing to send.
 */
static int64
get_due_time(KubernetesReport *report, TopicKind kind, const CustomResource *resource)
{
	bool		differs;
	int64		due;

	if (kind == TOPIC_STATUS)
		differs = du_content_wants_version(report->wish, resource);
	else if (kind == TOPIC_CONDITION)
		differs = du_content_wants_condition(report->wish, resource);
	else
		differs = du_event_queue_first(&report->events.queue) != NULL;
	if (!differs)
		return -1;
	due = du_pace_get_due(&report->topics[kind], report->wish->serial, resource->resource_version);
	return due < 0 ? -1 : Max(due, report->not_before);
}

/*
 * The topic that is due first, and when; -1 when there is none.  The order of
 * the topics decides between those that are due already.
 */
static int64
find_next(KubernetesReport *report, TopicKind *kind)
{
	const CustomResource *resource = get_resource(report);
	int64		now = du_clock_ms();
	int64		first = -1;

	if (!du_guc_report_status || resource == NULL || report->exchange != NULL)
		return -1;
	for (int i = 0; i < NTOPICS; i++)
	{
		int64		due = get_due_time(report, i, resource);

		if (due >= 0 && (first < 0 || Max(due, now) < first))
		{
			first = Max(due, now);
			*kind = i;
		}
	}
	return first;
}

/* Sends what a topic has to tell. */
static void
send_topic(KubernetesReport *report, TopicKind kind)
{
	const CustomResource *resource = get_resource(report);
	ReportPace *topic = &report->topics[kind];
	KubeVerdict verdict;
	char	   *body;

	if (!du_kube_find_server(report->api, &verdict))
	{
		du_pace_retry(topic);
		return;
	}
	if (report->api->resource == NULL || strcmp(report->api->resource, resource->name) != 0)
		du_kube_set_resource(report->api, resource->name);

	switch (kind)
	{
		case TOPIC_STATUS:
			report->request = KUBE_PATCH_STATUS;
			body = du_body_build_status(resource, report->wish->content.schema_version);
			break;
		case TOPIC_CONDITION:
			report->request = report->keeps_conditions ? KUBE_APPLY_CONDITION : KUBE_TRY_CONDITION;
			body = du_content_build_condition(report->wish, resource);
			break;
		default:
			body = du_events_build(&report->events, resource, &report->request);
			break;
	}
	report->kind = kind;
	report->exchange = du_kube_send(report->api, report->request, report->events.name, body, &verdict);
	if (report->exchange == NULL)
		du_pace_retry(topic);
	du_pace_note_sent(topic, report->wish->serial, resource->resource_version);
}

/* Says once that something cannot be reported. */
static void
log_refusal(KubernetesReport *report, ReportPace *topic, const KubeVerdict *verdict)
{
	if (!topic->logged)
		ereport(LOG,
				(errmsg("could not report %s of custom resource \"%s/%s\"",
						topic_names[report->kind], report->api->namespace_name,
						report->api->resource),
				 errdetail_internal("%s", verdict->problem),
				 verdict->hint != NULL ? errhint("%s", verdict->hint) : 0));
	topic->logged = true;
}

/* Accepted: has the change read, unless the source has seen it already. */
static void
take_acceptance(KubernetesReport *report, ReportPace *topic)
{
	const CustomResource *resource = get_resource(report);

	report->counters.delivered++;
	du_pace_accept(topic, resource != NULL ? resource->generation : 0);
	if (resource != NULL && strcmp(resource->resource_version, topic->version) == 0)
		report->source->refresh(report->source);
}

/* The resource is not what it was, or is there no longer: have it read. */
static void
take_change(KubernetesReport *report, ReportPace *topic)
{
	du_pace_outdate(topic);
	report->source->refresh(report->source);
}

/*
 * The request was not accepted, or nobody knows.
 */
static void
take_failure(KubernetesReport *report, ReportPace *topic, const KubeVerdict *verdict)
{
	if (verdict->retry_after_ms >= 0)
		report->not_before = du_clock_ms() + verdict->retry_after_ms;

	if (verdict->status == 404 && !verdict->kind_missing)
	{
		take_change(report, topic);
		return;
	}
	if (verdict->health == SOURCE_UNREACHABLE || verdict->status == 401)
		du_pace_retry(topic);
	else
	{
		log_refusal(report, topic, verdict);
		du_pace_put_off(topic, du_guc_resync_interval);
	}

	/* Its outcome is not known: look before anything is sent again. */
	if (verdict->status == 0 && report->kind != TOPIC_EVENT)
		report->source->refresh(report->source);
}

static void
conclude_status(KubernetesReport *report, ReportPace *topic, const KubeVerdict *verdict)
{
	if (verdict->health == SOURCE_OK)
		take_acceptance(report, topic);
	else if (verdict->status == 409)
		take_change(report, topic);
	else
		take_failure(report, topic, verdict);
}

/*
 * Conditions are left alone until the server may have learnt to keep them.
 */
static void
give_up_conditions(KubernetesReport *report, ReportPace *topic)
{
	ereport(DEBUG1,
			(errmsg_internal("the API server does not keep condition %s", CONDITION_TYPE)));
	report->keeps_conditions = false;
	du_pace_put_off(topic, TRIAL_INTERVALS * (long) du_guc_resync_interval);
}

static void
conclude_condition(KubernetesReport *report, ReportPace *topic, const HttpAnswer *answer,
				   const KubeVerdict *verdict)
{
	const CustomResource *resource = get_resource(report);
	bool		trial = report->request == KUBE_TRY_CONDITION;

	if (verdict->health == SOURCE_OK)
	{
		if (!du_body_shows_condition(answer->body, answer->body_length, REPORTER_NAME,
										resource != NULL ? resource->other_conditions : 0))
			give_up_conditions(report, topic);
		else if (trial)
			report->keeps_conditions = true;
		else
			take_acceptance(report, topic);
	}
	else if (strstr(verdict->problem, "not declared in schema") != NULL ||
			 (verdict->status == 409 && strstr(verdict->problem, CONDITION_TYPE) == NULL))
		give_up_conditions(report, topic);
	else
	{
		if (verdict->health != SOURCE_UNREACHABLE)
			report->keeps_conditions = false;
		take_failure(report, topic, verdict);
	}
}

static void
conclude_event(KubernetesReport *report, ReportPace *topic, const HttpAnswer *answer,
			   const KubeVerdict *verdict)
{
	uint64		dropped = report->events.queue.dropped;

	if (!du_events_follow(&report->events, answer))
		take_failure(report, topic, verdict);
	else if (report->events.queue.dropped > dropped)
		log_refusal(report, topic, verdict);
	else
	{
		topic->backoff.failures = 0;
		topic->logged = false;
		if (verdict->health == SOURCE_OK)
			report->counters.delivered++;
	}
}

/* Takes the answer to the request under way, when it is there. */
static void
conclude(KubernetesReport *report)
{
	const HttpAnswer *answer = du_http_get_answer(report->exchange);
	ReportPace *topic = &report->topics[report->kind];
	KubeVerdict verdict;

	if (answer->state == HTTP_RUNNING)
		return;
	verdict = du_kube_judge(report->api, report->request, answer);
	if (verdict.health != SOURCE_OK && report->request != KUBE_TRY_CONDITION &&
		(verdict.status != 409 || report->kind != TOPIC_EVENT))
		report->counters.failed++;
	switch (report->kind)
	{
		case TOPIC_STATUS:
			conclude_status(report, topic, &verdict);
			break;
		case TOPIC_CONDITION:
			conclude_condition(report, topic, answer, &verdict);
			break;
		default:
			conclude_event(report, topic, answer, &verdict);
			break;
	}
	du_http_end(report->exchange);
	report->exchange = NULL;
}

/* Another resource has taken the place of the one that was reported about. */
static void
notice_other_resource(KubernetesReport *report)
{
	const CustomResource *resource = get_resource(report);

	if (resource == NULL || strcmp(report->uid, resource->uid) == 0)
		return;
	strlcpy(report->uid, resource->uid, sizeof(report->uid));
	for (int i = 0; i < NTOPICS; i++)
		du_pace_restart(&report->topics[i]);
}

/*
 * Takes what has arrived and sends what is due, without waiting.
 */
void
du_kube_report_advance(KubernetesReport *report)
{
	MemoryContext caller = MemoryContextSwitchTo(report->scratch);
	TopicKind	kind;
	int64		due;

	du_http_advance(report->api->http);
	if (report->exchange != NULL)
		conclude(report);
	notice_other_resource(report);
	due = find_next(report, &kind);
	if (due >= 0 && due <= du_clock_ms())
	{
		send_topic(report, kind);
		du_http_advance(report->api->http);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(report->scratch);
}

/*
 * True when nothing is under way and nothing will be for some time.
 */
bool
du_kube_report_is_idle(const KubernetesReport *report)
{
	TopicKind	kind;
	int64		due = find_next(unconstify(KubernetesReport *, report), &kind);

	return report->exchange == NULL && (due < 0 || due > du_clock_ms() + SOON_MS);
}

/*
 * Adds the sockets and the time of the next du_kube_report_advance().
 */
void
du_kube_report_add_waits(KubernetesReport *report, WaitList *list)
{
	TopicKind	kind;
	int64		due = find_next(report, &kind);

	du_http_add_waits(report->api->http, list);
	if (due >= 0)
		du_wait_at_most(list, Max(due - du_clock_ms(), 0));
}

/*
 * What became of the requests so far.
 */
ReportCounters
du_kube_report_counters(const KubernetesReport *report)
{
	ReportCounters counters = report->counters;

	counters.dropped = report->events.queue.dropped;
	return counters;
}

/*
 * Ends all reports and frees them.
 */
void
du_kube_report_close(KubernetesReport *report)
{
	MemoryContextDelete(report->context);
}
