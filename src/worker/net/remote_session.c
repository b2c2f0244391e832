/*-------------------------------------------------------------------------
 *
 * remote_session.c
 *	  A lasting session on another server, for whoever waits for it.
 *
 * The functions of remote_api.h.  Waits are for socket and latch at the same
 * time, so interrupts are answered at once.  What goes wrong there is a value;
 * trouble with the connection has SQLSTATE 08006, and the next statement
 * connects anew.
 *
 * Statements travel in one message together with the transaction around them,
 * and the other server says itself how long they took: here other things may
 * have been done meanwhile.
 *
 * A session that is closed while a statement runs there has it cancelled, by a
 * connection of its own which need not wait for the first.  From 14 on the
 * other server also looks by itself whether this one is still there.
 *
 * Nothing that arrives is believed.  It is known beforehand how many results
 * a message gives and of which kind, each row is looked at as it arrives, and
 * the rest of an answer that is not as expected is not waited for: the
 * connection is closed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/net/internal.h"

#include "libpq-fe.h"
#include "utils/memutils.h"

#include "parity/parity.h"

#define CONNECTION_LOST "the connection to the other server is lost"
#define LONGEST_MS		1e12
#define LONGEST_IDENTITY 64

/* The results of a message, in a string of these. */
#define RESULT_COMMAND	'c'
#define RESULT_ROW		'r'		/* of which nothing is wanted */
#define RESULT_VALUE	'v'		/* a row whose only column is the outcome */
#define RESULT_TIME		't'		/* a row with what it took, in milliseconds */

struct RemoteSession
{
	const RemoteTarget *target;
	PGconn	   *conn;			/* NULL when there is none */
	bool		under_way;		/* something was sent and not answered yet */
	bool		exported;		/* it is to run under an exported snapshot */
	bool		missed_snapshot;
	int64		begun;			/* by the clock of wait_list.h */
	char	   *identity;		/* of the backend there, for a cancel */
	StatementOutcome unsent;	/* why nothing was sent */
};

PGDLLEXPORT const RemoteApi *documentdb_upgrade_remote_api(void);

static void
ignore_notice(void *arg, const PGresult *notice)
{
}

static void
disconnect(RemoteSession *session)
{
	if (session->conn != NULL)
		PQfinish(session->conn);
	session->conn = NULL;
	session->under_way = false;
}

/* The connection has not come about, or is broken. */
static void
fail_connection(RemoteSession *session, const char *what, StatementOutcome *outcome)
{
	const char *said = session->conn != NULL ? PQerrorMessage(session->conn) : "out of memory\n";

	du_outcome_fail(outcome, ERRCODE_CONNECTION_FAILURE,
					psprintf("%s: %s", what, du_remote_copy_message(said)), NULL, NULL);
	disconnect(session);
}

static char *
copy_field(const PGresult *result, int field)
{
	const char *text = PQresultErrorField(result, field);

	return text !=NULL ? du_remote_copy_message(text) : NULL;
}

/*
 * The SQLSTATE of an error.  It must be one, and not that of a success.
 */
static int
read_sqlstate(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	/* What libpq says itself, or a server that is hardly one. */
	if (state == NULL)
		return ERRCODE_CONNECTION_FAILURE;
	if (strlen(state) != 5 || strspn(state, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5 ||
		strncmp(state, "00", 2) == 0)
		return ERRCODE_PROTOCOL_VIOLATION;
	return MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
}

static void
take_failure(const PGresult *result, StatementOutcome *outcome)
{
	char	   *message = copy_field(result, PG_DIAG_MESSAGE_PRIMARY);

	if (message == NULL)
		message = du_remote_copy_message(PQresultErrorMessage(result));
	du_outcome_fail(outcome, read_sqlstate(result), message,
					copy_field(result, PG_DIAG_MESSAGE_DETAIL),
					copy_field(result, PG_DIAG_MESSAGE_HINT));
}

/*
 * Makes it a failure that what arrives is not what was asked for, and does not
 * wait for the rest of it.
 */
static void
refuse(RemoteSession *session, int sqlstate, const char *message, StatementOutcome *outcome)
{
	du_outcome_fail(outcome, sqlstate, message, NULL, NULL);
	disconnect(session);
}

static void
refuse_strange(RemoteSession *session, StatementOutcome *outcome)
{
	refuse(session, ERRCODE_PROTOCOL_VIOLATION,
		   "the other server has not answered what it was asked", outcome);
}

/* The text of a row's only column, "" for a NULL; NULL when it is no text. */
static const char *
get_text(const PGresult *row)
{
	const char *text = PQgetvalue(row, 0, 0);

	return PQfformat(row, 0) == 0 && strlen(text) == PQgetlength(row, 0, 0) ? text : NULL;
}

/* What a statement took, by the other server's clock if that makes sense. */
static double
read_ms(const RemoteSession *session, const char *text)
{
	char	   *end;
	double		ms = strtod(text, &end);

	if (end != text && *end == '\0' && ms >= 0 && ms < LONGEST_MS)
		return ms;
	return du_clock_ms() - session->begun;
}

/*
 * Takes a row of the result that is expected.  Disconnects when it is another.
 */
static void
take_row(RemoteSession *session, const PGresult *row, char expected, StatementOutcome *outcome)
{
	const char *text;

	if (expected == RESULT_COMMAND)
		refuse_strange(session, outcome);
	else if (PQntuples(row) != 1 || PQnfields(row) != 1)
		refuse(session, ERRCODE_CARDINALITY_VIOLATION,
			   "one row of one column was expected from the other server", outcome);
	else if (PQgetlength(row, 0, 0) > REMOTE_LARGEST_VALUE)
		refuse(session, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
			   "the answer of the other server is too large", outcome);
	else if ((text = get_text(row)) == NULL)
		refuse(session, ERRCODE_PROTOCOL_VIOLATION,
			   "the other server has answered with something that is not text", outcome);
	else if (expected == RESULT_TIME)
		outcome->ms = read_ms(session, text);
	else if (expected == RESULT_VALUE)
		outcome->value = PQgetisnull(row, 0, 0) ? NULL : pstrdup(text);
}

/* Where the results of a message stand. */
typedef struct Reading
{
	const char *expected;		/* those that have not ended */
	bool		row;			/* the first of them has had its row */
	bool		failed;			/* an error was among them, nothing may follow */
	int			succeeded;
} Reading;

/*
 * Takes a result, or a row of one.  Disconnects when it is not the one that is
 * expected.
 */
static void
take_result(RemoteSession *session, const PGresult *result, Reading *reading, StatementOutcome *outcome)
{
	char		expected = reading->expected[0];
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_FATAL_ERROR && !reading->failed)
	{
		take_failure(result, outcome);
		reading->failed = true;
	}
	else if (PQstatus(session->conn) == CONNECTION_BAD)
	{
		/* It is what libpq says about that. */
	}
	else if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
		refuse(session, ERRCODE_FEATURE_NOT_SUPPORTED, "COPY is not supported here", outcome);
	else if (reading->failed || expected == '\0')
		refuse_strange(session, outcome);
	else if (status == PGRES_SINGLE_TUPLE && !reading->row)
	{
		take_row(session, result, expected, outcome);
		reading->row = true;
	}
	else if (expected != RESULT_COMMAND &&
			 (status == PGRES_SINGLE_TUPLE || (status == PGRES_TUPLES_OK && !reading->row)))
		refuse(session, ERRCODE_CARDINALITY_VIOLATION,
			   "one row of one column was expected from the other server", outcome);
	else if (status == (expected == RESULT_COMMAND ? PGRES_COMMAND_OK : PGRES_TUPLES_OK))
	{
		reading->expected++;
		reading->row = false;
		reading->succeeded++;
	}
	else
		refuse_strange(session, outcome);
}

/*
 * Waits for everything that the statements of a message give, which must be
 * what is expected.  Gives back how many statements have succeeded.
 */
static int
take_results(RemoteSession *session, const char *expected, StatementOutcome *outcome)
{
	Reading		reading = {expected, false, false, 0};
	PGresult   *result;

	while (session->conn != NULL && (result = du_remote_next_result(session->conn)) != NULL)
	{
		take_result(session, result, &reading, outcome);
		PQclear(result);
	}
	if (session->conn != NULL && PQstatus(session->conn) != CONNECTION_BAD &&
		!reading.failed && reading.expected[0] != '\0')
		refuse_strange(session, outcome);
	session->under_way = false;
	return reading.succeeded;
}

/*
 * Whatever was said, what counts is that the connection has broken, if so.
 */
static void
check_connection(RemoteSession *session, StatementOutcome *outcome)
{
	if (session->conn != NULL && PQstatus(session->conn) == CONNECTION_BAD)
		fail_connection(session, CONNECTION_LOST, outcome);
}

/*
 * Runs statements and waits for what they give, which must be what is
 * expected; false when they fail.
 */
static bool
run(RemoteSession *session, const char *statements, const char *expected, StatementOutcome *outcome)
{
	session->under_way = true;
	if (!du_remote_send(session->conn, statements))
		fail_connection(session, CONNECTION_LOST, outcome);
	else
	{
		take_results(session, expected, outcome);
		check_connection(session, outcome);
	}
	return outcome->sqlstate == 0;
}

/*
 * The same outside of a transaction.
 */
static bool
run_alone(RemoteSession *session, const char *statements, const char *expected, StatementOutcome *outcome)
{
	bool		succeeded = run(session, statements, expected, outcome);

	if (session->conn != NULL && PQtransactionStatus(session->conn) != PQTRANS_IDLE)
	{
		refuse_strange(session, outcome);
		return false;
	}
	return succeeded;
}

/*
 * What is set in each session.  The last statement gives the identity of the
 * backend: a process ID alone could be another's by the time of a cancel.
 */
#define SETUP_RESULTS "rrv"

static char *
setup_statements(const RemoteTarget *target)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false);"
						   "SELECT count(set_config(s.name, v.value, false)) FROM (VALUES"
						   " ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0')");
	for (const PinnedSetting *setting = target->settings; setting->name != NULL; setting++)
		appendStringInfo(&sql, ", ('%s', '%s')", setting->name, setting->value);
	appendStringInfoString(&sql, ") v (name, value) JOIN pg_settings s ON lower(s.name) = lower(v.name);"
						   "SELECT format('%s %s', pid, backend_start)"
						   " FROM pg_stat_activity WHERE pid = pg_backend_pid()");
	return sql.data;
}

/*
 * Keeps who serves there: a number and a time, because a cancel makes SQL of
 * them.  Of anything else nothing is kept, and nothing can be cancelled by it.
 */
static void
keep_identity(RemoteSession *session, const char *said)
{
	size_t		digits = said != NULL ? strspn(said, "0123456789") : 0;

	if (session->identity != NULL)
		pfree(session->identity);
	session->identity = NULL;
	if (digits == 0 || digits > 10 || said[digits] != ' ' || strlen(said) > LONGEST_IDENTITY ||
		said[digits + 1] == '\0' || strspn(said + digits, "0123456789-+:. ") != strlen(said + digits))
		return;
	session->identity = MemoryContextStrdup(TopMemoryContext, said);
}

/*
 * Connects, and sets what statements need; false, and why, when it fails.
 */
static bool
connect_session(RemoteSession *session, StatementOutcome *outcome)
{
	const RemoteTarget *target = session->target;
	StatementOutcome ignored = {0};
	const char *problem;

	session->conn = PQconnectStartParams(target->keywords, target->values, 0);
	if (session->conn != NULL)
		(void) PQsetNoticeReceiver(session->conn, ignore_notice, NULL);
	if (session->conn == NULL || !du_remote_await_connection(session->conn, target->timeout_ms, &problem))
	{
		if (session->conn != NULL && problem != NULL)
		{
			du_outcome_fail(outcome, ERRCODE_CONNECTION_FAILURE,
							psprintf("could not connect to the other server: %s", problem), NULL, NULL);
			disconnect(session);
		}
		else
			fail_connection(session, "could not connect to the other server", outcome);
		return false;
	}
	if (target->password_required && !PQconnectionUsedPassword(session->conn))
	{
		du_outcome_fail(outcome, ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED, "password is required",
						"A role that is not superuser cannot connect if the other server does not ask for a password.",
						"Let the pg_hba.conf of the other server require a password.");
		disconnect(session);
		return false;
	}
	(void) PQsetnonblocking(session->conn, 1);

	/* New in 14, and not on every platform. */
	if (PQserverVersion(session->conn) >= 140000)
		(void) run_alone(session, "SELECT pg_catalog.set_config('client_connection_check_interval', '1000', false)",
						 "r", &ignored);
	if (session->conn == NULL || !run_alone(session, setup_statements(target), SETUP_RESULTS, outcome))
	{
		if (session->conn == NULL && outcome->sqlstate == 0)
			*outcome = ignored;
		disconnect(session);
		return false;
	}
	keep_identity(session, outcome->value);
	outcome->value = NULL;
	return true;
}

static RemoteSession *
create(const RemoteTarget *target)
{
	RemoteSession *session = MemoryContextAllocZero(TopMemoryContext, sizeof(RemoteSession));

	session->target = target;
	return session;
}

/* As the server names its snapshots. */
static bool
is_snapshot(const char *name)
{
	return name != NULL && name[0] != '\0' && strspn(name, "0123456789ABCDEF-") == strlen(name) &&
		strlen(name) < LONGEST_IDENTITY;
}

static char *
hold_snapshot(RemoteSession *session, StatementOutcome *problem)
{
	if (!connect_session(session, problem))
		return NULL;

	/* 17 ends a transaction that lasts longer than its timeout. */
	if (!run_alone(session, "SELECT count(set_config(name, '0', false)) FROM pg_settings WHERE name = 'transaction_timeout'",
				   "r", problem) ||
		!run(session, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
			 "SELECT pg_export_snapshot()", "cv", problem))
		disconnect(session);
	else if (PQtransactionStatus(session->conn) != PQTRANS_INTRANS || !is_snapshot(problem->value))
		refuse_strange(session, problem);
	return problem->value;
}

static bool
is_lost(RemoteSession *session)
{
	return session->conn == NULL || du_remote_is_broken(session->conn) ||
		PQtransactionStatus(session->conn) != PQTRANS_INTRANS;
}

static void
send_statements(RemoteSession *session, const char *statements, const char *snapshot)
{
	StringInfoData message;

	memset(&session->unsent, 0, sizeof(StatementOutcome));
	session->missed_snapshot = false;
	session->exported = snapshot != NULL;
	session->begun = du_clock_ms();

	/* One that has gone unnoticed, while nothing was wanted of it. */
	if (session->conn != NULL && du_remote_is_broken(session->conn))
		disconnect(session);
	if (session->conn == NULL && !connect_session(session, &session->unsent))
		return;

	initStringInfo(&message);
	if (snapshot != NULL)
		appendStringInfo(&message, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '%s';\n",
						 snapshot);
	else
		appendStringInfoString(&message, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;\n");
	appendStringInfo(&message, "%s\n;"
					 "SELECT date_part('epoch', clock_timestamp() - statement_timestamp()) * 1000; COMMIT", statements);
	session->under_way = true;
	if (!du_remote_send(session->conn, message.data))
		fail_connection(session, CONNECTION_LOST, &session->unsent);
	pfree(message.data);
}

static void
receive(RemoteSession *session, StatementOutcome *outcome)
{
	StatementOutcome ignored = {0};
	int			succeeded;

	if (!session->under_way)
	{
		*outcome = session->unsent;
		return;
	}
	succeeded = take_results(session, session->exported ? "ccvtc" : "cvtc", outcome);
	if (outcome->sqlstate == 0 && PQtransactionStatus(session->conn) != PQTRANS_IDLE)
		refuse_strange(session, outcome);
	if (outcome->sqlstate == 0)
		return;
	outcome->ms = du_clock_ms() - session->begun;
	check_connection(session, outcome);
	if (session->conn == NULL)
		return;

	/* BEGIN alone has succeeded before it. */
	session->missed_snapshot = session->exported && succeeded == 1;
	if (!run_alone(session, "ROLLBACK", "c", &ignored))
		disconnect(session);
}

static bool
missed_snapshot(const RemoteSession *session)
{
	return session->missed_snapshot;
}

static void
close_session(RemoteSession *session)
{
	if (session->conn != NULL && session->under_way)
		du_remote_cancel(session->conn, session->target, session->identity);
	disconnect(session);
}

/*
 * Gives those who link no libpq what they need of it.
 */
const RemoteApi *
documentdb_upgrade_remote_api(void)
{
	static const RemoteApi api = {
		.parse = du_remote_target_parse,
		.create = create,
		.hold_snapshot = hold_snapshot,
		.is_lost = is_lost,
		.send = send_statements,
		.receive = receive,
		.missed_snapshot = missed_snapshot,
		.close = close_session
	};

	return &api;
}
