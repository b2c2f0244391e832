/*-------------------------------------------------------------------------
 *
 * http_client.h
 *	  HTTPS exchanges that never wait.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_HTTP_CLIENT_H
#define DU_HTTP_CLIENT_H

#include "worker/net/http_failure.h"
#include "worker/net/http_request.h"
#include "worker/net/wait_list.h"

typedef struct HttpClient HttpClient;
typedef struct HttpExchange HttpExchange;

typedef enum HttpState
{
	HTTP_RUNNING,
	HTTP_ANSWERED,
	HTTP_FAILED
} HttpState;

/*
 * How an exchange stands.  Pointers live until the exchange is ended.
 */
typedef struct HttpAnswer
{
	HttpState	state;
	int			status;			/* HTTP status, 0 until it is known; also set
								 * when the exchange failed later */
	const char *content_type;	/* "" when not said */
	long		retry_after_s;	/* -1 when not said */
	const char *body;			/* ends with a NUL; "" for the lines of a
								 * stream */
	size_t		body_length;
	bool		partial_line;	/* a stream ended within a line */
	HttpFailure failure;
	const char *problem;		/* a phrase when failed */
	int64		duration_ms;	/* until now, or until it ended */
} HttpAnswer;

extern HttpClient *du_http_open(void);
extern HttpExchange *du_http_start(HttpClient *client, const HttpRequest *request);
extern void du_http_advance(HttpClient *client);
extern const HttpAnswer *du_http_get_answer(HttpExchange *exchange);
extern bool du_http_take_line(HttpExchange *exchange, const char **line, size_t *length);
extern void du_http_end(HttpExchange *exchange);
extern void du_http_add_waits(HttpClient *client, WaitList *list);

#endif							/* DU_HTTP_CLIENT_H */
