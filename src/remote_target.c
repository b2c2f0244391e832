/*-------------------------------------------------------------------------
 *
 * remote_target.c
 *	  Another server, as a connection string names it.
 *
 * What the string leaves open gets values with which a dead network is
 * noticed.  A role that is not superuser must not connect as this server
 * itself, by its files or its address: it has to give a password, as for
 * dblink.  Nothing here shows the string; libpq's own words about one that it
 * cannot read would.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "remote_target.h"

#include "libpq-fe.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#define DEFAULT_TIMEOUT_MS 10000

static const PinnedSetting defaults[] = {
	{"fallback_application_name", "documentdb_upgrade parity"},
	{"keepalives_idle", "30"},
	{"keepalives_interval", "10"},
	{"keepalives_count", "3"},
	{"tcp_user_timeout", "60000"},
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

	return given != NULL ? Max(atol(given), 0) * 1000 : DEFAULT_TIMEOUT_MS;
}

static RemoteTarget *
make_target(const RemoteRequest *request, const PQconninfoOption *options)
{
	RemoteTarget *target = MemoryContextAllocZero(TopMemoryContext, sizeof(RemoteTarget));
	int			n = lengthof(defaults) + 1;

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
	target->timeout_ms = timeout_of(target);
	target->password_required = request->password_required;
	target->settings = request->settings;
	return target;
}

/*
 * Whom to connect to, in TopMemoryContext; NULL, and why, for a string that
 * libpq cannot read, or that lacks a password where one is required.
 */
RemoteTarget *
du_remote_target_parse(const RemoteRequest *request, StatementOutcome *problem)
{
	PQconninfoOption *options = PQconninfoParse(request->conninfo, NULL);
	RemoteTarget *target;
	const char *password;

	if (options == NULL)
	{
		du_outcome_fail(problem, ERRCODE_INVALID_PARAMETER_VALUE,
						"the connection string of the other server cannot be read", NULL,
						"It is a URI, or pairs of keyword and value, as for psql.");
		return NULL;
	}
	target = make_target(request, options);
	PQconninfoFree(options);

	password = find(target, "password");
	if (request->password_required && (password == NULL || password[0] == '\0'))
	{
		du_outcome_fail(problem, ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED, "password is required",
						"A role that is not superuser must give a password in the connection string.", NULL);
		return NULL;
	}
	return target;
}
