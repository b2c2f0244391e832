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
 * The server that answers may be broken, or another.  One row is taken as it
 * arrives; when something else comes the connection is closed, and neither
 * how much comes nor how long it does is up to that server.
 *
 * The connection belongs to the client's memory context and goes with it.
 * Nothing is done about OpenSSL, which libcurl uses too: since 1.1.0 it is
 * initialised once per process by whoever comes first, and libpq keeps the
 * rest per connection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/net/internal.h"

#include <poll.h>

#include "libpq-fe.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#define LONGEST_PHRASE	300
#define MOST_MEMORY		(64 * 1024 * 1024)
#define MOST_ROUNDS		64		/* of taking what has arrived, at a time */

struct LibpqClient
{
	MemoryContext context;
	MemoryContextCallback callback;
	PGconn	   *conn;			/* NULL when it is closed */
	PostgresPollingStatusType polling;	/* while it connects */
	bool		connected;
	bool		unsent;			/* there is more to be sent */
	bool		answered;		/* the statement's outcome is known */
	size_t		most_memory;	/* see memory_limit.h */

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
	char	   *copy;

	length = pg_mbcliplen(text, Min(length, LONGEST_PHRASE + MAX_MULTIBYTE_CHAR_LEN), LONGEST_PHRASE);
	copy = MemoryContextAllocZero(client->context, length + 1);
	memcpy(copy, text, length);
	if (!pg_verifymbstr(copy, length, true))
	{
		for (char *c = copy; *c != '\0'; c++)
			*c = IS_HIGHBIT_SET(*c) ? '?' : *c;
	}
	for (char *c = copy; *c != '\0'; c++)
		*c = (unsigned char) *c < ' ' || *c == 0x7f ? ' ' : *c;
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

/* How many of the first five characters are as in an SQLSTATE. */
static int
match_sqlstate(const char *text)
{
	int			n = 0;

	while (n < 5 && ((text[n] >= '0' && text[n] <= '9') || (text[n] >= 'A' && text[n] <= 'Z')))
		n++;
	return n;
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
		if (strncmp(at, ":  ", 3) != 0 || match_sqlstate(at + 3) < 5 || strncmp(at + 8, ": ", 2) != 0)
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
						   (const char *const *) client->params, NULL, NULL, 0) ||
		!PQsetSingleRowMode(client->conn))
		fail_midway(client);
}

/* The copy of a field of an error, or NULL. */
static const char *
copy_field(const LibpqClient *client, const PGresult *result, int field)
{
	const char *text = PQresultErrorField(result, field);

	return text != NULL ? copy_phrase(client, text, strlen(text)) : NULL;
}

/* The statement has failed. */
static void
take_error(LibpqClient *client, const PGresult *result)
{
	LibpqAnswer *answer = &client->answer;
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	answer->value = NULL;
	answer->problem = copy_field(client, result, PG_DIAG_MESSAGE_PRIMARY);
	answer->failure = answer->problem != NULL ? LIBPQ_REFUSED : LIBPQ_UNUSABLE;
	if (answer->problem == NULL)
		answer->problem = "the answer is an error without a message";
	answer->detail = copy_field(client, result, PG_DIAG_MESSAGE_DETAIL);
	answer->hint = copy_field(client, result, PG_DIAG_MESSAGE_HINT);
	if (sqlstate != NULL && match_sqlstate(sqlstate) == 5 && sqlstate[5] == '\0')
		strlcpy(answer->sqlstate, sqlstate, sizeof(answer->sqlstate));
}

/* Why a row is none that can be used, or NULL. */
static const char *
find_fault(const LibpqClient *client, const PGresult *row)
{
	if (client->answer.value != NULL)
		return "the answer has several rows";
	if (PQntuples(row) != 1 || PQnfields(row) < 1 || PQgetisnull(row, 0, 0))
		return "the answer is empty";
	if (PQgetlength(row, 0, 0) > client->longest)
		return "the answer is too large";
	if (PQfformat(row, 0) != 0 || strlen(PQgetvalue(row, 0, 0)) != PQgetlength(row, 0, 0))
		return "the answer is not text";
	return NULL;
}

/*
 * Takes a result, or the row of one.  What makes no sense ends it all.
 */
static void
take_result(LibpqClient *client, const PGresult *result)
{
	const char *fault = NULL;

	if (PQresultStatus(result) == PGRES_FATAL_ERROR)
	{
		/* One that follows another is about the connection. */
		if (!client->answered || client->answer.value != NULL)
			take_error(client, result);
		client->answered = true;
	}
	else if (client->answered)
		fault = "the answer has several results";
	else if (PQresultStatus(result) == PGRES_SINGLE_TUPLE)
	{
		fault = find_fault(client, result);
		if (fault == NULL)
			client->answer.value = MemoryContextStrdup(client->context, PQgetvalue(result, 0, 0));
	}
	else if (PQresultStatus(result) == PGRES_TUPLES_OK && client->answer.value != NULL)
		client->answered = true;
	else
		fault = "the answer is empty";

	if (fault != NULL)
	{
		client->answer.value = NULL;
		fail(client, LIBPQ_UNUSABLE, fault);
	}
}

/* Sends and takes what can be sent and taken. */
static void
converse(LibpqClient *client)
{
	PGnotify   *notification;
	int			flushed;

	if (!PQconsumeInput(client->conn) || (flushed = PQflush(client->conn)) < 0)
	{
		fail_midway(client);
		return;
	}
	client->unsent = flushed > 0;

	/* Nobody has asked for them, and libpq keeps them. */
	while ((notification = PQnotifies(client->conn)) != NULL)
		PQfreemem(notification);

	while (client->conn != NULL && !PQisBusy(client->conn))
	{
		PGresult   *result = PQgetResult(client->conn);

		if (result != NULL)
			take_result(client, result);
		else if (client->answered)
			finish(client, client->answer.value != NULL ? LIBPQ_ANSWERED : LIBPQ_FAILED);
		else if (PQstatus(client->conn) != CONNECTION_BAD)
			fail(client, LIBPQ_UNUSABLE, "the answer is empty");
		else
			fail_midway(client);
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
	client->most_memory = du_memory_grown_by(MOST_MEMORY);
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

/* One round of connecting, or of asking and answering. */
static void
go_on(LibpqClient *client)
{
	if (client->connected)
	{
		converse(client);
		return;
	}
	client->polling = PQconnectPoll(client->conn);
	if (client->polling == PGRES_POLLING_FAILED)
		fail_to_connect(client);
	else if (client->polling == PGRES_POLLING_OK)
		send_statement(client);
}

/* The same, whatever the other server sends. */
static void
go_on_within_limit(LibpqClient *client)
{
	MemoryLimit limit;

	du_memory_limit(&limit, client->most_memory);
	PG_TRY();
	{
		go_on(client);
	}
	PG_FINALLY();
	{
		du_memory_unlimit(&limit);
	}
	PG_END_TRY();
}

/*
 * Takes what has arrived and sends what can be sent, without waiting.  A
 * server that never stops is left after some rounds, until the next call.
 */
void
du_libpq_advance(LibpqClient *client)
{
	for (int i = 0; i < MOST_ROUNDS && client->answer.state == LIBPQ_RUNNING; i++)
	{
		if (du_clock_ms() >= client->deadline)
			fail(client, LIBPQ_TIMED_OUT, "timed out");
		else if (is_ready(client))
			go_on_within_limit(client);
		else
			break;
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
