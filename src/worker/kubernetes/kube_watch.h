/*-------------------------------------------------------------------------
 *
 * kube_watch.h
 *	  The watch of the custom resource.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_KUBE_WATCH_H
#define DU_KUBE_WATCH_H

#include "worker/kubernetes/kube_api.h"
#include "worker/kubernetes/resource_cache.h"

/* What is left to do after du_watch_advance(). */
typedef enum WatchOutcome
{
	WATCH_STAYS,				/* nothing, or it comes back by itself */
	WATCH_AT_END,				/* read anew, its time is over */
	WATCH_EXPIRED,				/* list, its version is too old */
	WATCH_FORBIDDEN,			/* poll */
	WATCH_FAILED				/* read, to see what is wrong */
} WatchOutcome;

typedef struct KubernetesWatch KubernetesWatch;

extern KubernetesWatch *du_watch_create(KubernetesApi *api, ResourceView *view);
extern void du_watch_want(KubernetesWatch *watch, bool wanted);
extern bool du_watch_is_running(const KubernetesWatch *watch);
extern bool du_watch_is_open(const KubernetesWatch *watch);
extern bool du_watch_is_steady(const KubernetesWatch *watch);
extern bool du_watch_is_failing(const KubernetesWatch *watch);
extern WatchOutcome du_watch_advance(KubernetesWatch *watch, int64 not_before,
									 KubeVerdict *verdict);
extern long du_watch_get_list_delay(KubernetesWatch *watch);
extern void du_watch_forgive(KubernetesWatch *watch);
extern void du_watch_add_waits(KubernetesWatch *watch, int64 not_before, WaitList *list);

#endif							/* DU_KUBE_WATCH_H */
