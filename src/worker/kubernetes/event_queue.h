/*-------------------------------------------------------------------------
 *
 * event_queue.h
 *	  Events that wait to be delivered.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_EVENT_QUEUE_H
#define DU_EVENT_QUEUE_H

#include "datatype/timestamp.h"
#include "lib/ilist.h"

typedef struct QueuedEvent
{
	dlist_node	node;
	char	   *type;			/* "Normal", "Warning" */
	char	   *reason;
	char	   *message;
	TimestampTz first_time;
	TimestampTz last_time;
	int			count;
} QueuedEvent;

typedef struct EventQueue
{
	MemoryContext context;
	dlist_head	events;			/* oldest first */
	int			nevents;
	bool		first_in_use;	/* the oldest one is being delivered */
	uint64		dropped;		/* because there were too many */
} EventQueue;

extern void du_event_queue_init(EventQueue *queue);
extern void du_event_queue_add(EventQueue *queue, const char *type,
							   const char *reason, const char *message);
extern QueuedEvent *du_event_queue_first(EventQueue *queue);
extern void du_event_queue_remove_first(EventQueue *queue);

#endif							/* DU_EVENT_QUEUE_H */
