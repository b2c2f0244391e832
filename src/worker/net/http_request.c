/*-------------------------------------------------------------------------
 *
 * http_request.c
 *	  How an HTTPS request is made: whom it trusts, how it travels, what it
 *	  says.
 *
 * Nothing is taken from the environment or from libcurl's defaults that
 * matters for safety: no proxy, no redirect, no other protocol, no CA but the
 * given ones.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/net/internal.h"

#define KEEPALIVE_IDLE_S		60L
#define KEEPALIVE_INTERVAL_S	15L

/* Options are only refused when there is no memory for their texts. */
#define SET(option, value) \
	do { \
		if (curl_easy_setopt(easy, (option), (value)) != CURLE_OK) \
			return false; \
	} while (0)

static bool
add_header(struct curl_slist **headers, const char *name, const char *value)
{
	char	   *header = psprintf("%s: %s", name, value);
	struct curl_slist *longer = curl_slist_append(*headers, header);

	pfree(header);
	if (longer == NULL)
		return false;
	*headers = longer;
	return true;
}

/*
 * The CA file is read anew for each connection: the one of a pod is replaced
 * when the cluster's CA changes.
 */
static bool
set_trust(CURL *easy, const HttpRequest *request)
{
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_CAINFO, request->ca_file);
	SET(CURLOPT_CAPATH, (char *) NULL);
	SET(CURLOPT_CA_CACHE_TIMEOUT, 0L);
	SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
	return true;
}

static bool
set_transport(CURL *easy, const HttpRequest *request)
{
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_CONNECTTIMEOUT_MS, request->connect_timeout_ms);
	SET(CURLOPT_TIMEOUT_MS, request->total_timeout_ms);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	SET(CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);

	/* Do not wait for a name server when an exchange is given up. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	return true;
}

static bool
set_headers(CURL *easy, struct curl_slist **headers, const HttpRequest *request)
{
	if (!add_header(headers, "Accept", "application/json"))
		return false;
	if (request->bearer_token != NULL)
	{
		char	   *credentials = psprintf("Bearer %s", request->bearer_token);
		bool		added = add_header(headers, "Authorization", credentials);

		pfree(credentials);
		if (!added)
			return false;
	}
	if (request->body != NULL && !add_header(headers, "Content-Type", request->content_type))
		return false;
	SET(CURLOPT_HTTPHEADER, *headers);
	return true;
}

static bool
set_content(CURL *easy, const HttpRequest *request)
{
	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_USERAGENT, request->user_agent);
	if (request->body != NULL)
	{
		SET(CURLOPT_POSTFIELDSIZE, (long) strlen(request->body));
		SET(CURLOPT_COPYPOSTFIELDS, request->body);
	}
	SET(CURLOPT_CUSTOMREQUEST, request->method);
	return true;
}

/*
 * Makes a handle ready for a request; false when there is no memory.  The
 * headers must live as long as the handle.
 */
bool
du_http_prepare(CURL *easy, struct curl_slist **headers, const HttpRequest *request)
{
	return set_trust(easy, request) &&
		set_transport(easy, request) &&
		set_headers(easy, headers, request) &&
		set_content(easy, request);
}
