/*-------------------------------------------------------------------------
 *
 * upstream_verdict.c
 *	  What an upstream has made of a report.
 *
 * An answer that was given names the servers above this one, up to the
 * primary.  One that was not is put into a sentence and one more that says
 * what to do, which depends on who has refused: the network, the upstream's
 * authentication, or the upstream's copy of this extension.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/standby/internal.h"

#include "lib/stringinfo.h"

#include "base/base.h"
#include "processes/processes.h"
#include "worker/net/net.h"

#define LONGEST_ANSWER_TEXT 64

/* What is known of refusals by their SQLSTATE. */
typedef struct Refusal
{
	const char *sqlstate;
	bool		connecting;		/* refused is the connection itself */
	const char *hint;			/* %s: the database */
} Refusal;

static const Refusal refusals[] = {
	{"28P01", true, "Put the right password for database \"%s\" into primary_conninfo, or into the password file in a line whose database is \"*\" or that one."},
	{"28000", true, "Let pg_hba.conf of the upstream admit the role of primary_conninfo to database \"%s\" in the way in which it admits it to replication."},
	{"3D000", true, "Set documentdb_upgrade.database, which is \"%s\", to the same database on every server."},
	{"42501", true, "Grant CONNECT on database \"%s\" to the role of primary_conninfo."},
	{"53300", true, "Raise max_connections of the upstream: a report to database \"%s\" needs a connection for a moment."},
	{"57P03", true, "It is tried again until the upstream accepts connections to database \"%s\"."},
	{"3F000", false, "In database \"%s\" of the primary, run CREATE EXTENSION documentdb_upgrade;"},
	{"42883", false, "Install the same release of documentdb_upgrade on the upstream; then, in database \"%s\" of the primary, run ALTER EXTENSION documentdb_upgrade UPDATE;"},
	{"55000", false, "Add documentdb_upgrade to shared_preload_libraries of the upstream and restart it; database \"%s\" alone cannot keep reports."},
};

/* Hints for what no server has said, by LibpqFailure. */
static const char *const failure_hints[] = {
	[LIBPQ_UNREACHABLE] = "Check primary_conninfo, and that the upstream runs and can be reached, also for database \"%s\".",
	[LIBPQ_TIMED_OUT] = "Check that the upstream answers at that address and is not overloaded, also for database \"%s\".",
	[LIBPQ_NO_PASSWORD] = "Put the password into primary_conninfo, or into the password file in a line whose database is \"*\" or \"%s\".",
	[LIBPQ_NOT_ADMITTED] = "The upstream says why; what it lets replication do it must let the same role do in database \"%s\".",
	[LIBPQ_REFUSED] = "The log of the upstream says more, about database \"%s\".",
	[LIBPQ_UNUSABLE] = "Check that documentdb_upgrade in database \"%s\" of the upstream is not changed and of a release that goes with this one."
};

static const char grant_hint[] = "Grant USAGE on schema documentdb_upgrade and EXECUTE on its procedure run_report_standby to PUBLIC again, in database \"%s\" of the primary.";

static const char tls_hint[] = "Check sslmode, sslcert, sslkey and sslrootcert of primary_conninfo, and the certificates that they name.";

static const char *
hint_for_database(const char *format)
{
	StringInfoData buf;
	const char *at = strstr(format, "%s");

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, format, at - format);
	appendStringInfoString(&buf, du_guc_main_database());
	appendStringInfoString(&buf, at + strlen("%s"));
	return buf.data;
}

/* True when TLS or a certificate is what the connection has failed for. */
static bool
is_about_certificates(const LibpqAnswer *answer)
{
	if (answer->failure == LIBPQ_UNREACHABLE && strstr(answer->problem, "SSL") != NULL)
		return true;
	if (answer->failure == LIBPQ_UNREACHABLE)
		return strstr(answer->problem, "certificate") != NULL;

	/* One that it does not have; another's is a matter of pg_hba.conf. */
	return answer->failure == LIBPQ_NOT_ADMITTED &&
		strstr(answer->problem, "requires a valid client certificate") != NULL;
}

/*
 * What to do about a failure.  A hint of the upstream's own to a refused
 * statement knows more than this table.
 */
static const char *
hint_of(const LibpqAnswer *answer)
{
	bool		connecting = answer->failure == LIBPQ_NOT_ADMITTED;

	if (answer->failure == LIBPQ_REFUSED && answer->hint != NULL &&
		(strcmp(answer->sqlstate, "42501") == 0 || strcmp(answer->sqlstate, "55000") == 0))
		return answer->hint;

	/* The refusal of report_standby() itself has a hint. */
	if (answer->failure == LIBPQ_REFUSED && strcmp(answer->sqlstate, "42501") == 0)
		return hint_for_database(grant_hint);
	if (is_about_certificates(answer))
		return tls_hint;
	for (int i = 0; i < lengthof(refusals); i++)
	{
		if (strcmp(refusals[i].sqlstate, answer->sqlstate) == 0 && refusals[i].connecting == connecting)
			return hint_for_database(refusals[i].hint);
	}
	return hint_for_database(failure_hints[answer->failure]);
}

/* Thirty-two hexadecimal digits, as an identity has. */
static bool
is_identity(const char *digits)
{
	return digits != NULL && strlen(digits) == SHARED_IDENTITY_LENGTH - 1 &&
		strspn(digits, "0123456789abcdef") == SHARED_IDENTITY_LENGTH - 1;
}

/* True unless it is this server's own, and so above itself. */
static bool
add_to_path(UpstreamVerdict *verdict, const char *above, const char *own, bool *cut)
{
	if (strcmp(above, own) == 0)
		return false;
	if (verdict->path_length < SHARED_PATH_LENGTH)
		strlcpy(verdict->path[verdict->path_length++], above, SHARED_IDENTITY_LENGTH);
	else
		*cut = true;
	return true;
}

typedef struct AnswerQuery
{
	const char *own;			/* identity */
	bool		loop;
} AnswerQuery;

static void *
read_answer(const cJSON *document, void *arg, const char **reason)
{
	AnswerQuery *query = arg;
	UpstreamVerdict *verdict = palloc0(sizeof(UpstreamVerdict));
	const cJSON *path = du_json_member(document, "path");
	char	   *upstream = du_json_text(document, "identity", LONGEST_ANSWER_TEXT, false, reason);
	bool		cut = false;
	const cJSON *above;

	if (*reason != NULL)
		return NULL;
	if (!is_identity(upstream) || !cJSON_IsArray(path))
	{
		*reason = "it does not say who the upstream is";
		return NULL;
	}
	query->loop = !add_to_path(verdict, upstream, query->own, &cut);
	cJSON_ArrayForEach(above, path)
	{
		if (!cJSON_IsString(above) || !is_identity(above->valuestring))
		{
			*reason = "its path is not a list of identities";
			return NULL;
		}
		query->loop |= !add_to_path(verdict, above->valuestring, query->own, &cut);
	}
	verdict->path_complete = cJSON_IsTrue(du_json_member(document, "root")) && !cut && !query->loop;
	return verdict;
}

/*
 * What the value means that the upstream has answered.
 */
static UpstreamVerdict
judge_value(const char *value, const char *location, const char *own)
{
	AnswerQuery query = {own, false};
	UpstreamVerdict verdict = {0};
	const char *reason;
	UpstreamVerdict *read = du_json_read(value, strlen(value), read_answer, &query, &reason);

	if (read == NULL)
	{
		verdict.problem = psprintf("The answer of %s to a report cannot be understood: %s.", location, reason);
		verdict.hint = hint_for_database(failure_hints[LIBPQ_UNUSABLE]);
		return verdict;
	}
	verdict = *read;
	verdict.taken = true;
	if (query.loop)
	{
		verdict.problem = psprintf("The servers above %s lead back to this one.", location);
		verdict.hint = "Correct primary_conninfo on the servers of this circle, so that one of them streams from the primary.";
	}
	return verdict;
}

/*
 * The verdict on an answer that has come, or has failed to; location is that
 * of the upstream, identity this server's own.
 */
UpstreamVerdict
du_verdict_of_answer(const LibpqAnswer *answer, const char *location, const char *identity)
{
	UpstreamVerdict verdict = {0};

	if (answer->state == LIBPQ_ANSWERED)
		return judge_value(answer->value, location, identity);

	verdict.problem = psprintf("Could not report to %s: %s%s%s%s.%s%s", location, answer->problem,
							   answer->sqlstate[0] != '\0' ? " (SQLSTATE " : "",
							   answer->sqlstate,
							   answer->sqlstate[0] != '\0' ? ")" : "",
							   answer->detail != NULL ? " " : "",
							   answer->detail != NULL ? answer->detail : "");
	verdict.hint = hint_of(answer);
	return verdict;
}

/*
 * The verdict where there is nobody to report to.
 */
UpstreamVerdict
du_verdict_without_upstream(UpstreamKind kind, bool designated)
{
	UpstreamVerdict verdict = {0};

	if (kind == UPSTREAM_INVALID)
	{
		verdict.problem = "The setting primary_conninfo is not valid.";
		verdict.hint = "Correct primary_conninfo.";
	}
	else if (designated)
		verdict.problem = "This replica region is fed from an archive: primary_conninfo is empty, and it reports to nobody.";
	else
	{
		verdict.problem = "There is nobody to report to: primary_conninfo is empty.";
		verdict.hint = "Set primary_conninfo, so that the primary waits for this standby.";
	}
	return verdict;
}
