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
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "remote_api.h"

#include "libpq-fe.h"
#include "utils/memutils.h"

#include "remote_connection.h"
#include "remote_target.h"
#include "wait_list.h"

#define CONNECTION_LOST "the connection to the other server is lost"
#define LARGEST_VALUE	(256 * 1024 * 1024)

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

static void
take_failure(const PGresult *result, StatementOutcome *outcome)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	char	   *message = copy_field(result, PG_DIAG_MESSAGE_PRIMARY);

	if (message == NULL)
		message = du_remote_copy_message(PQresultErrorMessage(result));
	du_outcome_fail(outcome,
					state != NULL && strlen(state) == 5 ?
					MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]) : ERRCODE_CONNECTION_FAILURE,
					message, copy_field(result, PG_DIAG_MESSAGE_DETAIL),
					copy_field(result, PG_DIAG_MESSAGE_HINT));
}

/* The one value of a result of rows. */
static void
take_value(const PGresult *result, StatementOutcome *outcome)
{
	outcome->value = NULL;
	if (PQntuples(result) != 1 || PQnfields(result) != 1)
		du_outcome_fail(outcome, ERRCODE_CARDINALITY_VIOLATION,
						"one row of one column was expected from the other server", NULL, NULL);
	else if (PQgetlength(result, 0, 0) > LARGEST_VALUE)
		du_outcome_fail(outcome, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
						"the answer of the other server is too large", NULL, NULL);
	else if (!PQgetisnull(result, 0, 0))
		outcome->value = pstrdup(PQgetvalue(result, 0, 0));
}

/*
 * Waits for everything that the statements give.  The last result of rows is
 * the outcome, or the one before it when that is the time it took.  Gives back
 * how many statements have succeeded.
 */
static int
take_results(RemoteSession *session, bool timed, StatementOutcome *outcome)
{
	PGresult   *result;
	PGresult   *last = NULL;
	int			succeeded = 0;

	while ((result = du_remote_next_result(session->conn)) != NULL)
	{
		switch (PQresultStatus(result))
		{
			case PGRES_COMMAND_OK:
				succeeded++;
				PQclear(result);
				break;
			case PGRES_TUPLES_OK:
				succeeded++;
				if (last != NULL && timed)
				{
					take_value(last, outcome);
					outcome->ms = atof(PQgetvalue(result, 0, 0));
				}
				else if (!timed)
					take_value(result, outcome);
				PQclear(last);
				last = result;
				break;
			case PGRES_COPY_IN:
			case PGRES_COPY_OUT:
			case PGRES_COPY_BOTH:
				PQclear(result);
				du_outcome_fail(outcome, ERRCODE_FEATURE_NOT_SUPPORTED, "COPY is not supported here", NULL, NULL);
				disconnect(session);
				return succeeded;
			default:
				take_failure(result, outcome);
				PQclear(result);
				break;
		}
	}
	PQclear(last);
	session->under_way = false;
	return succeeded;
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
 * Runs statements and waits for them; false when they fail.
 */
static bool
run(RemoteSession *session, const char *statements, StatementOutcome *outcome)
{
	session->under_way = true;
	if (!du_remote_send(session->conn, statements))
		fail_connection(session, CONNECTION_LOST, outcome);
	else
	{
		take_results(session, false, outcome);
		check_connection(session, outcome);
	}
	return outcome->sqlstate == 0;
}

/*
 * What is set in each session.  The last statement gives the identity of the
 * backend: a process ID alone could be another's by the time of a cancel.
 */
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
						   "SELECT format('a.pid = %s AND a.backend_start = %L', pid, backend_start)"
						   " FROM pg_stat_activity WHERE pid = pg_backend_pid()");
	return sql.data;
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
						"Have the other server ask for a password.");
		disconnect(session);
		return false;
	}
	(void) PQsetNoticeReceiver(session->conn, ignore_notice, NULL);
	(void) PQsetnonblocking(session->conn, 1);

	/* New in 14, and not on every platform. */
	if (PQserverVersion(session->conn) >= 140000)
		(void) run(session, "SELECT pg_catalog.set_config('client_connection_check_interval', '1000', false)", &ignored);
	if (session->conn == NULL || !run(session, setup_statements(target), outcome))
	{
		if (session->conn == NULL && outcome->sqlstate == 0)
			*outcome = ignored;
		disconnect(session);
		return false;
	}
	if (session->identity != NULL)
		pfree(session->identity);
	session->identity = MemoryContextStrdup(TopMemoryContext, outcome->value ? outcome->value : "false");
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

static char *
hold_snapshot(RemoteSession *session, StatementOutcome *problem)
{
	if (!connect_session(session, problem))
		return NULL;

	/* 17 ends a transaction that lasts longer than its timeout. */
	if (!run(session, "SELECT count(set_config(name, '0', false)) FROM pg_settings WHERE name = 'transaction_timeout'",
			 problem) ||
		!run(session, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
			 "SELECT pg_export_snapshot()", problem))
	{
		disconnect(session);
		return NULL;
	}
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
	{
		char	   *literal = PQescapeLiteral(session->conn, snapshot, strlen(snapshot));

		appendStringInfo(&message, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT %s;\n",
						 literal);
		PQfreemem(literal);
	}
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
	succeeded = take_results(session, true, outcome);
	if (outcome->sqlstate == 0)
		return;
	outcome->ms = du_clock_ms() - session->begun;
	check_connection(session, outcome);
	if (session->conn == NULL)
		return;

	/* BEGIN alone has succeeded before it. */
	session->missed_snapshot = session->exported && succeeded == 1;
	if (!run(session, "ROLLBACK", &ignored))
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
