/*-------------------------------------------------------------------------
 *
 * libpq_client.c
 *	  One statement on another server, without ever waiting.
 *
 * A client connects, runs one statement and disconnects as soon as its
 * outcome is known.  libpq says which way its socket is to be waited for; the
 * caller puts that into its own wait and calls du_libpq_advance() afterwards.
 * Whatever goes wrong is a value, never an error.  Not in our hands are name
 * resolution and Kerberos, for which libpq itself waits while it connects.
 *
 * The connection belongs to the client's memory context and goes with it.
 * Nothing is done about OpenSSL, which libcurl uses too: since 1.1.0 it is
 * initialised once per process by whoever comes first, and libpq keeps the
 * rest per connection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "libpq_client.h"

#include <ctype.h>
#include <poll.h>

#include "libpq-fe.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#define LONGEST_PHRASE 300

struct LibpqClient
{
	MemoryContext context;
	MemoryContextCallback callback;
	PGconn	   *conn;			/* NULL when it is closed */
	PostgresPollingStatusType polling;	/* while it connects */
	bool		connected;
	bool		unsent;			/* there is more to be sent */
	bool		answered;		/* the statement's outcome is known */

	char	   *statement;
	int			nparams;
	char	  **params;
	size_t		longest;
	int64		deadline;
	LibpqAnswer answer;
};

static void
disconnect(void *arg)
{
	LibpqClient *client = arg;

	if (client->conn != NULL)
		PQfinish(client->conn);
	client->conn = NULL;
}

/* What the server has to say besides its answer is of no interest here. */
static void
ignore_notice(void *arg, const PGresult *notice)
{
}

/*
 * A copy of a text from outside that can be shown: one line, bounded, valid
 * in this database's encoding.
 */
static char *
copy_phrase(const LibpqClient *client, const char *text, size_t length)
{
	char	   *copy = MemoryContextAllocZero(client->context, length + 1);

	memcpy(copy, text, length);
	if (!pg_verifymbstr(copy, length, true))
	{
		for (char *c = copy; *c != '\0'; c++)
			*c = IS_HIGHBIT_SET(*c) ? '?' : *c;
	}
	for (char *c = copy; *c != '\0'; c++)
		*c = (unsigned char) *c < ' ' || *c == 0x7f ? ' ' : *c;
	copy[pg_mbcliplen(copy, length, LONGEST_PHRASE)] = '\0';
	return copy;
}

static void
finish(LibpqClient *client, LibpqState state)
{
	client->answer.state = state;
	disconnect(client);
}

static void
fail(LibpqClient *client, LibpqFailure failure, const char *problem)
{
	client->answer.failure = failure;
	client->answer.problem = problem;
	finish(client, LIBPQ_FAILED);
}

/*
 * Finds in a line what the server says: "FATAL:  28P01: ...", in any
 * language.  Gives back what follows the SQLSTATE, or NULL.
 */
static const char *
find_sqlstate(const char *line, size_t length, char *sqlstate)
{
	for (const char *at = line; at + 10 <= line + length; at++)
	{
		int			n = 0;

		if (strncmp(at, ":  ", 3) != 0)
			continue;
		while (n < 5 && (isdigit((unsigned char) at[3 + n]) || isupper((unsigned char) at[3 + n])))
			n++;
		if (n < 5 || strncmp(at + 8, ": ", 2) != 0)
			continue;
		memcpy(sqlstate, at + 3, 5);
		sqlstate[5] = '\0';
		return at + 10;
	}
	return NULL;
}

/* What follows the address in a line of libpq's, where it can be told. */
static const char *
skip_address(const char *line, size_t length)
{
	static const char end[] = " failed: ";
	const char *found = strstr(line, end);

	return found != NULL && found < line + length ? found + strlen(end) : line;
}

/*
 * Why there is no connection.  libpq tells it for each address and manner
 * that it has tried, in lines; the last one that the server itself has said
 * counts, else the last one.  Lines that explain another begin with a tab, or
 * follow it.
 */
static void
fail_to_connect(LibpqClient *client)
{
	const char *line = PQerrorMessage(client->conn);
	const char *phrase = line;
	size_t		length = strcspn(line, "\n");
	LibpqFailure failure = LIBPQ_UNREACHABLE;

	if (PQconnectionNeedsPassword(client->conn))
	{
		fail(client, LIBPQ_NO_PASSWORD, "it asks for a password, and there is none");
		return;
	}
	while (*line != '\0')
	{
		size_t		n = strcspn(line, "\n");
		const char *said = find_sqlstate(line, n, client->answer.sqlstate);

		if (said != NULL)
		{
			failure = LIBPQ_NOT_ADMITTED;
			phrase = said;
			length = line + n - said;
		}
		else if (failure != LIBPQ_NOT_ADMITTED && n > 0 && line[0] != '\t')
		{
			phrase = skip_address(line, n);
			length = line + n - phrase;
		}
		line += line[n] == '\0' ? n : n + 1;
	}
	fail(client, failure, copy_phrase(client, phrase, length));
}

/* The connection has broken. */
static void
fail_midway(LibpqClient *client)
{
	const char *said = PQerrorMessage(client->conn);

	fail(client, LIBPQ_UNREACHABLE, copy_phrase(client, said, strcspn(said, "\n")));
}

static void
send_statement(LibpqClient *client)
{
	client->connected = true;
	client->unsent = true;
	if (PQsetnonblocking(client->conn, 1) != 0 ||
		!PQsendQueryParams(client->conn, client->statement, client->nparams, NULL,
						   (const char *const *) client->params, NULL, NULL, 0))
		fail_midway(client);
}

/*
 * Copies what matters of the statement's outcome.
 */
static void
take_outcome(LibpqClient *client, const PGresult *result)
{
	LibpqAnswer *answer = &client->answer;
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

	client->answered = true;
	if (PQresultStatus(result) == PGRES_TUPLES_OK &&
		PQntuples(result) > 0 && PQnfields(result) > 0 && !PQgetisnull(result, 0, 0))
	{
		if (PQgetlength(result, 0, 0) <= client->longest)
			answer->value = MemoryContextStrdup(client->context, PQgetvalue(result, 0, 0));
		else
			answer->problem = "the answer is too large";
	}
	else if (message != NULL)
		answer->problem = copy_phrase(client, message, strlen(message));
	else
		answer->problem = "the answer is empty";

	answer->failure = message != NULL ? LIBPQ_REFUSED : LIBPQ_UNUSABLE;
	if (detail != NULL)
		answer->detail = copy_phrase(client, detail, strlen(detail));
	if (hint != NULL)
		answer->hint = copy_phrase(client, hint, strlen(hint));
	if (sqlstate != NULL)
		strlcpy(answer->sqlstate, sqlstate, sizeof(answer->sqlstate));
}

/* Sends and takes what can be sent and taken. */
static void
converse(LibpqClient *client)
{
	int			flushed;

	if (!PQconsumeInput(client->conn) || (flushed = PQflush(client->conn)) < 0)
	{
		fail_midway(client);
		return;
	}
	client->unsent = flushed > 0;

	while (!PQisBusy(client->conn))
	{
		PGresult   *result = PQgetResult(client->conn);

		if (result == NULL)
		{
			if (client->answered)
				finish(client, client->answer.value != NULL ? LIBPQ_ANSWERED : LIBPQ_FAILED);
			else
				fail_midway(client);
			return;
		}
		if (!client->answered)
			take_outcome(client, result);
		PQclear(result);
	}
}

/* What to wait for: WL_SOCKET_READABLE, WL_SOCKET_WRITEABLE. */
static uint32
wanted_events(const LibpqClient *client)
{
	if (client->connected)
		return WL_SOCKET_READABLE | (client->unsent ? WL_SOCKET_WRITEABLE : 0);
	return client->polling == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE;
}

/* libpq takes it that the socket is ready when it is asked to go on. */
static bool
is_ready(const LibpqClient *client)
{
	uint32		events = wanted_events(client);
	struct pollfd ready = {0};

	ready.fd = PQsocket(client->conn);
	ready.events = ((events & WL_SOCKET_READABLE) ? POLLIN : 0) |
		((events & WL_SOCKET_WRITEABLE) ? POLLOUT : 0);
	return poll(&ready, 1, 0) > 0;
}

/*
 * Starts, in a memory context of its own below the current one.  A failure is
 * in the answer.
 */
LibpqClient *
du_libpq_start(const LibpqRequest *request)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "documentdb_upgrade libpq client",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	LibpqClient *client = palloc0(sizeof(LibpqClient));

	client->context = context;
	client->callback.func = disconnect;
	client->callback.arg = client;
	MemoryContextRegisterResetCallback(context, &client->callback);

	client->statement = pstrdup(request->statement);
	client->nparams = request->nparams;
	client->params = palloc0(request->nparams * sizeof(char *));
	for (int i = 0; i < request->nparams; i++)
		client->params[i] = pstrdup(request->params[i]);
	client->longest = request->longest;
	client->deadline = du_clock_ms() + request->timeout_ms;
	MemoryContextSwitchTo(caller);

	client->polling = PGRES_POLLING_WRITING;
	client->conn = PQconnectStartParams(request->keywords, request->values, 0);
	if (client->conn == NULL)
		fail(client, LIBPQ_UNREACHABLE, "out of memory");
	else if (PQstatus(client->conn) == CONNECTION_BAD)
		fail_to_connect(client);
	else
	{
		/* That a connection is refused comes without fields otherwise. */
		(void) PQsetErrorVerbosity(client->conn, PQERRORS_VERBOSE);
		(void) PQsetNoticeReceiver(client->conn, ignore_notice, NULL);
	}
	return client;
}

/*
 * Takes what has arrived and sends what can be sent, without waiting.
 */
void
du_libpq_advance(LibpqClient *client)
{
	if (client->answer.state == LIBPQ_RUNNING && du_clock_ms() >= client->deadline)
		fail(client, LIBPQ_TIMED_OUT, "timed out");

	while (client->answer.state == LIBPQ_RUNNING && is_ready(client))
	{
		if (client->connected)
		{
			converse(client);
			continue;
		}
		client->polling = PQconnectPoll(client->conn);
		if (client->polling == PGRES_POLLING_FAILED)
			fail_to_connect(client);
		else if (client->polling == PGRES_POLLING_OK)
			send_statement(client);
	}
}

/*
 * How it stands.
 */
const LibpqAnswer *
du_libpq_get_answer(const LibpqClient *client)
{
	return &client->answer;
}

/*
 * Adds the socket and the deadline that the client waits for.
 */
void
du_libpq_add_waits(const LibpqClient *client, WaitList *list)
{
	if (client->answer.state != LIBPQ_RUNNING)
	{
		du_wait_at_most(list, 0);
		return;
	}
	du_wait_at_most(list, Max(client->deadline - du_clock_ms(), 0));
	if (list->nsockets == WAIT_LIST_SOCKETS || PQsocket(client->conn) < 0)
	{
		du_wait_at_most(list, 100);
		return;
	}
	list->sockets[list->nsockets].fd = PQsocket(client->conn);
	list->sockets[list->nsockets].events = wanted_events(client);
	list->nsockets++;
}

/*
 * Ends it, finished or not, and frees everything.
 */
void
du_libpq_close(LibpqClient *client)
{
	MemoryContextDelete(client->context);
}
