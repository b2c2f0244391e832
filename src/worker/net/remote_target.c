/*-------------------------------------------------------------------------
 *
 * remote_target.c
 *	  Another server, as a connection string names it.
 *
 * What the string leaves open gets values with which a dead network is
 * noticed.  A role that is not superuser must not connect as this server
 * itself, by its files or its address: it has to give a password, as for
 * dblink.  Nor may it have this server read or write files, so it can only
 * say whom to connect to, and what this server's own files and environment
 * would add does not count.  Nothing here shows the string; libpq's own words
 * about one that it cannot read would.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/net/internal.h"

#include "libpq-fe.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "parity/parity.h"

#define DEFAULT_TIMEOUT_MS 10000
#define LONGEST_TIMEOUT_S (24 * 60 * 60L)

static const PinnedSetting defaults[] = {
	{"fallback_application_name", "documentdb_upgrade parity"},
	{"keepalives_idle", "30"},
	{"keepalives_interval", "10"},
	{"keepalives_count", "3"},
	{"tcp_user_timeout", "60000"},
	{NULL, NULL}
};

/* What a role that is not superuser may say. */
static const char *const harmless[] = {
	"host", "hostaddr", "port", "dbname", "user", "password", "sslmode", "connect_timeout", "keepalives",
	"keepalives_idle", "keepalives_interval", "keepalives_count", "application_name"
};

#define HARMLESS_HINT "A role that is not superuser can give host, hostaddr, port, dbname, user, password, sslmode, connect_timeout, application_name, keepalives, keepalives_idle, keepalives_interval and keepalives_count."

/*
 * What keeps libpq from proving who this server is by anything but that
 * password.  The path is one where no certificate can be; the last two are new
 * in libpq 16.
 */
static const PinnedSetting without_identity[] = {
	{"gssencmode", "disable"},
	{"sslcert", "/dev/null/none"},
	{"sslcertmode", "disable"},
	{"require_auth", "none,password,md5,scram-sha-256"},
	{NULL, NULL}
};

static const char *
find(const RemoteTarget *target, const char *keyword)
{
	for (int i = 0; target->keywords[i] != NULL; i++)
	{
		if (strcmp(target->keywords[i], keyword) == 0)
			return target->values[i];
	}
	return NULL;
}

/* Adds a parameter, or replaces its value. */
static void
put(RemoteTarget *target, const char *keyword, const char *value)
{
	int			i = 0;

	while (target->keywords[i] != NULL && strcmp(target->keywords[i], keyword) != 0)
		i++;
	target->keywords[i] = MemoryContextStrdup(TopMemoryContext, keyword);
	target->values[i] = MemoryContextStrdup(TopMemoryContext, value);
}

/*
 * For all addresses together: libpq does not go on to the next one by itself
 * when it is not waited for by its own functions.
 */
static long
timeout_of(const RemoteTarget *target)
{
	const char *given = find(target, "connect_timeout");

	return given != NULL ? Min(Max(strtol(given, NULL, 10), 0), LONGEST_TIMEOUT_S) * 1000 : DEFAULT_TIMEOUT_MS;
}

/* The first keyword given that only superusers may give, or NULL. */
static const char *
find_harmful(const PQconninfoOption *options)
{
	for (; options->keyword != NULL; options++)
	{
		bool		found = options->val == NULL;

		for (int i = 0; i < lengthof(harmless) && !found; i++)
			found = strcmp(options->keyword, harmless[i]) == 0;
		if (!found)
			return options->keyword;
	}
	return NULL;
}

/*
 * Leaves libpq nothing of its own to find.  This process connects for one
 * caller alone and ends, so its environment is nobody else's.
 */
static void
forbid_identity(RemoteTarget *target, const PQconninfoOption *options)
{
	for (; options->keyword != NULL; options++)
	{
		if (options->envvar != NULL)
			(void) unsetenv(options->envvar);
		for (const PinnedSetting *setting = without_identity; setting->name != NULL; setting++)
		{
			if (strcmp(setting->name, options->keyword) == 0)
				put(target, setting->name, setting->value);
		}
	}
}

static RemoteTarget *
make_target(const RemoteRequest *request, const PQconninfoOption *options)
{
	RemoteTarget *target = MemoryContextAllocZero(TopMemoryContext, sizeof(RemoteTarget));
	int			n = lengthof(defaults) + lengthof(without_identity) + 1;

	for (const PQconninfoOption *option = options; option->keyword != NULL; option++)
		n++;
	target->keywords = MemoryContextAllocZero(TopMemoryContext, (n + 1) * sizeof(char *));
	target->values = MemoryContextAllocZero(TopMemoryContext, (n + 1) * sizeof(char *));
	for (const PQconninfoOption *option = options; option->keyword != NULL; option++)
	{
		if (option->val != NULL)
			put(target, option->keyword, option->val);
	}
	for (const PinnedSetting *setting = defaults; setting->name != NULL; setting++)
	{
		if (find(target, setting->name) == NULL)
			put(target, setting->name, setting->value);
	}
	put(target, "client_encoding", GetDatabaseEncodingName());
	if (request->password_required)
		forbid_identity(target, options);
	target->timeout_ms = timeout_of(target);
	target->password_required = request->password_required;
	target->settings = request->settings;
	return target;
}

/* False, and why, for what the caller may not say or leave out. */
static bool
check_rights(const RemoteTarget *target, const PQconninfoOption *options, StatementOutcome *problem)
{
	const char *password = find(target, "password");
	const char *harmful = find_harmful(options);

	if (!target->password_required)
		return true;
	if (password == NULL || password[0] == '\0')
		du_outcome_fail(problem, ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED, "password is required",
						"A role that is not superuser must give a password in the connection string.", NULL);
	else if (harmful != NULL)
		du_outcome_fail(problem, ERRCODE_INSUFFICIENT_PRIVILEGE,
						psprintf("permission denied to set connection parameter \"%s\"", harmful),
						NULL, HARMLESS_HINT);
	return problem->sqlstate == 0;
}

/*
 * Whom to connect to, in TopMemoryContext; NULL, and why, for a string that
 * libpq cannot read, that lacks a password where one is required, or says more
 * than the caller may say.
 */
RemoteTarget *
du_remote_target_parse(const RemoteRequest *request, StatementOutcome *problem)
{
	PQconninfoOption *options = PQconninfoParse(request->conninfo, NULL);
	RemoteTarget *target;
	bool		allowed;

	if (options == NULL)
	{
		du_outcome_fail(problem, ERRCODE_INVALID_PARAMETER_VALUE,
						"the connection string of the other server cannot be read", NULL,
						"It is a URI, or pairs of keyword and value, as for psql.");
		return NULL;
	}
	target = make_target(request, options);
	allowed = check_rights(target, options, problem);
	PQconninfoFree(options);
	return allowed ? target : NULL;
}
