/*-------------------------------------------------------------------------
 *
 * upstream_conninfo.c
 *	  Where a standby's upstream is, and how to connect to it.
 *
 * A report travels as the WAL does: to the host that the WAL receiver streams
 * from, as its role, with its certificates and its application name, because
 * the upstream compares the two.  What differs is that it is an ordinary
 * connection to a database, and what documentdb_upgrade.report_conninfo says.
 * The password that either may contain is handed to libpq and shown to nobody.
 *
 * The upstream's memory takes reports through any database that has this
 * extension.  The one that primary_conninfo names is tried first: who wrote it
 * knows that the role gets there.  Then the one that the worker serves.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/standby/internal.h"

#include "access/xlogrecovery.h"
#include "libpq-fe.h"
#include "mb/pg_wchar.h"
#include "replication/walreceiver.h"
#include "storage/spin.h"
#include "utils/guc.h"

#include "base/base.h"

#define LONGEST_LOCATION 255
#define LONGEST_HOST 1025		/* as the WAL receiver keeps it */

/* Whom the WAL receiver is connected to. */
typedef struct Sender
{
	char		host[LONGEST_HOST];
	int			port;
} Sender;

/* The lists of primary_conninfo that belong together by position. */
static const char *const host_lists[] = {"host", "hostaddr", "port"};

/*
 * False while it is not connected.
 */
static bool
find_sender(Sender *sender)
{
	bool		connected;

	SpinLockAcquire(&WalRcv->mutex);
	connected = WalRcv->ready_to_display;
	strlcpy(sender->host, WalRcv->sender_host, sizeof(sender->host));
	sender->port = WalRcv->sender_port;
	SpinLockRelease(&WalRcv->mutex);
	return connected;
}

/*
 * True while the WAL receiver is connected to the upstream, which takes
 * reports only then.
 */
bool
du_upstream_receiver_connected(void)
{
	Sender		sender;

	return find_sender(&sender);
}

static const char *
value_of(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++)
	{
		if (strcmp(options->keyword, keyword) == 0)
			return options->val != NULL ? options->val : "";
	}
	return "";
}

static int
count_items(const char *list)
{
	int			n = 1;

	for (; *list != '\0'; list++)
		n += *list == ',';
	return n;
}

/* An item of a list; one that has a single item means it for all. */
static char *
get_item(const char *list, int position)
{
	if (position > 0 && count_items(list) == 1)
		position = 0;
	for (; position > 0 && *list != '\0'; position--)
	{
		list += strcspn(list, ",");
		list += *list == ',';
	}
	return pnstrdup(list, strcspn(list, ","));
}

/* How the host at a position is called, "" for the one that libpq chooses. */
static char *
get_host(const PQconninfoOption *options, int position)
{
	char	   *host = get_item(value_of(options, "host"), position);

	return host[0] != '\0' ? host : get_item(value_of(options, "hostaddr"), position);
}

static char *
get_port(const PQconninfoOption *options, int position)
{
	char	   *port = get_item(value_of(options, "port"), position);

	return port[0] != '\0' ? port : DEF_PGPORT_STR;
}

static int
count_hosts(const PQconninfoOption *options)
{
	return Max(count_items(value_of(options, "host")), count_items(value_of(options, "hostaddr")));
}

/*
 * Which of several hosts the WAL receiver streams from; -1 when there are not
 * several, or it is not known.
 */
static int
find_position(const PQconninfoOption *options)
{
	Sender		sender;
	int			n = count_hosts(options);

	if (n == 1 || !find_sender(&sender))
		return -1;
	for (int i = 0; i < n; i++)
	{
		if (strcmp(get_host(options, i), sender.host) == 0 &&
			atoi(get_port(options, i)) == sender.port)
			return i;
	}
	return -1;
}

/* Host and port for people, of one position, or of all: -1. */
static char *
describe_location(const PQconninfoOption *options, int position)
{
	int			n = count_hosts(options);
	char	   *location = "";

	for (int i = Max(position, 0); i < (position < 0 ? n : position + 1); i++)
	{
		const char *host = get_host(options, i);

		location = psprintf("%s%s%s:%s", location, location[0] != '\0' ? "," : "",
							host[0] != '\0' ? host : "localhost", get_port(options, i));
	}
	location[pg_mbcliplen(location, strlen(location), LONGEST_LOCATION)] = '\0';
	return location;
}

/* True for what the connection of a report has otherwise than replication. */
static bool
is_replaced(const char *keyword)
{
	return strcmp(keyword, "replication") == 0 || strcmp(keyword, "dbname") == 0 ||
		strcmp(keyword, "fallback_application_name") == 0 ||
		strcmp(keyword, "client_encoding") == 0;
}

/* The value of an option for the host at that position, -1: for all. */
static char *
get_value(const PQconninfoOption *option, int position)
{
	for (int i = 0; position >= 0 && i < lengthof(host_lists); i++)
	{
		if (strcmp(option->keyword, host_lists[i]) == 0)
			return get_item(option->val, position);
	}
	return pstrdup(option->val);
}

static void
set_parameters(UpstreamConninfo *upstream, const PQconninfoOption *options, int position)
{
	int			n = 0;

	for (const PQconninfoOption *option = options; option->keyword != NULL; option++)
		n++;
	upstream->keywords = palloc0((n + 5) * sizeof(char *));
	upstream->values = palloc0((n + 5) * sizeof(char *));

	n = 0;
	for (const PQconninfoOption *option = options; option->keyword != NULL; option++)
	{
		if (option->val == NULL || is_replaced(option->keyword))
			continue;
		upstream->keywords[n] = pstrdup(option->keyword);
		upstream->values[n++] = get_value(option, position);
	}
	upstream->keywords[n] = "dbname";
	upstream->values[n++] = upstream->database;
	upstream->keywords[n] = "fallback_application_name";
	upstream->values[n++] = cluster_name[0] != '\0' ? cluster_name : "walreceiver";
	upstream->keywords[n] = "client_encoding";
	upstream->values[n++] = GetDatabaseEncodingName();
}

/*
 * Sets a parameter of the connection.  There is room for one that was not there.
 */
void
du_upstream_set(UpstreamConninfo *upstream, const char *keyword, const char *value)
{
	int			n = 0;

	while (upstream->keywords[n] != NULL && strcmp(upstream->keywords[n], keyword) != 0)
		n++;
	upstream->keywords[n] = keyword;
	upstream->values[n] = value;
}

/*
 * Chooses the databases.  Some tools write the pseudo-database of streaming
 * into primary_conninfo.
 */
static void
choose_databases(UpstreamConninfo *upstream, const char *named, const char *own)
{
	char	   *served = du_guc_main_database();
	bool		is_named = named[0] != '\0' && strcmp(named, "replication") != 0;

	upstream->database = own[0] != '\0' ? pstrdup(own) : is_named ? pstrdup(named) : served;
	upstream->first_database = upstream->database;
	upstream->other_database = own[0] == '\0' && strcmp(upstream->database, served) != 0 ? served : NULL;
}

/* Fills in what both strings say together. */
static void
describe(UpstreamConninfo *upstream, PQconninfoOption *options, PQconninfoOption *own)
{
	int			position;

	/* A role without a server is nobody to report to. */
	if (PrimaryConnInfo[0] == '\0' && value_of(own, "host")[0] == '\0' &&
		value_of(own, "hostaddr")[0] == '\0')
		return;
	upstream->kind = UPSTREAM_KNOWN;
	upstream->own_user = value_of(own, "user")[0] != '\0';
	choose_databases(upstream, value_of(options, "dbname"), value_of(own, "dbname"));
	du_report_conninfo_override(options, own);
	upstream->user = pstrdup(value_of(options, "user"));
	upstream->has_certificate = value_of(options, "sslcert")[0] != '\0';
	position = find_position(options);
	upstream->location = describe_location(options, position);
	set_parameters(upstream, options, position);
}

/* What libpq finds wrong with it may quote a password. */
static PQconninfoOption *
parse(const char *conninfo)
{
	char	   *error = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &error);

	if (error != NULL)
		PQfreemem(error);
	return options;
}

/*
 * What primary_conninfo and documentdb_upgrade.report_conninfo say, in the
 * current memory context.
 */
UpstreamConninfo
du_upstream_conninfo(void)
{
	UpstreamConninfo upstream = {UPSTREAM_NONE, NULL, NULL, "", ""};
	PQconninfoOption *options;
	PQconninfoOption *own;

	if (PrimaryConnInfo == NULL || (PrimaryConnInfo[0] == '\0' && du_guc_report_conninfo[0] == '\0'))
		return upstream;

	options = parse(PrimaryConnInfo);
	own = parse(du_guc_report_conninfo);
	PG_TRY();
	{
		if (options == NULL)
			upstream.kind = UPSTREAM_INVALID;
		else if (own == NULL)
			upstream.kind = UPSTREAM_INVALID_OWN;
		else
			describe(&upstream, options, own);
	}
	PG_FINALLY();
	{
		PQconninfoFree(options);
		PQconninfoFree(own);
	}
	PG_END_TRY();
	return upstream;
}

/*
 * True when none of these hosts is the service by which a CloudNativePG
 * cluster finds its own primary: "name-rw", also with a domain.
 */
static bool
leads_out(const PQconninfoOption *options, const char *cluster)
{
	char	   *service = psprintf("%s-rw", cluster);
	size_t		length = strlen(service);

	for (int i = 0; i < count_hosts(options); i++)
	{
		const char *host = get_host(options, i);

		if (strncmp(host, service, length) == 0 &&
			(host[length] == '\0' || host[length] == '.'))
			return false;
	}
	return true;
}

/*
 * True when this standby is the head of a replica region, which streams from
 * another region or from an archive.
 */
bool
du_upstream_is_designated(void)
{
	const char *cluster = getenv("CLUSTER_NAME");
	PQconninfoOption *options;
	volatile bool out = false;

	if (du_guc_designated_primary != DESIGNATED_AUTO)
		return du_guc_designated_primary == DESIGNATED_ON;
	if (cluster == NULL || cluster[0] == '\0')
		return false;
	if (PrimaryConnInfo == NULL || PrimaryConnInfo[0] == '\0')
		return true;

	options = PQconninfoParse(PrimaryConnInfo, NULL);
	if (options == NULL)
		return false;
	PG_TRY();
	{
		out = leads_out(options, cluster);
	}
	PG_FINALLY();
	{
		PQconninfoFree(options);
	}
	PG_END_TRY();
	return out;
}
