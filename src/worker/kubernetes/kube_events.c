/*-------------------------------------------------------------------------
 *
 * kube_events.c
 *	  How an Event gets to the API server, or is counted there.
 *
 * The name of an Event's object is made from what it says, so the same Event
 * meets its own object again, also after a restart.  It is then counted in
 * two steps: the answer to the first patch tells the count so far, which
 * spares the right to read Events, and the second one sets it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include <unistd.h>

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "pgtime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "worker/net/net.h"
#include "worker/source/source.h"

#define LONGEST_PREFIX		230 /* of a name of 253 */
#define LONGEST_REPORTER	128

/*
 * Nothing to deliver, in the current memory context.
 */
void
du_events_init(EventDelivery *delivery)
{
	memset(delivery, 0, sizeof(*delivery));
	du_event_queue_init(&delivery->queue);
}

/* The pod, or what this machine is called. */
static char *
get_reporter(void)
{
	const char *pod = getenv("POD_NAME");
	char		host[LONGEST_REPORTER + 1] = "";

	if (pod == NULL || pod[0] == '\0')
	{
		(void) gethostname(host, LONGEST_REPORTER);
		pod = host;
	}
	return du_json_copy_text(pod, strnlen(pod, LONGEST_REPORTER));
}

static void
name_event(EventDelivery *delivery, const CustomResource *resource, const QueuedEvent *event)
{
	char	   *key = psprintf("%s\n%s\n%s", resource->uid, event->reason, event->message);
	uint64		hash = hash_bytes_extended((unsigned char *) key, strlen(key), 0);

	snprintf(delivery->name, sizeof(delivery->name), "%.*s.%016llx", LONGEST_PREFIX,
			 resource->name, (unsigned long long) hash);
}

/*
 * The next request about the oldest Event, which there must be.  The text is
 * in the current memory context.
 */
char *
du_events_build(EventDelivery *delivery, const CustomResource *resource,
				  KubeRequest *request)
{
	QueuedEvent *queued = du_event_queue_first(&delivery->queue);
	ResourceEvent event;

	if (!delivery->queue.first_in_use)
		name_event(delivery, resource, queued);
	delivery->queue.first_in_use = true;

	event.name = delivery->name;
	event.type = queued->type;
	event.reason = queued->reason;
	event.message = queued->message;
	event.first_time = du_body_format_time(queued->first_time);
	event.last_time = du_body_format_time(queued->last_time);
	event.count = queued->count;

	*request = delivery->exists ? KUBE_PATCH_EVENT : KUBE_CREATE_EVENT;
	if (!delivery->exists)
		return du_body_build_event(resource, &event, get_reporter());
	if (delivery->count_body != NULL)
		return pstrdup(delivery->count_body);
	return du_body_build_event_time(&event);
}

static void
forget_count(EventDelivery *delivery)
{
	if (delivery->count_body != NULL)
		pfree(delivery->count_body);
	delivery->count_body = NULL;
}

static void
finish(EventDelivery *delivery)
{
	forget_count(delivery);
	delivery->exists = false;
	du_event_queue_remove_first(&delivery->queue);
}

/* The object is there and says how often it was counted. */
static void
take_count(EventDelivery *delivery, const HttpAnswer *answer)
{
	QueuedEvent *queued = du_event_queue_first(&delivery->queue);
	const char *version;
	int			count = du_body_parse_count(answer->body, answer->body_length, &version);
	MemoryContext caller = MemoryContextSwitchTo(delivery->queue.context);

	if (count >= 0)
		delivery->count_body = du_body_build_event_count((int) Min((int64) count + queued->count, PG_INT32_MAX), version);
	MemoryContextSwitchTo(caller);
}

/*
 * Takes the answer to the request that was built last.  False when it is a
 * failure: the same request is due again, later.
 */
bool
du_events_follow(EventDelivery *delivery, const HttpAnswer *answer)
{
	bool		accepted = answer->state == HTTP_ANSWERED && answer->status / 100 == 2;
	int			status = answer->state == HTTP_ANSWERED ? answer->status : 0;

	if (accepted)
	{
		if (delivery->exists && delivery->count_body == NULL)
			take_count(delivery, answer);
		else
			finish(delivery);
	}
	else if (status == 409)
	{
		/* It exists, or somebody else has changed it: find out its count. */
		delivery->exists = true;
		forget_count(delivery);
	}
	else if (status == 404 && delivery->exists)
	{
		/* Too old to be kept: create it anew. */
		delivery->exists = false;
		forget_count(delivery);
	}
	else if (status == 400 || status == 413 || status == 422 ||
			 (status == 403 && delivery->exists))
	{
		/* No other time will be better, or it is there and is not counted. */
		finish(delivery);
		delivery->queue.dropped++;
	}
	else
		return false;
	return true;
}
