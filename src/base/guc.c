/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  The settings, prefix "documentdb_upgrade.".
 *
 * Every setting here takes part in a decision, so none can be changed by an
 * ordinary role: they come from the configuration file, from ALTER DATABASE
 * or ALTER ROLE by a superuser, or from a superuser's SET.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include <limits.h>

#include "utils/builtins.h"
#include "utils/varlena.h"

char	   *du_guc_extension;
char	   *du_guc_managed_extensions;
char	   *du_guc_loaded_version_function;
char	   *du_guc_version_gate;
char	   *du_guc_desired_schema_version;
char	   *du_guc_guard_severity;
char	   *du_guc_protected_guards;
char	   *du_guc_window;
int			du_guc_enforce;
int			du_guc_lock_timeout;
int			du_guc_attempt_timeout;
int			du_guc_soak_time;
int			du_guc_backup_max_age;
int			du_guc_cutover_goal;
int			du_guc_progress_interval;
int			du_guc_release_retention;

char	   *du_guc_database;
int			du_guc_source;
char	   *du_guc_desired_file;
char	   *du_guc_kubernetes_api_server;
char	   *du_guc_kubernetes_namespace;
char	   *du_guc_kubernetes_resource;
char	   *du_guc_kubernetes_token_file;
char	   *du_guc_kubernetes_ca_file;
int			du_guc_poll_interval;
int			du_guc_resync_interval;
int			du_guc_retry_min;
int			du_guc_retry_max;
bool		du_guc_report_status;
bool		du_guc_kubernetes_reads;
int			du_guc_max_databases;
int			du_guc_max_workers;
int			du_guc_database_look_interval;

int			du_guc_schema_ahead_action;
char	   *du_guc_fence_exempt_roles;

int			du_guc_expected_standbys;
char	   *du_guc_ignore_standbys;
int			du_guc_standby_report_timeout;
int			du_guc_max_replication_lag;
int			du_guc_node_timeout;
int			du_guc_designated_primary;
char	   *du_guc_report_conninfo;
char	   *du_guc_report_password_file;

static const struct config_enum_entry sources[] = {
	{"setting", SOURCE_KIND_SETTING, false},
	{"file", SOURCE_KIND_FILE, false},
	{"kubernetes", SOURCE_KIND_KUBERNETES, false},
	{NULL, 0, false}
};

static const struct config_enum_entry enforcements[] = {
	{"on", ENFORCE_ON, false},
	{"warn", ENFORCE_WARN, false},
	{"off", ENFORCE_OFF, false},
	{"true", ENFORCE_ON, true},
	{"false", ENFORCE_OFF, true},
	{"yes", ENFORCE_ON, true},
	{"no", ENFORCE_OFF, true},
	{"1", ENFORCE_ON, true},
	{"0", ENFORCE_OFF, true},
	{NULL, 0, false}
};

static const struct config_enum_entry schema_ahead_actions[] = {
	{"warn", SCHEMA_AHEAD_WARN, false},
	{"read_only", SCHEMA_AHEAD_READ_ONLY, false},
	{NULL, 0, false}
};

static const struct config_enum_entry designations[] = {
	{"auto", DESIGNATED_AUTO, false},
	{"on", DESIGNATED_ON, false},
	{"off", DESIGNATED_OFF, false},
	{"true", DESIGNATED_ON, true},
	{"false", DESIGNATED_OFF, true},
	{"yes", DESIGNATED_ON, true},
	{"no", DESIGNATED_OFF, true},
	{"1", DESIGNATED_ON, true},
	{"0", DESIGNATED_OFF, true},
	{NULL, 0, false}
};

/*
 * A main extension is needed for every question that we answer.
 */
static bool
check_extension(char **newval, void **extra, GucSource source)
{
	const char *problem;

	if (du_main_check(*newval, &problem))
		return true;
	GUC_check_errdetail("%s", problem);
	return false;
}

/*
 * Role names are looked up when they matter; here only the list must be one.
 */
static bool
check_role_list(char **newval, void **extra, GucSource source)
{
	char	   *text = pstrdup(*newval);
	List	   *names;
	bool		valid = SplitIdentifierString(text, ',', &names);

	if (!valid)
		GUC_check_errdetail("It is not a list of role names separated by commas.");
	list_free(names);
	pfree(text);
	return valid;
}

/*
 * Names of standbys may be anything; here only the list must be one.
 */
static bool
check_standby_list(char **newval, void **extra, GucSource source)
{
	char	   *text = pstrdup(*newval);
	List	   *names;
	bool		valid = SplitGUCList(text, ',', &names);

	if (!valid)
		GUC_check_errdetail("It is not a list of names separated by commas.");
	list_free(names);
	pfree(text);
	return valid;
}

static void
define_names(const GucCheckHooks *hooks)
{
	DefineCustomStringVariable("documentdb_upgrade.extension",
							   "Names the main extension; its version is the schema version.",
							   "A list names several, each with a managed set of its own; a custom resource or a file is about the first.",
							   &du_guc_extension,
							   "documentdb",
							   PGC_SUSET, GUC_LIST_INPUT,
							   check_extension, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.managed_extensions",
							   "Lists the managed set in the order of update.",
							   "Extensions that are not installed are ignored; the main extension is added at the end when the list lacks it. "
							   "It is about the first main extension. "
							   "Empty: the family of the main extension, which is known for DocumentDB, and the main extension alone for every other one.",
							   &du_guc_managed_extensions,
							   "",
							   PGC_SUSET, GUC_LIST_INPUT,
							   NULL, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.loaded_version_function",
							   "Names the function that prints the version of the loaded library.",
							   "It is called only when it is a member of the main extension. Empty when there is none.",
							   &du_guc_loaded_version_function,
							   "documentdb_api.binary_version",
							   PGC_SUSET, 0,
							   NULL, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.version_gate",
							   "Names the shared memory segment that holds the version in force.",
							   "Empty when the extension has none.",
							   &du_guc_version_gate,
							   "DocumentDB Version Cache",
							   PGC_SUSET, 0,
							   NULL, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.desired_schema_version",
							   "Desired schema version: empty, \"auto\" or a version.",
							   "Empty means two-phase: an update is announced and nothing runs.",
							   &du_guc_desired_schema_version,
							   "",
							   PGC_SUSET, 0,
							   hooks->desired_schema_version, NULL, NULL);
}

static void
define_limits(void)
{
	DefineCustomIntVariable("documentdb_upgrade.lock_timeout",
							"Bounds the sum of all lock waits of one attempt.",
							NULL,
							&du_guc_lock_timeout,
							500, 1, 3600000,
							PGC_SUSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("documentdb_upgrade.attempt_timeout",
							"Bounds the duration of one attempt.",
							NULL,
							&du_guc_attempt_timeout,
							300000, 1, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
}

static void
define_guards(const GucCheckHooks *hooks)
{
	DefineCustomEnumVariable("documentdb_upgrade.enforce",
							 "What happens when a statement of somebody else goes against the hard guards.",
							 "\"on\" refuses it, \"warn\" warns, \"off\" lets it pass. Needs preloading.",
							 &du_guc_enforce,
							 ENFORCE_ON, enforcements,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.guard_severity",
							   "Overrides what a guard that is not met does.",
							   "A list such as \"backup_recent=fail, event_triggers=skip\"; each guard can be set to fail, warn or skip. Hard guards cannot be changed.",
							   &du_guc_guard_severity,
							   "",
							   PGC_SUSET, 0,
							   hooks->guard_severity, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.protected_guards",
							   "Lists the guards that not everybody who may finalize may override.",
							   "Only superusers and owners of the managed extensions may name them in skip_guards.",
							   &du_guc_protected_guards,
							   "hold",
							   PGC_SUSET, GUC_LIST_INPUT,
							   hooks->protected_guards, NULL, NULL);

	DefineCustomIntVariable("documentdb_upgrade.soak_time",
							"How long this binary must have been in use before a finalize.",
							"Counted over restarts, from when the binary was first seen.",
							&du_guc_soak_time,
							0, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.maintenance_window",
							   "When a finalize may run, for example \"Sat,Sun 02:00-04:00 UTC\".",
							   "Empty means at any time. Several windows are separated by semicolons.",
							   &du_guc_window,
							   "",
							   PGC_SUSET, 0,
							   hooks->window, NULL, NULL);

	DefineCustomIntVariable("documentdb_upgrade.backup_max_age",
							"How old the last recorded backup may be.",
							NULL,
							&du_guc_backup_max_age,
							24 * 60 * 60, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("documentdb_upgrade.cutover_goal",
							"How long writes may be stopped in a cut-over.",
							"cutover_report() compares with it; nothing else does.",
							&du_guc_cutover_goal,
							10 * 60, 1, INT_MAX,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("documentdb_upgrade.progress_interval",
							"How often rehearsals and comparisons tell the client how far they are.",
							"0 means never.",
							&du_guc_progress_interval,
							5000, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("documentdb_upgrade.release_retention",
							"How many releases are kept.",
							"Older ones are deleted when a release is recorded, unless a rollback refers to them.",
							&du_guc_release_retention,
							10, 1, 10000,
							PGC_SUSET, 0,
							NULL, NULL, NULL);
}

static void
define_fence(void)
{
	DefineCustomEnumVariable("documentdb_upgrade.schema_ahead_action",
							 "What happens while the binary is older than the schema.",
							 "With \"read_only\" sessions cannot write to the databases that workers serve until the binary is right again.",
							 &du_guc_schema_ahead_action,
							 SCHEMA_AHEAD_WARN, schema_ahead_actions,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.fence_exempt_roles",
							   "Lists the roles that can write while writes are stopped.",
							   "The role that a session is of counts, not its memberships. Empty means the bootstrap superuser.",
							   &du_guc_fence_exempt_roles,
							   "",
							   PGC_SIGHUP, GUC_LIST_INPUT,
							   check_role_list, NULL, NULL);
}

static void
define_fleet(void)
{
	DefineCustomIntVariable("documentdb_upgrade.expected_standbys",
							"How many standbys this server's region must have.",
							"-1 takes instancesPerNode - 1 from the custom resource, where there is one.",
							&du_guc_expected_standbys,
							-1, -1, 1000,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.ignore_standbys",
							   "Lists the standbys, by application name or slot, that no finalize waits for.",
							   NULL,
							   &du_guc_ignore_standbys,
							   "",
							   PGC_SIGHUP, GUC_LIST_INPUT,
							   check_standby_list, NULL, NULL);

	DefineCustomIntVariable("documentdb_upgrade.standby_report_timeout",
							"How long the report of a standby counts.",
							"A standby reports three times as often. Set the same on every server.",
							&du_guc_standby_report_timeout,
							30000, 300, 24 * 60 * 60 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("documentdb_upgrade.max_replication_lag",
							"How far behind a standby may be in replay.",
							NULL,
							&du_guc_max_replication_lag,
							30000, 1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("documentdb_upgrade.node_timeout",
							"How long the other nodes of a Citus cluster are waited for, all together.",
							"A node that has not answered by then counts as silent.",
							&du_guc_node_timeout,
							10000, 100, 10 * 60 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomEnumVariable("documentdb_upgrade.designated_primary",
							 "Whether this standby is the head of a replica region and reports to its own custom resource.",
							 "\"auto\" takes it for one when primary_conninfo leads out of the pod's own cluster.",
							 &du_guc_designated_primary,
							 DESIGNATED_AUTO, designations,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.report_conninfo",
							   "How a standby connects to its upstream to report, where that differs from primary_conninfo.",
							   "A connection string; what it does not say is as in primary_conninfo.",
							   &du_guc_report_conninfo,
							   "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.report_password_file",
							   "File with the password that a standby reports with, and nothing else.",
							   "It is read for each report. Empty means the password that the connection strings or libpq's password file give.",
							   &du_guc_report_password_file,
							   "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);
}

static void
define_source(void)
{
	DefineCustomEnumVariable("documentdb_upgrade.source",
							 "Where the desired schema version comes from.",
							 NULL,
							 &du_guc_source,
							 SOURCE_KIND_SETTING, sources,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.desired_file",
							   "File with the desired version, for source \"file\".",
							   "A custom resource in JSON, or a bare version.",
							   &du_guc_desired_file,
							   "",
							   PGC_SIGHUP, 0,
							   NULL, NULL, NULL);

	DefineCustomBoolVariable("documentdb_upgrade.report_status",
							 "Reports status, condition and Events to the API server.",
							 NULL,
							 &du_guc_report_status,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("documentdb_upgrade.kubernetes_reads",
							 "Answers checks of the health reports by reads from the API server.",
							 "Each kind of object needs a rule for the service account of the pod.",
							 &du_guc_kubernetes_reads,
							 false,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
}

/*
 * Settings that hold for the life of the server.  In a server without
 * preloading they serve tick() and are taken from the configuration file.
 */
static void
define_connection(bool preloading)
{
	const struct
	{
		const char *name;
		const char *description;
		char	  **variable;
		const char *value;
	}			settings[] = {
		{"documentdb_upgrade.database", "Databases that are served, one worker each; * means every one that has this extension.", &du_guc_database, "postgres"},
		{"documentdb_upgrade.kubernetes_api_server", "URL of the API server; empty means the in-cluster one.", &du_guc_kubernetes_api_server, ""},
		{"documentdb_upgrade.kubernetes_namespace", "Namespace of the custom resource; empty means that of the pod.", &du_guc_kubernetes_namespace, ""},
		{"documentdb_upgrade.kubernetes_resource", "Name of the custom resource; empty means the owner of the pod's cluster.", &du_guc_kubernetes_resource, ""},
		{"documentdb_upgrade.kubernetes_token_file", "File with the bearer token; empty means the mounted one.", &du_guc_kubernetes_token_file, ""},
		{"documentdb_upgrade.kubernetes_ca_file", "File with the API server's certificate authority; empty means the mounted one.", &du_guc_kubernetes_ca_file, ""},
	};

	for (int i = 0; i < lengthof(settings); i++)
		DefineCustomStringVariable(settings[i].name, settings[i].description, NULL,
								   settings[i].variable, settings[i].value,
								   preloading ? PGC_POSTMASTER : PGC_SIGHUP, 0,
								   NULL, NULL, NULL);
}

static void
define_pace(void)
{
	const struct
	{
		const char *name;
		const char *description;
		int		   *variable;
		int			value;
		int			minimum;
	}			settings[] = {
		{"documentdb_upgrade.poll_interval", "Pace of looks at this server, and of sources that cannot be watched.", &du_guc_poll_interval, 5000, 100},
		{"documentdb_upgrade.resync_interval", "Pace of full reads beside a watch.", &du_guc_resync_interval, 600000, 1000},
		{"documentdb_upgrade.retry_min", "Wait before the first retry of an attempt.", &du_guc_retry_min, 1000, 10},
		{"documentdb_upgrade.retry_max", "Longest wait before a retry of an attempt.", &du_guc_retry_max, 300000, 10},
	};

	for (int i = 0; i < lengthof(settings); i++)
		DefineCustomIntVariable(settings[i].name, settings[i].description, NULL,
								settings[i].variable, settings[i].value,
								settings[i].minimum, 24 * 60 * 60 * 1000,
								PGC_SIGHUP, GUC_UNIT_MS,
								NULL, NULL, NULL);
}

/*
 * What is known of the databases of this server.
 */
static void
define_databases(bool preloading)
{
	DefineCustomIntVariable("documentdb_upgrade.max_databases",
							"How many databases of this server are kept track of.",
							"Each takes some shared memory.",
							&du_guc_max_databases,
							64, 1, 10000,
							preloading ? PGC_POSTMASTER : PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("documentdb_upgrade.max_workers",
							"How many databases have a worker at the same time.",
							"0 means half of max_worker_processes.",
							&du_guc_max_workers,
							0, 0, 10000,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("documentdb_upgrade.database_look_interval",
							"Pace of looks at the databases that no worker serves.",
							"0 means that nobody looks at them.",
							&du_guc_database_look_interval,
							5 * 60 * 1000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
}

/*
 * The name of a SourceKind.
 */
const char *
du_guc_source_name(int source)
{
	return sources[source].name;
}

/*
 * Defines every setting.  Cannot fail in normal life: a bad value in the
 * configuration file is reported by the server as a warning.
 */
void
du_guc_define(const GucCheckHooks *hooks, bool preloading)
{
	define_names(hooks);
	define_limits();
	define_guards(hooks);
	define_fence();
	define_fleet();
	define_source();
	define_pace();
	define_connection(preloading);
	define_databases(preloading);

	MarkGUCPrefixReserved("documentdb_upgrade");
}
