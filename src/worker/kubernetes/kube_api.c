/*-------------------------------------------------------------------------
 *
 * kube_api.c
 *	  The Kubernetes API server: who it is, and what is asked of it.
 *
 * In a pod everything is known from the environment and from the files of its
 * service account; settings override it.  The token is read for every
 * request, because it is replaced every hour, and goes nowhere else.
 *
 * Requests are started here; what their answers mean is found out in
 * kube_answer.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include <ctype.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/pg_prng.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "worker/net/net.h"
#include "worker/source/source.h"

#ifndef DU_VERSION
#define DU_VERSION "unknown"
#endif

/* Must not contain "curl": the server then indents its JSON. */
#define USER_AGENT			"documentdb-upgrade/" DU_VERSION
#define SERVICE_ACCOUNT		"/var/run/secrets/kubernetes.io/serviceaccount"
#define FIELD_MANAGER		"documentdb-upgrade"

#define CONNECT_TIMEOUT_MS	5000
#define READ_TIMEOUT_MS		15000
#define WRITE_TIMEOUT_MS	30000
#define WATCH_GRACE_MS		30000
#define LONGEST_TOKEN		65536
#define LONGEST_NAME		253
#define FIRST_DELAY_MS		1000
#define LONGEST_DELAY_MS	60000

/*
 * True for what Kubernetes takes as a name: lower-case letters, digits, "-"
 * and ".".  Such a name needs no quoting in a URL.
 */
bool
du_kube_is_name(const char *name)
{
	size_t		length = strlen(name);

	return length > 0 && length <= LONGEST_NAME && name[0] != '.' && name[0] != '-' &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == length;
}

/*
 * Content of a small file without white space at its ends, palloc'd; NULL
 * with errno when it cannot be read or is too large.
 */
static char *
read_small_file(const char *path, size_t longest)
{
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	char	   *content;
	char	   *start;
	ssize_t		length = 0;
	ssize_t		got;

	if (fd < 0)
		return NULL;
	content = palloc(longest + 1);
	while ((got = read(fd, content + length, longest - length)) > 0)
		length += got;
	if (got < 0 || length == longest)
	{
		int			save_errno = got < 0 ? errno : EFBIG;

		CloseTransientFile(fd);
		pfree(content);
		errno = save_errno;
		return NULL;
	}
	CloseTransientFile(fd);

	while (length > 0 && isspace((unsigned char) content[length - 1]))
		length--;
	content[length] = '\0';
	for (start = content; isspace((unsigned char) *start); start++)
		length--;
	memmove(content, start, length + 1);
	return content;
}

/* The value of an environment variable; NULL when it is not set or empty. */
static const char *
get_environment(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool
is_set(const char *setting)
{
	return setting != NULL && setting[0] != '\0';
}

static char *
find_server_url(void)
{
	const char *host = get_environment("KUBERNETES_SERVICE_HOST");
	const char *port = get_environment("KUBERNETES_SERVICE_PORT");

	if (is_set(du_guc_kubernetes_api_server))
	{
		char	   *url = pstrdup(du_guc_kubernetes_api_server);
		size_t		length = strlen(url);

		while (length > 0 && url[length - 1] == '/')
			url[--length] = '\0';
		return url;
	}
	if (host == NULL)
		return NULL;
	return psprintf(strchr(host, ':') != NULL ? "https://[%s]:%s" : "https://%s:%s",
					host, port != NULL ? port : "443");
}

static char *
find_namespace(const KubernetesApi *api)
{
	const char *slash = strrchr(api->token_file, '/');
	const char *name = get_environment("NAMESPACE");
	char	   *path;
	char	   *content;

	if (is_set(du_guc_kubernetes_namespace))
		return pstrdup(du_guc_kubernetes_namespace);
	path = psprintf("%.*snamespace",
					slash == NULL ? 0 : (int) (slash + 1 - api->token_file), api->token_file);
	content = read_small_file(path, LONGEST_NAME + 10);
	pfree(path);
	if (content != NULL && content[0] != '\0')
		return content;
	return name != NULL ? pstrdup(name) : NULL;
}

/*
 * Opens a client, with what belongs to it, in the current memory context.
 */
KubernetesApi *
du_kube_open(void)
{
	KubernetesApi *api = palloc0(sizeof(KubernetesApi));

	api->http = du_http_open();
	api->token_file = pstrdup(is_set(du_guc_kubernetes_token_file) ?
							  du_guc_kubernetes_token_file : SERVICE_ACCOUNT "/token");
	api->ca_file = pstrdup(is_set(du_guc_kubernetes_ca_file) ?
						   du_guc_kubernetes_ca_file : SERVICE_ACCOUNT "/ca.crt");
	return api;
}

static bool
refuse_settings(KubeVerdict *verdict, const char *problem, const char *hint)
{
	memset(verdict, 0, sizeof(*verdict));
	verdict->health = SOURCE_INVALID;
	verdict->problem = problem;
	verdict->hint = hint;
	verdict->retry_after_ms = -1;
	return false;
}

/*
 * Finds out where the API server and the resource are, as far as that can be
 * known without asking.  False with a verdict when it cannot be known.  The
 * values go to the memory context of the client.
 */
bool
du_kube_find_server(KubernetesApi *api, KubeVerdict *verdict)
{
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(api));
	const char *cluster = get_environment("CLUSTER_NAME");

	if (api->server == NULL)
		api->server = find_server_url();
	if (api->namespace_name == NULL)
		api->namespace_name = find_namespace(api);
	if (api->resource == NULL && is_set(du_guc_kubernetes_resource))
		api->resource = pstrdup(du_guc_kubernetes_resource);
	if (api->cluster == NULL && cluster != NULL)
		api->cluster = pstrdup(cluster);
	MemoryContextSwitchTo(old);

	if (api->server == NULL)
		return refuse_settings(verdict,
							   "The address of the Kubernetes API server is not known.",
							   "This server does not run in a pod: set documentdb_upgrade.kubernetes_api_server, or another documentdb_upgrade.source.");
	if (strncmp(api->server, "https://", 8) != 0 || strpbrk(api->server, "@?# \t\r\n") != NULL)
		return refuse_settings(verdict,
							   "The address of the Kubernetes API server is not an https:// URL of a host and a port.",
							   "Correct documentdb_upgrade.kubernetes_api_server.");
	if (api->namespace_name == NULL || !du_kube_is_name(api->namespace_name))
	{
		/* The file could be written later. */
		api->namespace_name = NULL;
		return refuse_settings(verdict,
							   "The namespace of the custom resource is not known.",
							   "Set documentdb_upgrade.kubernetes_namespace.");
	}
	if (api->resource == NULL && api->cluster == NULL)
		return refuse_settings(verdict,
							   "The name of the custom resource is not known.",
							   "Set documentdb_upgrade.kubernetes_resource.");
	if (!du_kube_is_name(api->resource != NULL ? api->resource : api->cluster))
		return refuse_settings(verdict,
							   "The name of the custom resource is not one that Kubernetes allows.",
							   "Correct documentdb_upgrade.kubernetes_resource.");
	return true;
}

/*
 * The name of the resource has been found out.
 */
void
du_kube_set_resource(KubernetesApi *api, const char *name)
{
	api->resource = MemoryContextStrdup(GetMemoryChunkContext(api), name);
}

/*
 * The token as it is now; NULL with a verdict when there is none.  Its text
 * is used for a header, so nothing that could end one is accepted.
 */
static char *
read_token(const KubernetesApi *api, KubeVerdict *verdict)
{
	char	   *token = read_small_file(api->token_file, LONGEST_TOKEN);
	const char *why = token == NULL ? strerror(errno) : "it is empty";

	if (token != NULL)
	{
		bool		plain = token[0] != '\0';

		for (const char *c = token; *c != '\0'; c++)
		{
			if (*c <= ' ' || *c > '~')
			{
				plain = false;
				why = "it holds no token";
			}
		}
		if (plain)
			return token;
		pfree(token);
	}
	memset(verdict, 0, sizeof(*verdict));
	verdict->health = SOURCE_REFUSED;
	verdict->problem = psprintf("The token file \"%s\" cannot be used: %s.", api->token_file, why);
	verdict->hint = "Mount the token of a service account, or set documentdb_upgrade.kubernetes_token_file.";
	verdict->retry_after_ms = -1;
	return NULL;
}

/*
 * Adds the token and what is the same for all requests, and starts it.
 */
static HttpExchange *
start(KubernetesApi *api, HttpRequest *request, KubeVerdict *verdict)
{
	char	   *token = read_token(api, verdict);
	HttpExchange *exchange;

	if (token == NULL)
		return NULL;
	request->user_agent = USER_AGENT;
	request->bearer_token = token;
	request->ca_file = api->ca_file;
	request->connect_timeout_ms = CONNECT_TIMEOUT_MS;
	request->cap = KUBE_ANSWER_CAP;
	exchange = du_http_start(api->http, request);
	pfree(token);
	return exchange;
}

/* URL of the custom resources of the namespace. */
static char *
resources_url(const KubernetesApi *api)
{
	return psprintf("%s/apis/documentdb.io/preview/namespaces/%s/dbs",
					api->server, api->namespace_name);
}

/*
 * Starts a read: of the cluster, of the resource, or of the list that holds
 * nothing but the resource.
 */
HttpExchange *
du_kube_get(KubernetesApi *api, KubeRequest what, KubeVerdict *verdict)
{
	HttpRequest request = {0};

	request.method = "GET";
	request.total_timeout_ms = READ_TIMEOUT_MS;
	if (what == KUBE_GET_CLUSTER)
		request.url = psprintf("%s/apis/postgresql.cnpg.io/v1/namespaces/%s/clusters/%s",
							   api->server, api->namespace_name, api->cluster);
	else if (what == KUBE_GET_RESOURCE)
		request.url = psprintf("%s/%s", resources_url(api), api->resource);
	else
		request.url = psprintf("%s?fieldSelector=metadata.name%%3D%s",
							   resources_url(api), api->resource);
	return start(api, &request, verdict);
}

/*
 * Starts a read of anything else, by the path of its URL.
 */
HttpExchange *
du_kube_get_path(KubernetesApi *api, const char *path, KubeVerdict *verdict)
{
	HttpRequest request = {0};

	request.method = "GET";
	request.total_timeout_ms = READ_TIMEOUT_MS;
	request.url = psprintf("%s%s", api->server, path);
	return start(api, &request, verdict);
}

/*
 * Starts a watch of the resource, bounded by the server and, should that
 * fail, here.
 */
HttpExchange *
du_kube_watch(KubernetesApi *api, const char *resource_version, int seconds,
			  KubeVerdict *verdict)
{
	HttpRequest request = {0};

	request.method = "GET";
	request.stream = true;
	request.url = psprintf("%s?watch=1&fieldSelector=metadata.name%%3D%s&resourceVersion=%s"
						   "&allowWatchBookmarks=true&timeoutSeconds=%d",
						   resources_url(api), api->resource, resource_version, seconds);
	request.total_timeout_ms = seconds * 1000L + WATCH_GRACE_MS;
	return start(api, &request, verdict);
}

/*
 * Starts a write.  The name of an Event is needed to patch one.
 */
HttpExchange *
du_kube_send(KubernetesApi *api, KubeRequest what, const char *event_name,
			 const char *body, KubeVerdict *verdict)
{
	HttpRequest request = {0};

	request.body = body;
	request.total_timeout_ms = WRITE_TIMEOUT_MS;
	request.method = what == KUBE_CREATE_EVENT ? "POST" : "PATCH";
	switch (what)
	{
		case KUBE_APPLY_CONDITION:
		case KUBE_TRY_CONDITION:
			request.content_type = "application/apply-patch+yaml";
			request.url = psprintf("%s/%s/status?fieldManager=" FIELD_MANAGER "%s",
								   resources_url(api), api->resource,
								   what == KUBE_TRY_CONDITION ? "&dryRun=All" : "");
			break;
		case KUBE_CREATE_EVENT:
		case KUBE_PATCH_EVENT:
			request.content_type = what == KUBE_CREATE_EVENT ?
				"application/json" : "application/merge-patch+json";
			request.url = psprintf("%s/api/v1/namespaces/%s/events%s%s?fieldManager=" FIELD_MANAGER,
								   api->server, api->namespace_name,
								   what == KUBE_PATCH_EVENT ? "/" : "",
								   what == KUBE_PATCH_EVENT ? event_name : "");
			break;
		default:
			request.content_type = "application/merge-patch+json";
			request.url = psprintf("%s/%s/status?fieldManager=" FIELD_MANAGER,
								   resources_url(api), api->resource);
			break;
	}
	return start(api, &request, verdict);
}

/*
 * How long to wait after one more failure, in milliseconds: about twice as
 * long each time, never the same for all, one minute at most.
 */
long
du_kube_next_delay(Backoff *backoff)
{
	double		delay = FIRST_DELAY_MS * (double) (1 << Min(backoff->failures, 10));

	backoff->failures++;
	delay = Min(delay, LONGEST_DELAY_MS) * (0.5 + pg_prng_double(&pg_global_prng_state));
	return (long) Min(delay, LONGEST_DELAY_MS);
}
