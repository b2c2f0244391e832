/*-------------------------------------------------------------------------
 *
 * kube_api.h
 *	  The Kubernetes API server: who it is, and what is asked of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_KUBE_API_H
#define DU_KUBE_API_H

#include "worker/source/desired_source.h"
#include "worker/net/http_client.h"

#define KUBE_ANSWER_CAP (4 * 1024 * 1024)	/* bytes, or those of one line */

typedef struct KubernetesApi
{
	HttpClient *http;
	char	   *server;			/* "https://host:port", NULL: not known */
	char	   *namespace_name; /* NULL: not known */
	char	   *resource;		/* name, NULL: not known yet */
	char	   *cluster;		/* whose owner the resource is, or NULL */
	char	   *token_file;
	char	   *ca_file;
} KubernetesApi;

/* What a request is about. */
typedef enum KubeRequest
{
	KUBE_GET_CLUSTER,
	KUBE_GET_RESOURCE,
	KUBE_LIST_RESOURCES,
	KUBE_WATCH_RESOURCES,
	KUBE_PATCH_STATUS,
	KUBE_APPLY_CONDITION,
	KUBE_TRY_CONDITION,			/* the same, and changes nothing */
	KUBE_CREATE_EVENT,
	KUBE_PATCH_EVENT
} KubeRequest;

/* How an answer is to be understood. */
typedef struct KubeVerdict
{
	SourceHealth health;		/* SOURCE_OK: accepted */
	int			status;			/* HTTP status, 0: no answer */
	bool		kind_missing;	/* the server does not know the kind at all */
	const char *problem;		/* a sentence, NULL when accepted */
	const char *hint;			/* or NULL */
	long		retry_after_ms; /* what the server asks for, or -1 */
} KubeVerdict;

/* When to try again. */
typedef struct Backoff
{
	int			failures;		/* in a row */
} Backoff;

extern KubernetesApi *du_kube_open(void);
extern bool du_kube_find_server(KubernetesApi *api, KubeVerdict *verdict);
extern void du_kube_set_resource(KubernetesApi *api, const char *name);
extern bool du_kube_is_name(const char *name);

/*
 * Each starts a request, or gives back NULL and the verdict when the token
 * cannot be read.
 */
extern HttpExchange *du_kube_get(KubernetesApi *api, KubeRequest what, KubeVerdict *verdict);
extern HttpExchange *du_kube_watch(KubernetesApi *api, const char *resource_version,
								   int seconds, KubeVerdict *verdict);
extern HttpExchange *du_kube_send(KubernetesApi *api, KubeRequest what,
								  const char *event_name, const char *body,
								  KubeVerdict *verdict);

extern long du_kube_next_delay(Backoff *backoff);

#endif							/* DU_KUBE_API_H */
