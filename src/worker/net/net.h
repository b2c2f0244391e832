/*-------------------------------------------------------------------------
 *
 * net.h
 *	  HTTP, JSON and libpq, without blocking.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_NET_H
#define DU_NET_H

#include "storage/latch.h"
#include <cjson/cJSON.h>
#include <curl/curl.h>

#include "base/clock.h"
#include "parity/parity.h"

/* ----
 * http_failure.c
 *
 * Why an HTTPS exchange came to nothing, in plain words.
 * ----
 */

typedef enum HttpFailure
{
	HTTP_NO_FAILURE,
	HTTP_UNREACHABLE,			/* may pass by itself */
	HTTP_UNTRUSTED,				/* TLS, certificates */
	HTTP_TOO_LARGE,				/* more than the cap */
	HTTP_UNUSABLE				/* no URL, no HTTP */
} HttpFailure;

/* ----
 * http_request.c
 *
 * How an HTTPS request is made.
 * ----
 */

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

/* ----
 * wait_list
 *
 * What the worker waits for besides its latch, and the clock for it.
 * ----
 */

#define WAIT_LIST_SOCKETS 8

typedef struct WaitList
{
	long		timeout_ms;		/* -1: no limit */
	int			nsockets;
	struct
	{
		pgsocket	fd;
		uint32		events;		/* WL_SOCKET_READABLE, WL_SOCKET_WRITEABLE */
	}			sockets[WAIT_LIST_SOCKETS];
} WaitList;

/* Shortens the wait: not negative, or no limit. */
static inline void
du_wait_at_most(WaitList *list, long ms)
{
	if (ms >= 0 && (list->timeout_ms < 0 || ms < list->timeout_ms))
		list->timeout_ms = ms;
}

/* ----
 * http_client.c
 *
 * HTTPS exchanges that never wait.
 * ----
 */

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

/* ----
 * json_document.c
 *
 * Safe access to JSON text from outside.
 * ----
 */

/*
 * Reads a palloc'd result from a parsed document.  Sets a reason, at the
 * start NULL, when the document makes no sense; its result is dropped then.
 */
typedef void *(*JsonReader) (const cJSON *document, void *arg, const char **reason);

extern void *du_json_read(const char *json, size_t length, JsonReader reader,
						  void *arg, const char **reason);

/*
 * Members of an object, which may be NULL.  None of them changes a reason
 * that is set already.
 */
extern const cJSON *du_json_member(const cJSON *object, const char *name);
extern const cJSON *du_json_object(const cJSON *parent, const char *name,
								   const char **reason);
extern char *du_json_text(const cJSON *parent, const char *name, size_t longest,
						  bool cut, const char **reason);
extern int64 du_json_number(const cJSON *parent, const char *name, int64 missing,
							const char **reason);
extern bool du_json_bool(const cJSON *parent, const char *name, const char **reason);
extern char *du_json_copy_text(const char *text, size_t length);

/* ----
 * libpq_client.c
 *
 * One statement on another server, without ever waiting.
 * ----
 */

typedef struct LibpqClient LibpqClient;

/* What is asked of whom. */
typedef struct LibpqRequest
{
	const char *const *keywords;	/* of the connection; ends with NULL */
	const char *const *values;
	const char *statement;
	int			nparams;
	const char *const *params;	/* as text */
	size_t		longest;		/* bytes that the answer may have */
	long		timeout_ms;		/* for everything together */
} LibpqRequest;

typedef enum LibpqState
{
	LIBPQ_RUNNING,
	LIBPQ_ANSWERED,
	LIBPQ_FAILED
} LibpqState;

/* Why it came to nothing. */
typedef enum LibpqFailure
{
	LIBPQ_UNREACHABLE,			/* no connection, or it broke */
	LIBPQ_TIMED_OUT,
	LIBPQ_NO_PASSWORD,			/* the server wants one and there is none */
	LIBPQ_NOT_ADMITTED,			/* the server refuses the connection */
	LIBPQ_REFUSED,				/* the server refuses the statement */
	LIBPQ_UNUSABLE				/* the answer is none */
} LibpqFailure;

/*
 * How it stands.  Pointers live until the client is closed.
 */
typedef struct LibpqAnswer
{
	LibpqState	state;
	const char *value;			/* first column of the first row */
	LibpqFailure failure;
	const char *problem;		/* a phrase when failed */
	const char *detail;			/* the server's, or NULL */
	const char *hint;			/* the same */
	char		sqlstate[6];	/* "" when the server has said none */
} LibpqAnswer;

extern LibpqClient *du_libpq_start(const LibpqRequest *request);
extern void du_libpq_advance(LibpqClient *client);
extern const LibpqAnswer *du_libpq_get_answer(const LibpqClient *client);
extern void du_libpq_add_waits(const LibpqClient *client, WaitList *list);
extern void du_libpq_close(LibpqClient *client);

/* ----
 * remote_target.c
 *
 * Another server, as a connection string names it.
 * ----
 */

struct RemoteTarget
{
	const char **keywords;		/* for libpq; both end with NULL */
	const char **values;
	long		timeout_ms;		/* for connecting; 0: no limit */
	bool		password_required;
	const PinnedSetting *settings;
};

#endif							/* DU_NET_H */
