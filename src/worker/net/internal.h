/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_NET_INTERNAL_H
#define DU_NET_INTERNAL_H

#include "libpq-fe.h"
#include <curl/curl.h>
#include <sys/resource.h>

#include "parity/parity.h"
#include "worker/net/net.h"

/* ----
 * http_buffer.c
 *
 * Bytes that arrive over the network, whole or line by line.
 * ----
 */

/* All zero, but for the cap, is an empty buffer. */
typedef struct HttpBuffer
{
	size_t		cap;			/* most bytes, or bytes of one line */
	bool		too_large;		/* more than that came */
	char	   *data;			/* malloc'd; ends with a NUL */
	size_t		length;
	size_t		capacity;
	size_t		taken;			/* lines before this were taken */
	size_t		last_line;		/* what follows the last newline */
} HttpBuffer;

extern bool du_buffer_add(HttpBuffer *buffer, const char *data, size_t length, bool lines);
extern bool du_buffer_take_line(HttpBuffer *buffer, const char **line, size_t *length);
extern void du_buffer_free(HttpBuffer *buffer);

/* ----
 * http_failure.c
 *
 * Why an HTTPS exchange came to nothing, in plain words.
 * ----
 */

extern const char *du_http_describe_failure(CURL *easy, CURLcode code, bool too_large,
											HttpFailure *failure);

/* ----
 * http_request.c
 *
 * How an HTTPS request is made.
 * ----
 */

extern bool du_http_prepare(CURL *easy, struct curl_slist **headers,
							const HttpRequest *request);

/* ----
 * memory_limit.c
 *
 * A limit for what a foreign library allocates.
 * ----
 */

typedef struct MemoryLimit
{
	struct rlimit before;
	bool		set;			/* there is something to be undone */
} MemoryLimit;

extern size_t du_memory_grown_by(size_t more);
extern void du_memory_limit(MemoryLimit *limit, size_t most);
extern void du_memory_unlimit(const MemoryLimit *limit);

/* ----
 * remote_target.c
 *
 * Another server, as a connection string names it.
 * ----
 */

extern RemoteTarget *du_remote_target_parse(const RemoteRequest *request,
											StatementOutcome *problem);

/* ----
 * remote_connection.c
 *
 * A connection of libpq's, waited for as processes of a server wait.
 * ----
 */

/* What an answer may contain. */
#define REMOTE_LARGEST_VALUE (256 * 1024 * 1024)

extern bool du_remote_await_connection(PGconn *conn, long timeout_ms, const char **problem);
extern bool du_remote_is_broken(PGconn *conn);
extern bool du_remote_send(PGconn *conn, const char *statements);
extern PGresult *du_remote_next_result(PGconn *conn);
extern char *du_remote_copy_message(const char *text);
extern void du_remote_cancel(PGconn *conn, const RemoteTarget *target,
							 const char *identity);

#endif							/* DU_NET_INTERNAL_H */
