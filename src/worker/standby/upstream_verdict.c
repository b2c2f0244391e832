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
#include "utils/builtins.h"

#include "base/base.h"
#include "processes/processes.h"
#include "worker/net/net.h"

#define LONGEST_ANSWER_TEXT 64

/* What is known of refusals by their SQLSTATE. */
typedef struct Refusal
{
	const char *sqlstate;
	bool		connecting;		/* refused is the connection itself */
	const char *hint;			/* $d: the database; $u: the role */
} Refusal;

static const Refusal refusals[] = {
	{"28P01", true, "Put the right password for database \"$d\" into primary_conninfo, into the file of documentdb_upgrade.report_password_file, or into libpq's password file in a line whose database is \"*\" or that one."},
	{"28000", true, "Let pg_hba.conf of the upstream admit role $u to database \"$d\" in the way in which it admits it to replication, or set documentdb_upgrade.report_conninfo to a role that it admits."},
	{"3D000", true, "Set documentdb_upgrade.database, which is \"$d\", to the same database on every server."},
	{"42501", true, "Grant CONNECT on database \"$d\" to role $u."},
	{"53300", true, "Raise max_connections of the upstream: a report to database \"$d\" needs a connection for a moment."},
	{"57P03", true, "It is tried again until the upstream accepts connections to database \"$d\"."},
	{"3F000", false, "Run CREATE EXTENSION documentdb_upgrade in database \"$d\" of the primary."},
	{"42883", false, "Install the same release of documentdb_upgrade on the upstream and run ALTER EXTENSION documentdb_upgrade UPDATE in database \"$d\" of the primary."},
	{"55000", false, "Add documentdb_upgrade to shared_preload_libraries of the upstream and restart it; database \"$d\" alone cannot keep reports."},
};

/* Hints for what no server has said, by LibpqFailure. */
static const char *const failure_hints[] = {
	[LIBPQ_UNREACHABLE] = "Check primary_conninfo, and that the upstream runs and can be reached, also for database \"$d\".",
	[LIBPQ_TIMED_OUT] = "Check that the upstream answers at that address and is not overloaded, also for database \"$d\".",
	[LIBPQ_NO_PASSWORD] = "Put the password into primary_conninfo, into the file of documentdb_upgrade.report_password_file, or into libpq's password file in a line whose database is \"*\" or \"$d\".",
	[LIBPQ_NOT_ADMITTED] = "The upstream says why; what it lets replication do it must let the same role do in database \"$d\".",
	[LIBPQ_REFUSED] = "The log of the upstream says more, about database \"$d\".",
	[LIBPQ_UNUSABLE] = "Check that documentdb_upgrade in database \"$d\" of the upstream is not changed and of a release that goes with this one."
};

static const char grant_hint[] = "Grant USAGE on schema documentdb_upgrade and EXECUTE on its procedure run_report_standby to PUBLIC again, in database \"$d\" of the primary.";

static const char tls_hint[] = "Check sslmode, sslcert, sslkey and sslrootcert of primary_conninfo, and the certificates that they name.";

/*
 * What helps in a pod of CloudNativePG, which writes primary_conninfo and the
 * fixed lines of pg_hba.conf itself.
 */
static const char cnpg_own_role_hint[] = "CloudNativePG writes primary_conninfo. Report as a role of its own: GRANT EXECUTE ON PROCEDURE documentdb_upgrade.run_report_standby to it on the primary, name it here in documentdb_upgrade.report_conninfo and the mounted file with its password in documentdb_upgrade.report_password_file. Or give the regions certificates: spec.tls.postgres of the DocumentDB resource instead of disableTLS.";

static const char cnpg_hba_hint[] = "Add \"hostssl $d $u all cert map=cnpg_streaming_replica\" to spec.postgresql.pg_hba of the upstream's Cluster, or set documentdb_upgrade.report_conninfo to a role that it admits.";

static const char cnpg_other_name_hint[] = "CloudNativePG's map cnpg_streaming_replica admits certificates with the common name streaming_replica alone: check replicationTLSSecret in spec.tls.postgres of the DocumentDB resource, or in spec.certificates of the Cluster.";

static const char cnpg_certificate_hint[] = "Check that the upstream's clientCASecret has signed the replicationTLSSecret of this Cluster: spec.tls.postgres of the DocumentDB resource, or spec.certificates of the Cluster.";

static const char cnpg_password_hint[] = "Put the password of role $u, and nothing else, into the Secret that documentdb_upgrade.report_password_file names a file of.";

static const char cnpg_admit_hint[] = "Add \"host $d $u all scram-sha-256\" to spec.postgresql.pg_hba of the upstream's Cluster, before the line that keeps it out.";

/* As pg_hba.conf and SQL write a name. */
static const char *
name_of_user(const UpstreamConninfo *upstream)
{
	return upstream->user[0] != '\0' ? quote_identifier(upstream->user) : "of primary_conninfo";
}

static const char *
fill_in(const char *format, const UpstreamConninfo *upstream)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *c = format; *c != '\0'; c++)
	{
		if (*c != '$')
			appendStringInfoChar(&buf, *c);
		else if (*++c == 'd')
			appendStringInfoString(&buf, upstream->database);
		else
			appendStringInfoString(&buf, name_of_user(upstream));
	}
	return buf.data;
}

static bool
is_in_cnpg(void)
{
	const char *cluster = getenv("CLUSTER_NAME");

	return cluster != NULL && cluster[0] != '\0';
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
 * What to do in a pod of CloudNativePG about a connection that is not admitted;
 * NULL when that is as everywhere.
 */
static const char *
hint_in_cnpg(const LibpqAnswer *answer, const UpstreamConninfo *upstream)
{
	bool		asked = answer->failure == LIBPQ_NO_PASSWORD;
	bool		refused = answer->failure == LIBPQ_NOT_ADMITTED && strncmp(answer->sqlstate, "28", 2) == 0;

	if (!is_in_cnpg() || (!asked && !refused && !is_about_certificates(answer)))
		return NULL;
	if (strcmp(answer->sqlstate, "28P01") == 0 || (asked && upstream->own_user))
		return cnpg_password_hint;
	if (refused && upstream->own_user)
		return cnpg_admit_hint;
	if (strstr(answer->problem, "certificate authentication failed") != NULL)
		return cnpg_other_name_hint;
	if (!upstream->has_certificate)
		return cnpg_own_role_hint;
	if (!asked && is_about_certificates(answer))
		return cnpg_certificate_hint;
	return cnpg_hba_hint;
}

/*
 * What to do about a failure.  A hint of the upstream's own to a refused
 * statement knows more than this table.
 */
static const char *
hint_of(const LibpqAnswer *answer, const UpstreamConninfo *upstream)
{
	bool		connecting = answer->failure == LIBPQ_NOT_ADMITTED;
	const char *hint = hint_in_cnpg(answer, upstream);

	if (hint != NULL)
		return fill_in(hint, upstream);
	if (answer->failure == LIBPQ_REFUSED && answer->hint != NULL &&
		(strcmp(answer->sqlstate, "42501") == 0 || strcmp(answer->sqlstate, "55000") == 0))
		return answer->hint;

	/* The refusal of report_standby() itself has a hint. */
	if (answer->failure == LIBPQ_REFUSED && strcmp(answer->sqlstate, "42501") == 0)
		return fill_in(grant_hint, upstream);
	if (is_about_certificates(answer))
		return tls_hint;
	for (int i = 0; i < lengthof(refusals); i++)
	{
		if (strcmp(refusals[i].sqlstate, answer->sqlstate) == 0 && refusals[i].connecting == connecting)
			return fill_in(refusals[i].hint, upstream);
	}
	return fill_in(failure_hints[answer->failure], upstream);
}

/*
 * What to do where the database that admits the role lacks this extension, and
 * the one that has it does not admit the role, which the answer is about.
 */
const char *
du_hint_for_two_databases(const UpstreamConninfo *upstream, const LibpqAnswer *answer)
{
	UpstreamConninfo first = *upstream;
	const char *there = "let its pg_hba.conf admit role $u to database \"$d\"";

	if (answer->failure != LIBPQ_NO_PASSWORD && answer->failure != LIBPQ_NOT_ADMITTED)
		there = "create it in database \"$d\"";
	else if (is_in_cnpg())
		there = "add \"hostssl $d $u all cert map=cnpg_streaming_replica\" to spec.postgresql.pg_hba of its Cluster, so that reports reach database \"$d\"";
	first.database = upstream->first_database;
	return psprintf("%s Or %s.", fill_in("Run CREATE EXTENSION documentdb_upgrade in database \"$d\" of the primary, where it only takes reports.", &first),
					fill_in(there, upstream));
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
judge_value(const char *value, const UpstreamConninfo *upstream, const char *own)
{
	AnswerQuery query = {own, false};
	UpstreamVerdict verdict = {0};
	const char *reason;
	UpstreamVerdict *read = du_json_read(value, strlen(value), read_answer, &query, &reason);

	if (read == NULL)
	{
		verdict.problem = psprintf("The answer of %s to a report cannot be understood: %s.",
								   upstream->location, reason);
		verdict.hint = fill_in(failure_hints[LIBPQ_UNUSABLE], upstream);
		return verdict;
	}
	verdict = *read;
	verdict.taken = true;
	if (query.loop)
	{
		verdict.problem = psprintf("The servers above %s lead back to this one.", upstream->location);
		verdict.hint = "Correct primary_conninfo on the servers of this circle, so that one of them streams from the primary.";
	}
	return verdict;
}

/*
 * The verdict on an answer that has come, or has failed to; identity is this
 * server's own.
 */
UpstreamVerdict
du_verdict_of_answer(const LibpqAnswer *answer, const UpstreamConninfo *upstream, const char *identity)
{
	UpstreamVerdict verdict = {0};

	if (answer->state == LIBPQ_ANSWERED)
		return judge_value(answer->value, upstream, identity);

	verdict.problem = psprintf("Could not report to %s: %s%s%s%s.%s%s",
							   upstream->location, answer->problem,
							   answer->sqlstate[0] != '\0' ? " (SQLSTATE " : "",
							   answer->sqlstate,
							   answer->sqlstate[0] != '\0' ? ")" : "",
							   answer->detail != NULL ? " " : "",
							   answer->detail != NULL ? answer->detail : "");
	verdict.hint = hint_of(answer, upstream);
	return verdict;
}

/*
 * The verdict where the password is not to be had, for which the problem is a
 * sentence.
 */
UpstreamVerdict
du_verdict_without_password(const char *problem)
{
	UpstreamVerdict verdict = {0};

	verdict.problem = problem;
	verdict.hint = "Mount a file there that holds the password alone and that the server may read, or set documentdb_upgrade.report_password_file.";
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
	else if (kind == UPSTREAM_INVALID_OWN)
	{
		verdict.problem = "The setting documentdb_upgrade.report_conninfo is not valid.";
		verdict.hint = "Correct documentdb_upgrade.report_conninfo: a connection string such as \"user=reporter\".";
	}
	else if (designated)
	{
		verdict.problem = "This replica region is fed from an archive: primary_conninfo is empty, and it reports to nobody.";
		verdict.hint = "Set documentdb_upgrade.report_conninfo to the primary's host and a role that may report.";
	}
	else
	{
		verdict.problem = "There is nobody to report to: primary_conninfo is empty.";
		verdict.hint = "Set primary_conninfo, so that the primary waits for this standby.";
	}
	return verdict;
}
