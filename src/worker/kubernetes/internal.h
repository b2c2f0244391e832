/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_KUBERNETES_INTERNAL_H
#define DU_KUBERNETES_INTERNAL_H

#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "lib/stringinfo.h"

#include "worker/kubernetes/kubernetes.h"
#include "worker/net/net.h"
#include "worker/source/source.h"

/* ----
 * event_queue.c
 *
 * Events that wait to be delivered.
 * ----
 */

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

/* ----
 * kube_api.c
 *
 * The Kubernetes API server: who it is, and what is asked of it.
 * ----
 */

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

/* What the role of the pod's service account must allow. */
typedef struct AccessRule
{
	const char *verb;
	const char *resource;
	const char *group;
	const char *namespace_name; /* NULL: that of the pod, "": the whole cluster */
} AccessRule;

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
extern HttpExchange *du_kube_get_path(KubernetesApi *api, const char *path, KubeVerdict *verdict);
extern HttpExchange *du_kube_watch(KubernetesApi *api, const char *resource_version,
								   int seconds, KubeVerdict *verdict);
extern HttpExchange *du_kube_send(KubernetesApi *api, KubeRequest what,
								  const char *event_name, const char *body,
								  KubeVerdict *verdict);

extern long du_kube_next_delay(Backoff *backoff);

/* ----
 * kube_answer.c
 *
 * What the answers of the API server mean.
 * ----
 */

extern KubeVerdict du_kube_judge(const KubernetesApi *api, KubeRequest what,
								 const HttpAnswer *answer);
extern KubeVerdict du_kube_judge_rule(const KubernetesApi *api, const AccessRule *rule,
									  const HttpAnswer *answer);

/* ----
 * kube_findings.c
 *
 * What objects of the cluster say about the checks of the health reports.
 * ----
 */

typedef enum FindingKind
{
	FINDING_DEPLOYMENT,
	FINDING_DEPLOYMENTS,
	FINDING_WEBHOOKS,
	FINDING_DEFINITION,
	FINDING_CLUSTER,
	FINDING_QUOTAS,
	FINDING_IMAGES,
	FINDING_GATEWAYS
} FindingKind;

/* One request of a check. */
typedef struct KubeQuestion
{
	const char *check_name;		/* row of the health reports */
	AccessRule	rule;
	const char *path;			/* with {ns} and {cluster} */
	FindingKind kind;
	const char *name;			/* of the object, NULL for a list */
} KubeQuestion;

typedef enum FindingGrade
{
	FINDING_PASS,
	FINDING_WARN,
	FINDING_FAIL
} FindingGrade;

/* All zero, but for an empty text, is a finding to which nothing was added. */
typedef struct KubeFinding
{
	FindingGrade grade;
	bool		missing;		/* nothing was found that could be judged */
	StringInfoData text;		/* sentences */
} KubeFinding;

extern const KubeQuestion *du_finding_question(int n);
extern const char *du_finding_read(KubeFinding *finding, const KubeQuestion *question,
								   const char *name, const char *json, size_t length);
extern void du_finding_note_absence(KubeFinding *finding, const KubeQuestion *question,
									const char *name);

/* ----
 * kube_events.c
 *
 * How an Event gets to the API server, or is counted there.
 * ----
 */

#define EVENT_NAME_LENGTH 256

typedef struct EventDelivery
{
	EventQueue	queue;
	char		name[EVENT_NAME_LENGTH];	/* of the oldest Event's object */
	bool		exists;			/* the object is there already */
	char	   *count_body;		/* what is left to send about it, or NULL */
} EventDelivery;

extern void du_events_init(EventDelivery *delivery);
extern char *du_events_build(EventDelivery *delivery, const CustomResource *resource,
							   KubeRequest *request);
extern bool du_events_follow(EventDelivery *delivery, const HttpAnswer *answer);

/* ----
 * report_content.c
 *
 * What status and condition of the custom resource should say.
 * ----
 */

typedef struct DesiredReport
{
	ReportContent content;
	uint64		serial;			/* of the content; 0: there is none yet */
	MemoryContext context;		/* of the content */
} DesiredReport;

extern DesiredReport *du_content_create(void);
extern void du_content_set(DesiredReport *wish, const ReportContent *content);
extern bool du_content_wants_version(const DesiredReport *wish, const CustomResource *resource);
extern bool du_content_wants_condition(const DesiredReport *wish, const CustomResource *resource);
extern char *du_content_build_condition(const DesiredReport *wish, const CustomResource *resource);

/* ----
 * resource_cache.c
 *
 * What is known of the custom resource.
 * ----
 */

#define RESOURCE_VERSION_LENGTH 256

typedef struct ResourceCache
{
	DesiredState *state;		/* what is shown */
	bool		changed;		/* it has, since somebody cleared this */
	uint64		events;			/* of a watch, taken so far */
	char		resume[RESOURCE_VERSION_LENGTH];	/* version to watch from;
													 * "": none */
	MemoryContext context;
	MemoryContext resource_context; /* of the state's resource */
	MemoryContext problem_context;	/* of its problem and hint */
} ResourceCache;

extern ResourceCache *du_cache_open(DesiredState *state);
extern void du_cache_set_location(ResourceCache *view, const char *namespace_name,
								  const char *resource);
extern void du_cache_set_health(ResourceCache *view, SourceHealth health,
							   const char *problem, const char *hint);
extern void du_cache_note_contact(ResourceCache *view);
extern void du_cache_note_absence(ResourceCache *view);
extern MemoryContext du_cache_create_context(ResourceCache *view);
extern const char *du_cache_take(ResourceCache *view, MemoryContext fresh,
								const CustomResource *resource, const char *name);
extern bool du_cache_is_older(const ResourceCache *view, const CustomResource *resource);
extern bool du_cache_is_version(const char *version);

/* ----
 * kube_watch.c
 *
 * The watch of the custom resource.
 * ----
 */

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

extern KubernetesWatch *du_watch_create(KubernetesApi *api, ResourceCache *view);
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

/* ----
 * report_body.c
 *
 * Bodies of the requests that report about a custom resource, and what
 * their answers say.
 * ----
 */

/* As field manager, and as reporting component of Events. */
#define REPORTER_NAME "documentdb-upgrade"

/* The condition as it shall be. */
typedef struct ResourceCondition
{
	const char *status;
	const char *reason;
	const char *message;
	const char *since;			/* lastTransitionTime, RFC 3339 */
} ResourceCondition;

/* An Event about the resource. */
typedef struct ResourceEvent
{
	const char *name;
	const char *type;			/* "Normal", "Warning" */
	const char *reason;
	const char *message;
	const char *first_time;		/* RFC 3339 */
	const char *last_time;
	int			count;
} ResourceEvent;

/* Each gives back palloc'd JSON text. */
extern char *du_body_build_status(const CustomResource *resource,
									 const char *schema_version);
extern char *du_body_build_condition(const CustomResource *resource,
										const ResourceCondition *condition);
extern char *du_body_build_event(const CustomResource *resource,
									const ResourceEvent *event, const char *reporter);
extern char *du_body_build_event_time(const ResourceEvent *event);
extern char *du_body_build_event_count(int count, const char *resource_version);

extern char *du_body_format_time(TimestampTz time);

extern bool du_body_shows_condition(const char *json, size_t length,
									   const char *manager, int others);
extern int	du_body_parse_count(const char *json, size_t length,
								   const char **resource_version);

/* ----
 * report_pace.c
 *
 * The pace of one thing that is reported.
 * ----
 */

/* All zero is a topic about which nothing was sent yet. */
typedef struct ReportPace
{
	Backoff		backoff;
	int64		not_before;		/* by the clock */
	bool		logged;			/* that it is refused */

	/* What was sent last. */
	bool		accepted;
	bool		outdated;		/* the resource had changed meanwhile */
	uint64		serial;			/* of the content */
	char		version[RESOURCE_VERSION_LENGTH];	/* of the resource */

	/* What was accepted last, and how often that was undone. */
	uint64		accepted_serial;
	int64		accepted_generation;
	Backoff		undone;
} ReportPace;

extern int64 du_pace_get_due(const ReportPace *topic, uint64 serial, const char *version);
extern void du_pace_note_sent(ReportPace *topic, uint64 serial, const char *version);
extern void du_pace_accept(ReportPace *topic, int64 generation);
extern void du_pace_outdate(ReportPace *topic);
extern void du_pace_retry(ReportPace *topic);
extern void du_pace_put_off(ReportPace *topic, long ms);
extern void du_pace_restart(ReportPace *topic);

#endif							/* DU_KUBERNETES_INTERNAL_H */
