/*-------------------------------------------------------------------------
 *
 * http_client.c
 *	  HTTPS exchanges that never wait.
 *
 * Several exchanges at a time run over libcurl's multi interface.  libcurl
 * says which sockets and which timer it waits for; the caller puts them into
 * its own wait and calls du_http_advance() afterwards.  An answer is a value:
 * whatever goes wrong on the way is a phrase in it, never an error.
 *
 * All foreign memory belongs to one HttpClient and goes with the memory
 * context that the client was opened in.  The callbacks neither allocate
 * there nor raise.  What requests mean is left to others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/net/internal.h"

#include <poll.h>
#include <signal.h>

#include "lib/ilist.h"
#include "utils/memutils.h"

#define MAX_IDLE_CONNECTIONS	2L
#define MAX_SOCKETS				16	/* far more than a few exchanges need */

typedef struct HttpSocket
{
	curl_socket_t fd;
	int			what;			/* CURL_POLL_IN, _OUT, _INOUT */
} HttpSocket;

struct HttpClient
{
	MemoryContext context;
	MemoryContextCallback callback;
	CURLM	   *multi;
	dlist_head	exchanges;
	HttpSocket	sockets[MAX_SOCKETS];
	int			nsockets;
	int64		timer_due;		/* -1: no timer */
};

struct HttpExchange
{
	dlist_node	node;
	HttpClient *client;
	CURL	   *easy;
	struct curl_slist *headers;
	bool		added;			/* to the client's multi handle */
	bool		stream;
	HttpBuffer	buffer;			/* the body, or lines not taken yet */
	int64		started;
	HttpAnswer	answer;
	char		content_type[128];
};

/*
 * Names may be resolved in a thread that libcurl starts.  It inherits the
 * signal mask, so that signals of the process always reach its main thread.
 */
static void
block_signals(sigset_t *before)
{
	sigset_t	all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

static void
restore_signals(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static void
raise_out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Failed while preparing an HTTPS request.")));
}

/*
 * Frees what an exchange holds outside of its memory context.
 */
static void
free_handles(HttpExchange *exchange)
{
	if (exchange->easy != NULL)
	{
		if (exchange->added)
			(void) curl_multi_remove_handle(exchange->client->multi, exchange->easy);
		curl_easy_cleanup(exchange->easy);
		exchange->easy = NULL;
	}
	curl_slist_free_all(exchange->headers);
	exchange->headers = NULL;
	du_buffer_free(&exchange->buffer);
	dlist_delete(&exchange->node);
}

/* The client's memory context goes. */
static void
free_client(void *arg)
{
	HttpClient *client = arg;
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &client->exchanges)
		free_handles(dlist_container(HttpExchange, node, iter.cur));
	if (client->multi != NULL)
		(void) curl_multi_cleanup(client->multi);
	client->multi = NULL;
}

/* Keeps the list of sockets to wait for. */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	HttpClient *client = arg;
	int			i = 0;

	while (i < client->nsockets && client->sockets[i].fd != fd)
		i++;
	if (what == CURL_POLL_REMOVE)
	{
		if (i < client->nsockets)
			client->sockets[i] = client->sockets[--client->nsockets];
	}
	else if (i < MAX_SOCKETS)
	{
		client->sockets[i].fd = fd;
		client->sockets[i].what = what;
		client->nsockets = Max(client->nsockets, i + 1);
	}
	return 0;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	HttpClient *client = arg;

	client->timer_due = timeout_ms < 0 ? -1 : du_clock_ms() + timeout_ms;
	return 0;
}

/*
 * True when the bytes that come in are lines of a stream; an answer other
 * than 200 is kept whole even then.
 */
static bool
is_streaming(HttpExchange *exchange)
{
	long		status = 0;

	if (!exchange->stream)
		return false;
	(void) curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	return status == 200;
}

static size_t
on_data(char *data, size_t size, size_t count, void *arg)
{
	HttpExchange *exchange = arg;

	if (du_buffer_add(&exchange->buffer, data, size * count, is_streaming(exchange)))
		return size * count;
	return 0;
}

/*
 * Opens a client that belongs to the current memory context.
 */
HttpClient *
du_http_open(void)
{
	static bool initialized = false;
	HttpClient *client;

	if (!initialized && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not prepare for HTTPS requests")));
	initialized = true;

	client = palloc0(sizeof(HttpClient));
	client->context = CurrentMemoryContext;
	client->timer_due = -1;
	dlist_init(&client->exchanges);
	client->callback.func = free_client;
	client->callback.arg = client;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &client->callback);

	client->multi = curl_multi_init();
	if (client->multi == NULL ||
		curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
		curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client) != CURLM_OK ||
		curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
		curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client) != CURLM_OK ||
		curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, MAX_IDLE_CONNECTIONS) != CURLM_OK)
		raise_out_of_memory();
	return client;
}

/*
 * Starts an exchange, which belongs to the client until it is ended.  Raises
 * when there is no memory.
 */
HttpExchange *
du_http_start(HttpClient *client, const HttpRequest *request)
{
	HttpExchange *exchange = MemoryContextAllocZero(client->context, sizeof(HttpExchange));

	exchange->client = client;
	exchange->stream = request->stream;
	exchange->buffer.cap = request->cap;
	exchange->started = du_clock_ms();
	exchange->answer.retry_after_s = -1;
	dlist_push_tail(&client->exchanges, &exchange->node);

	PG_TRY();
	{
		exchange->easy = curl_easy_init();
		if (exchange->easy == NULL)
			raise_out_of_memory();
		if (!du_http_prepare(exchange->easy, &exchange->headers, request) ||
			curl_easy_setopt(exchange->easy, CURLOPT_WRITEFUNCTION, on_data) != CURLE_OK ||
			curl_easy_setopt(exchange->easy, CURLOPT_WRITEDATA, exchange) != CURLE_OK ||
			curl_easy_setopt(exchange->easy, CURLOPT_PRIVATE, (char *) exchange) != CURLE_OK ||
			curl_multi_add_handle(client->multi, exchange->easy) != CURLM_OK)
			raise_out_of_memory();
		exchange->added = true;
	}
	PG_CATCH();
	{
		free_handles(exchange);
		pfree(exchange);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return exchange;
}

/* An exchange has come to its end. */
static void
settle(HttpExchange *exchange, CURLcode code)
{
	HttpAnswer *answer = &exchange->answer;
	long		status = 0;
	curl_off_t	retry_after = 0;
	char	   *content_type = NULL;

	(void) curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	(void) curl_easy_getinfo(exchange->easy, CURLINFO_RETRY_AFTER, &retry_after);
	(void) curl_easy_getinfo(exchange->easy, CURLINFO_CONTENT_TYPE, &content_type);

	answer->status = (int) status;
	answer->retry_after_s = retry_after > 0 ? (long) Min(retry_after, 86400) : -1;
	if (content_type != NULL)
		strlcpy(exchange->content_type, content_type, sizeof(exchange->content_type));
	answer->partial_line = is_streaming(exchange) &&
		exchange->buffer.last_line < exchange->buffer.length;
	answer->duration_ms = du_clock_ms() - exchange->started;
	if (code == CURLE_OK)
		answer->state = HTTP_ANSWERED;
	else
	{
		answer->state = HTTP_FAILED;
		answer->problem = du_http_describe_failure(exchange->easy, code, exchange->buffer.too_large,
												   &answer->failure);
	}

	/* An idle connection goes back to the pool at once. */
	(void) curl_multi_remove_handle(exchange->client->multi, exchange->easy);
	exchange->added = false;
}

static void
settle_finished(HttpClient *client)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(client->multi, &left)) != NULL)
	{
		char	   *exchange = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void) curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
		settle((HttpExchange *) exchange, message->data.result);
	}
}

/* Hands those sockets to libcurl that are ready. */
static void
serve_sockets(HttpClient *client)
{
	struct pollfd ready[MAX_SOCKETS];
	int			n = client->nsockets;
	int			running;

	for (int i = 0; i < n; i++)
	{
		int			what = client->sockets[i].what;

		ready[i].fd = client->sockets[i].fd;
		ready[i].events = ((what & CURL_POLL_IN) ? POLLIN : 0) |
			((what & CURL_POLL_OUT) ? POLLOUT : 0);
		ready[i].revents = 0;
	}
	if (n == 0 || poll(ready, n, 0) <= 0)
		return;
	for (int i = 0; i < n; i++)
	{
		int			events = 0;

		if (ready[i].revents & (POLLIN | POLLHUP))
			events |= CURL_CSELECT_IN;
		if (ready[i].revents & POLLOUT)
			events |= CURL_CSELECT_OUT;
		if (ready[i].revents & (POLLERR | POLLNVAL))
			events |= CURL_CSELECT_ERR;
		if (events != 0)
			(void) curl_multi_socket_action(client->multi, ready[i].fd, events, &running);
	}
}

/*
 * Takes what has arrived and sends what can be sent, without waiting.
 */
void
du_http_advance(HttpClient *client)
{
	sigset_t	before;
	int			running;

	block_signals(&before);
	serve_sockets(client);
	if (client->timer_due >= 0 && client->timer_due <= du_clock_ms())
	{
		client->timer_due = -1;
		(void) curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	settle_finished(client);
	restore_signals(&before);
}

/*
 * How the exchange stands now; lives until the exchange is ended.
 */
const HttpAnswer *
du_http_get_answer(HttpExchange *exchange)
{
	HttpAnswer *answer = &exchange->answer;
	bool		whole;

	if (answer->state == HTTP_RUNNING)
	{
		long		status = 0;

		(void) curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
		answer->status = status < 200 ? 0 : (int) status;
		answer->duration_ms = du_clock_ms() - exchange->started;
	}
	whole = answer->status != 200 || !exchange->stream;
	answer->content_type = exchange->content_type;
	answer->body = whole && exchange->buffer.length > 0 ? exchange->buffer.data : "";
	answer->body_length = whole ? exchange->buffer.length : 0;
	return answer;
}

/*
 * Takes the next complete line of a stream, without its newline.  The line
 * lives until the next call for this exchange or for the client.
 */
bool
du_http_take_line(HttpExchange *exchange, const char **line, size_t *length)
{
	return du_buffer_take_line(&exchange->buffer, line, length);
}

/*
 * Ends an exchange, finished or not, and frees it.
 */
void
du_http_end(HttpExchange *exchange)
{
	sigset_t	before;

	block_signals(&before);
	free_handles(exchange);
	restore_signals(&before);
	pfree(exchange);
}

/*
 * Adds the sockets and the time that the client waits for.
 */
void
du_http_add_waits(HttpClient *client, WaitList *list)
{
	for (int i = 0; i < client->nsockets; i++)
	{
		int			what = client->sockets[i].what;
		uint32		events = ((what & CURL_POLL_IN) ? WL_SOCKET_READABLE : 0) |
		((what & CURL_POLL_OUT) ? WL_SOCKET_WRITEABLE : 0);

		if (events == 0)
			continue;
		if (list->nsockets == WAIT_LIST_SOCKETS)
		{
			du_wait_at_most(list, 100);
			break;
		}
		list->sockets[list->nsockets].fd = client->sockets[i].fd;
		list->sockets[list->nsockets].events = events;
		list->nsockets++;
	}
	if (client->timer_due >= 0)
		du_wait_at_most(list, Max(client->timer_due - du_clock_ms(), 0));
}
