/*-------------------------------------------------------------------------
 *
 * http_failure.h
 *	  Why an HTTPS exchange came to nothing, in plain words.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_HTTP_FAILURE_H
#define DU_HTTP_FAILURE_H

#include <curl/curl.h>

typedef enum HttpFailure
{
	HTTP_NO_FAILURE,
	HTTP_UNREACHABLE,			/* may pass by itself */
	HTTP_UNTRUSTED,				/* TLS, certificates */
	HTTP_TOO_LARGE,				/* more than the cap */
	HTTP_UNUSABLE				/* no URL, no HTTP */
} HttpFailure;

extern const char *du_http_describe_failure(CURL *easy, CURLcode code, bool too_large,
											HttpFailure *failure);

#endif							/* DU_HTTP_FAILURE_H */
