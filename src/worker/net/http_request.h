/*-------------------------------------------------------------------------
 *
 * http_request.h
 *	  How an HTTPS request is made.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_HTTP_REQUEST_H
#define DU_HTTP_REQUEST_H

#include <curl/curl.h>

typedef struct HttpRequest
{
	const char *method;			/* "GET", "POST", "PATCH" */
	const char *url;			/* https:// only */
	const char *user_agent;
	const char *content_type;	/* of the body */
	const char *body;			/* NULL: none */
	const char *bearer_token;	/* NULL: none */
	const char *ca_file;		/* the only CAs that are trusted */
	long		connect_timeout_ms;
	long		total_timeout_ms;
	size_t		cap;			/* bytes of the answer, or of one line */
	bool		stream;			/* the answer is taken line by line */
} HttpRequest;

extern bool du_http_prepare(CURL *easy, struct curl_slist **headers,
							const HttpRequest *request);

#endif							/* DU_HTTP_REQUEST_H */
