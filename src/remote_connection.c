/*-------------------------------------------------------------------------
 *
 * remote_connection.c
 *	  A connection of libpq's, waited for as processes of a server wait.
 *
 * Waits are for socket and latch at the same time, so interrupts are answered
 * at once; no function of libpq's that waits by itself is called.  What is
 * left to it is name resolution.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "remote_connection.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"

#include "wait_list.h"

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
	char	   *copy = pstrdup(text);
	int			length = strlen(copy);

	while (length > 0 && copy[length - 1] == '\n')
		copy[--length] = '\0';
	if (!pg_verifymbstr(copy, length, true))
	{
		for (char *c = copy; *c != '\0'; c++)
			*c = IS_HIGHBIT_SET(*c) ? '?' : *c;
	}
	for (char *c = copy; *c != '\0'; c++)
		*c = (unsigned char) *c < ' ' ? ' ' : *c;
	copy[pg_mbcliplen(copy, length, LONGEST_MESSAGE)] = '\0';
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
 * Brings a connection about; false when it fails or takes too long.
 */
bool
du_remote_await_connection(PGconn *conn, long timeout_ms, const char **problem)
{
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
		polling = PQconnectPoll(conn);
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
	for (int i = 0; i < 2; i++)
	{
		if (!PQconsumeInput(conn) || PQstatus(conn) == CONNECTION_BAD)
			return true;
		(void) PQisBusy(conn);
	}
	return false;
}

/*
 * Sends all of a message; false when the connection breaks.
 */
bool
du_remote_send(PGconn *conn, const char *statements)
{
	int			flushed;

	if (!PQsendQuery(conn, statements))
		return false;
	while ((flushed = PQflush(conn)) > 0)
	{
		wait_for_socket(PQsocket(conn), WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE, LONGEST_WAIT_MS);
		if (!PQconsumeInput(conn))
			return false;
	}
	return flushed == 0;
}

/*
 * The next result, NULL after the last one, or when the connection breaks.
 */
PGresult *
du_remote_next_result(PGconn *conn)
{
	while (PQisBusy(conn))
	{
		wait_for_socket(PQsocket(conn), WL_SOCKET_READABLE, LONGEST_WAIT_MS);
		if (!PQconsumeInput(conn))
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

	while (PQisBusy(conn) && du_clock_ms() < deadline)
	{
		wait_for_socket(PQsocket(conn), WL_SOCKET_READABLE, Max(deadline - du_clock_ms(), 0));
		if (!PQconsumeInput(conn))
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

/*
 * Before 17 libpq's own request waits for the network without a limit.
 */
static void
request_cancel(PGconn *conn, const RemoteTarget *target, const char *identity)
{
	PGconn	   *other;
	const char *problem;

	if (identity == NULL)
		return;
	other = PQconnectStartParams(target->keywords, target->values, 0);
	if (other != NULL && du_remote_await_connection(other, CANCEL_MS, &problem) &&
		PQsendQuery(other, psprintf("SELECT pg_catalog.pg_cancel_backend(a.pid) FROM pg_catalog.pg_stat_activity a"
									" WHERE %s AND a.state = 'active'", identity)))
		hear_out(other, CANCEL_MS);
	PQfinish(other);
}
#endif

/*
 * Cancels what runs in a session there, as far as that is possible in a short
 * time, and lets the other server say so: it complains of clients that do not
 * listen.  The identity is a condition on the alias a of pg_stat_activity.
 */
void
du_remote_cancel(PGconn *conn, const RemoteTarget *target, const char *identity)
{
	request_cancel(conn, target, identity);
	hear_out(conn, FAREWELL_MS);
}
