/*-------------------------------------------------------------------------
 *
 * event_queue.c
 *	  Events that wait to be delivered.
 *
 * A short queue: when the server stays away for long, the newest Events are
 * the ones that matter.  An Event that waits already is counted instead of
 * queued again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "worker/net/net.h"

#define LONGEST_QUEUE		20
#define LONGEST_REASON		128
#define LONGEST_MESSAGE		1024	/* the server's own limit */

/*
 * An empty queue, in the current memory context.
 */
void
du_event_queue_init(EventQueue *queue)
{
	memset(queue, 0, sizeof(*queue));
	queue->context = CurrentMemoryContext;
	dlist_init(&queue->events);
}

static char *
copy_text(const char *text, int longest)
{
	return du_json_copy_text(text, pg_mbcliplen(text, strlen(text), longest));
}

static void
remove_event(EventQueue *queue, QueuedEvent *event)
{
	dlist_delete(&event->node);
	queue->nevents--;
	pfree(event->type);
	pfree(event->reason);
	pfree(event->message);
	pfree(event);
}

/* The oldest Event that is not being delivered. */
static QueuedEvent *
find_oldest(EventQueue *queue)
{
	dlist_node *node = dlist_head_node(&queue->events);

	if (queue->first_in_use)
		node = dlist_next_node(&queue->events, node);
	return dlist_container(QueuedEvent, node, node);
}

/* Counts an Event that waits already. */
static bool
count_again(EventQueue *queue, const QueuedEvent *event)
{
	const QueuedEvent *in_use = queue->first_in_use ? dlist_head_element(QueuedEvent, node, &queue->events) : NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &queue->events)
	{
		QueuedEvent *waiting = dlist_container(QueuedEvent, node, iter.cur);

		if (in_use != NULL && waiting == in_use)
			continue;
		if (strcmp(waiting->type, event->type) == 0 &&
			strcmp(waiting->reason, event->reason) == 0 &&
			strcmp(waiting->message, event->message) == 0)
		{
			waiting->last_time = event->last_time;
			waiting->count++;
			return true;
		}
	}
	return false;
}

/*
 * Adds an Event of now.
 */
void
du_event_queue_add(EventQueue *queue, const char *type, const char *reason,
				   const char *message)
{
	MemoryContext caller = MemoryContextSwitchTo(queue->context);
	QueuedEvent *event = palloc0(sizeof(QueuedEvent));
	bool		counted;

	event->type = pstrdup(type);
	event->reason = copy_text(reason, LONGEST_REASON);
	event->message = copy_text(message, LONGEST_MESSAGE);
	event->first_time = event->last_time = GetCurrentTimestamp();
	event->count = 1;
	MemoryContextSwitchTo(caller);

	counted = count_again(queue, event);
	dlist_push_tail(&queue->events, &event->node);
	queue->nevents++;
	if (counted)
		remove_event(queue, event);
	else if (queue->nevents > LONGEST_QUEUE)
	{
		remove_event(queue, find_oldest(queue));
		queue->dropped++;
	}
}

/*
 * The oldest Event, or NULL.
 */
QueuedEvent *
du_event_queue_first(EventQueue *queue)
{
	if (dlist_is_empty(&queue->events))
		return NULL;
	return dlist_container(QueuedEvent, node, dlist_head_node(&queue->events));
}

/*
 * The oldest Event is done with.
 */
void
du_event_queue_remove_first(EventQueue *queue)
{
	remove_event(queue, du_event_queue_first(queue));
	queue->first_in_use = false;
}
