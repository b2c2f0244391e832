/*-------------------------------------------------------------------------
 *
 * kube_answer.c
 *	  What the answers of the API server mean.
 *
 * An answer becomes a verdict: the health that a source would show, with a
 * sentence about the problem and what to do.  What follows from it, and when,
 * is left to the caller.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include "worker/net/net.h"
#include "worker/source/source.h"

#define LONGEST_RETRY_AFTER_S 300

static const AccessRule rules[] = {
	[KUBE_GET_CLUSTER] = {"get", "clusters", "postgresql.cnpg.io"},
	[KUBE_GET_RESOURCE] = {"get", "dbs", "documentdb.io"},
	[KUBE_LIST_RESOURCES] = {"list", "dbs", "documentdb.io"},
	[KUBE_WATCH_RESOURCES] = {"watch", "dbs", "documentdb.io"},
	[KUBE_PATCH_STATUS] = {"patch", "dbs/status", "documentdb.io"},
	[KUBE_APPLY_CONDITION] = {"patch", "dbs/status", "documentdb.io"},
	[KUBE_TRY_CONDITION] = {"patch", "dbs/status", "documentdb.io"},
	[KUBE_CREATE_EVENT] = {"create", "events", ""},
	[KUBE_PATCH_EVENT] = {"patch", "events", ""}
};

/* The server's own words at the end of a sentence, or a period. */
static const char *
quote_server(const char *message)
{
	if (message == NULL || message[0] == '\0')
		return ".";
	return psprintf(": %s%s", message, message[strlen(message) - 1] == '.' ? "" : ".");
}

static void
judge_failure(const KubernetesApi *api, const HttpAnswer *answer, KubeVerdict *verdict)
{
	const char *what = answer->problem;

	verdict->health = SOURCE_UNREACHABLE;
	switch (answer->failure)
	{
		case HTTP_UNTRUSTED:
			verdict->problem = psprintf("The API server at %s cannot be trusted: %s.",
										api->server, what);
			verdict->hint = psprintf("The CA file \"%s\" must hold the CA of the API server's certificate; see documentdb_upgrade.kubernetes_ca_file.",
									 api->ca_file);
			break;
		case HTTP_TOO_LARGE:
			verdict->health = SOURCE_INVALID;
			verdict->problem = psprintf("The answer of the API server is larger than %d MiB.",
										KUBE_ANSWER_CAP / (1024 * 1024));
			break;
		case HTTP_UNUSABLE:
			verdict->health = SOURCE_INVALID;
			verdict->problem = psprintf("The API server at %s cannot be used: %s.",
										api->server, what);
			verdict->hint = "Check documentdb_upgrade.kubernetes_api_server.";
			break;
		default:
			verdict->problem = psprintf("The API server at %s cannot be reached: %s.",
										api->server, what);
			verdict->hint = "The worker tries again by itself; see documentdb_upgrade.kubernetes_api_server if the address is wrong.";
			break;
	}
}

/* Where a rule must hold, for people. */
static const char *
name_place(const KubernetesApi *api, const AccessRule *rule)
{
	const char *name = rule->namespace_name != NULL ? rule->namespace_name : api->namespace_name;

	return name[0] != '\0' ? psprintf("in namespace \"%s\"", name) : "in the whole cluster";
}

static void
judge_forbidden(const KubernetesApi *api, const AccessRule *rule, const char *message,
				KubeVerdict *verdict)
{
	const char *place = name_place(api, rule);

	verdict->health = SOURCE_REFUSED;
	verdict->problem = psprintf("The API server does not allow this pod to %s %s %s%s",
								rule->verb, rule->resource, place, quote_server(message));
	verdict->hint = psprintf("Grant verb \"%s\" on resource \"%s\" of API group \"%s\" %s to the service account of this pod; see docs/kubernetes.md.",
							 rule->verb, rule->resource, rule->group, place);
}

/* The object is missing, or its whole kind. */
static void
judge_missing(const AccessRule *rule, const char *message, KubeVerdict *verdict)
{
	verdict->health = SOURCE_MISSING;
	verdict->kind_missing = message == NULL;
	if (message == NULL)
	{
		verdict->problem = psprintf("The API server does not know %s%s%s.", rule->resource,
									rule->group[0] != '\0' ? "." : "", rule->group);
		verdict->hint = "Install the operator with its CustomResourceDefinition.";
	}
	else
		verdict->problem = psprintf("The API server does not find what it was asked for%s",
									quote_server(message));
}

/* Any other status but 2xx. */
static void
judge_status(int status, const char *message, KubeVerdict *verdict)
{
	if (status == 429 || status >= 500)
	{
		verdict->health = SOURCE_UNREACHABLE;
		verdict->problem = psprintf("The API server is not available now (HTTP %d)%s",
									status, quote_server(message));
		verdict->hint = "The worker tries again by itself.";
	}
	else if (status >= 300 && status < 400)
	{
		verdict->health = SOURCE_INVALID;
		verdict->problem = psprintf("The API server answered with a redirect (HTTP %d), which is not followed.",
									status);
		verdict->hint = "Set documentdb_upgrade.kubernetes_api_server to the address of the API server itself.";
	}
	else
	{
		verdict->health = SOURCE_INVALID;
		verdict->problem = psprintf("The API server does not accept the request (HTTP %d)%s",
									status, quote_server(message));
	}
}

static bool
is_json(const char *content_type)
{
	return pg_strncasecmp(content_type, "application/json", 16) == 0;
}

/*
 * What the answer to a request means that needs this rule.  Texts are in the
 * current memory context.
 */
KubeVerdict
du_kube_judge_rule(const KubernetesApi *api, const AccessRule *rule, const HttpAnswer *answer)
{
	KubeVerdict verdict = {0};
	const char *message = NULL;

	verdict.health = SOURCE_OK;
	verdict.status = answer->status;
	verdict.retry_after_ms = -1;
	if (answer->state != HTTP_ANSWERED)
	{
		judge_failure(api, answer, &verdict);
		return verdict;
	}
	if (answer->retry_after_s >= 0)
		verdict.retry_after_ms = Min(answer->retry_after_s, LONGEST_RETRY_AFTER_S) * 1000L;
	if (answer->status / 100 != 2)
		message = du_resource_status_message(answer->body, answer->body_length);

	if (answer->status == 401)
	{
		verdict.health = SOURCE_REFUSED;
		verdict.problem = "The API server does not accept the token.";
		verdict.hint = psprintf("The token of file \"%s\" has expired or belongs to another cluster.",
								api->token_file);
	}
	else if (answer->status == 403)
		judge_forbidden(api, rule, message, &verdict);
	else if (answer->status == 404)
		judge_missing(rule, message, &verdict);
	else if (answer->status / 100 != 2)
		judge_status(answer->status, message, &verdict);
	else if (!is_json(answer->content_type))
	{
		verdict.health = SOURCE_INVALID;
		verdict.problem = "The API server's answer is not JSON.";
		verdict.hint = "Check documentdb_upgrade.kubernetes_api_server: something else may answer there.";
	}
	return verdict;
}

/*
 * The same of one of the worker's own requests.
 */
KubeVerdict
du_kube_judge(const KubernetesApi *api, KubeRequest what, const HttpAnswer *answer)
{
	return du_kube_judge_rule(api, &rules[what], answer);
}
