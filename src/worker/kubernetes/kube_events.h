/*-------------------------------------------------------------------------
 *
 * kube_events.h
 *	  How an Event gets to the API server, or is counted there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_KUBE_EVENTS_H
#define DU_KUBE_EVENTS_H

#include "worker/kubernetes/event_queue.h"
#include "worker/kubernetes/kube_api.h"

#define EVENT_NAME_LENGTH 256

typedef struct EventDelivery
{
	EventQueue	queue;
	char		name[EVENT_NAME_LENGTH];	/* of the oldest Event's object */
	bool		exists;			/* the object is there already */
	char	   *count_body;		/* what is left to send about it, or NULL */
} EventDelivery;

extern void du_delivery_init(EventDelivery *delivery);
extern char *du_delivery_build(EventDelivery *delivery, const CustomResource *resource,
							   KubeRequest *request);
extern bool du_delivery_follow(EventDelivery *delivery, const HttpAnswer *answer);

#endif							/* DU_KUBE_EVENTS_H */
