/*-------------------------------------------------------------------------
 *
 * remote_connection.c
 *	  A connection of libpq's, waited for as processes of a server wait.
 *
 * Waits are for socket and latch at the same time, so interrupts are answered
 * at once; no function of libpq's that waits by itself is called.  What is
 * left to it is name resolution.
 *
 * How much the other server sends is up to that server.  Results come row by
 * row, what comes without being asked for is thrown away, and libpq, which
 * buffers each message as a whole, gets no more memory than the largest value
 * takes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/net/internal.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"

#include "parity/parity.h"

/*
 * What libpq may take for an answer: a buffer, which it doubles, and the
 * result that it makes of it.
 */
#define LARGEST_ANSWER	((size_t) 3 * REMOTE_LARGEST_VALUE + 64 * 1024 * 1024)

#define CANCEL_MS		2000
#define FAREWELL_MS		300
#define LONGEST_WAIT_MS 1000
#define LONGEST_MESSAGE 1000

/*
 * A copy of what libpq or the server says: one line, bounded, valid in this
 * database's encoding.
 */
char *
du_remote_copy_message(const char *text)
{
	int			length = strnlen(text, LONGEST_MESSAGE + MAX_MULTIBYTE_CHAR_LEN);
	char	   *copy = pnstrdup(text, pg_mbcliplen(text, length, LONGEST_MESSAGE));

	length = strlen(copy);
	while (length > 0 && copy[length - 1] == '\n')
		copy[--length] = '\0';
	if (!pg_verifymbstr(copy, length, true))
	{
		for (char *c = copy; *c != '\0'; c++)
			*c = IS_HIGHBIT_SET(*c) ? '?' : *c;
	}
	for (char *c = copy; *c != '\0'; c++)
		*c = (unsigned char) *c < ' ' || *c == 0x7f ? ' ' : *c;
	return copy;
}

/*
 * Waits for the socket or the latch; answers interrupts, which are held off
 * while this process ends.
 */
static void
wait_for_socket(pgsocket socket, uint32 events, long ms)
{
	int			happened = WaitLatchOrSocket(MyLatch,
											 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | events,
											 socket, ms, PG_WAIT_EXTENSION);

	if (happened & WL_LATCH_SET)
		ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Takes what has arrived, and throws notifications away, which libpq would
 * keep; false when the connection breaks.
 */
static bool
consume(PGconn *conn, size_t most_memory)
{
	MemoryLimit limit;
	PGnotify   *notification;
	bool		consumed;

	du_memory_limit(&limit, most_memory);
	consumed = PQconsumeInput(conn);
	while (consumed && (notification = PQnotifies(conn)) != NULL)
		PQfreemem(notification);
	du_memory_unlimit(&limit);
	return consumed;
}

static bool
is_busy(PGconn *conn, size_t most_memory)
{
	MemoryLimit limit;
	bool		busy;

	du_memory_limit(&limit, most_memory);
	busy = PQisBusy(conn);
	du_memory_unlimit(&limit);
	return busy;
}

static PostgresPollingStatusType
poll_connection(PGconn *conn, size_t most_memory)
{
	MemoryLimit limit;
	PostgresPollingStatusType polling;

	du_memory_limit(&limit, most_memory);
	polling = PQconnectPoll(conn);
	du_memory_unlimit(&limit);
	return polling;
}

/*
 * Brings a connection about; false when it fails or takes too long.
 */
bool
du_remote_await_connection(PGconn *conn, long timeout_ms, const char **problem)
{
	size_t		most_memory = du_memory_grown_by(LARGEST_ANSWER);
	int64		deadline = du_clock_ms() + timeout_ms;
	PostgresPollingStatusType polling = PGRES_POLLING_WRITING;

	*problem = NULL;
	while (PQstatus(conn) != CONNECTION_BAD)
	{
		int64		left = timeout_ms > 0 ? deadline - du_clock_ms() : LONGEST_WAIT_MS;

		if (polling == PGRES_POLLING_OK)
			return true;
		if (polling == PGRES_POLLING_FAILED)
			return false;
		if (left <= 0)
		{
			*problem = "timed out";
			return false;
		}
		wait_for_socket(PQsocket(conn), polling == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE,
						Min(left, LONGEST_WAIT_MS));
		polling = poll_connection(conn, most_memory);
	}
	return false;
}

/*
 * True when an idle connection is known to have ended.  What the other server
 * has said about it comes before the end, and is read by itself.
 */
bool
du_remote_is_broken(PGconn *conn)
{
	size_t		most_memory = du_memory_grown_by(LARGEST_ANSWER);

	for (int i = 0; i < 2; i++)
	{
		if (!consume(conn, most_memory) || PQstatus(conn) == CONNECTION_BAD)
			return true;
		(void) is_busy(conn, most_memory);
	}
	return false;
}

/*
 * Sends all of a message, whose results are to come row by row; false when the
 * connection breaks.
 */
bool
du_remote_send(PGconn *conn, const char *statements)
{
	size_t		most_memory = du_memory_grown_by(LARGEST_ANSWER);
	int			flushed;

	if (!PQsendQuery(conn, statements) || !PQsetSingleRowMode(conn))
		return false;
	while ((flushed = PQflush(conn)) > 0)
	{
		wait_for_socket(PQsocket(conn), WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE, LONGEST_WAIT_MS);
		if (!consume(conn, most_memory))
			return false;
	}
	return flushed == 0;
}

/*
 * The next result, each row by itself; NULL after the last one, or when the
 * connection breaks.
 */
PGresult *
du_remote_next_result(PGconn *conn)
{
	size_t		most_memory = du_memory_grown_by(LARGEST_ANSWER);

	while (is_busy(conn, most_memory))
	{
		wait_for_socket(PQsocket(conn), WL_SOCKET_READABLE, LONGEST_WAIT_MS);
		if (!consume(conn, most_memory))
			break;
	}
	return PQgetResult(conn);
}

/*
 * Takes what arrives until an answer is complete, for so long.
 */
static void
hear_out(PGconn *conn, long ms)
{
	int64		deadline = du_clock_ms() + ms;
	size_t		most_memory = du_memory_grown_by(LARGEST_ANSWER);

	while (is_busy(conn, most_memory) && du_clock_ms() < deadline)
	{
		wait_for_socket(PQsocket(conn), WL_SOCKET_READABLE, Max(deadline - du_clock_ms(), 0));
		if (!consume(conn, most_memory))
			break;
	}
}

#ifdef LIBPQ_HAS_ASYNC_CANCEL
static void
request_cancel(PGconn *conn, const RemoteTarget *target, const char *identity)
{
	int64		deadline = du_clock_ms() + CANCEL_MS;
	PGcancelConn *request = PQcancelCreate(conn);
	PostgresPollingStatusType polling = PGRES_POLLING_WRITING;

	if (request != NULL && PQcancelStart(request))
	{
		while (polling != PGRES_POLLING_OK && polling != PGRES_POLLING_FAILED && du_clock_ms() < deadline)
		{
			wait_for_socket(PQcancelSocket(request),
							polling == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE,
							Max(deadline - du_clock_ms(), 0));
			polling = PQcancelPoll(request);
		}
	}
	PQcancelFinish(request);
}
#else

/* What the other server says besides its answers is of no interest here. */
static void
ignore_notice(void *arg, const PGresult *notice)
{
}

/*
 * Begins another connection to the very server that this one leads to, which
 * may be one of several that the target names.
 */
static PGconn *
start_connection_beside(PGconn *conn, const RemoteTarget *target)
{
	const char *const keywords[] = {"host", "hostaddr", "port"};
	const char *const values[] = {PQhost(conn), PQhostaddr(conn), PQport(conn)};
	int			n = 0;
	const char **all_keywords;
	const char **all_values;
	PGconn	   *other;

	while (target->keywords[n] != NULL)
		n++;
	all_keywords = palloc0((n + lengthof(keywords) + 1) * sizeof(char *));
	all_values = palloc0((n + lengthof(keywords) + 1) * sizeof(char *));
	memcpy(all_keywords, target->keywords, n * sizeof(char *));
	memcpy(all_values, target->values, n * sizeof(char *));

	/* Of a keyword that is there twice the last one counts, unless it is empty. */
	for (int i = 0; i < lengthof(keywords); i++)
	{
		for (int k = 0; k < n; k++)
		{
			if (strcmp(all_keywords[k], keywords[i]) == 0)
				all_values[k] = NULL;
		}
		all_keywords[n + i] = keywords[i];
		all_values[n + i] = values[i];
	}
	other = PQconnectStartParams(all_keywords, all_values, 0);
	if (other != NULL)
		(void) PQsetNoticeReceiver(other, ignore_notice, NULL);
	return other;
}

/*
 * Before 17 libpq's own request waits for the network without a limit.
 */
static void
request_cancel(PGconn *conn, const RemoteTarget *target, const char *identity)
{
	PGconn	   *other;
	const char *problem;
	const char *started;

	if (identity == NULL)
		return;
	started = strchr(identity, ' ');
	other = start_connection_beside(conn, target);
	if (other != NULL && du_remote_await_connection(other, CANCEL_MS, &problem) &&
		du_remote_send(other, psprintf("SELECT pg_catalog.pg_cancel_backend(a.pid) FROM pg_catalog.pg_stat_activity a"
									   " WHERE a.pid = %.*s AND a.backend_start = '%s' AND a.state = 'active'",
									   (int) (started - identity), identity, started + 1)))
		hear_out(other, CANCEL_MS);
	PQfinish(other);
}
#endif

/*
 * Cancels what runs in a session there, as far as that is possible in a short
 * time, and lets the other server say so: it complains of clients that do not
 * listen.  The identity is the number of its process and when that started,
 * with nothing in it that SQL would take for more; NULL when it is not known.
 */
void
du_remote_cancel(PGconn *conn, const RemoteTarget *target, const char *identity)
{
	request_cancel(conn, target, identity);
	hear_out(conn, FAREWELL_MS);
}
