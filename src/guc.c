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

#include "guc.h"

#include <limits.h>

char	   *du_guc_extension;
char	   *du_guc_managed_extensions;
char	   *du_guc_loaded_version_function;
char	   *du_guc_version_gate;
char	   *du_guc_desired_schema_version;
char	   *du_guc_guard_severity;
char	   *du_guc_window;
int			du_guc_lock_timeout;
int			du_guc_attempt_timeout;
int			du_guc_soak_time;
int			du_guc_backup_max_age;

/*
 * A main extension is needed for every question that we answer.
 */
static bool
check_extension(char **newval, void **extra, GucSource source)
{
	if ((*newval)[0] != '\0')
		return true;
	GUC_check_errdetail("The managed extension must be named.");
	return false;
}

static void
define_names(const GucCheckHooks *hooks)
{
	DefineCustomStringVariable("documentdb_upgrade.extension",
							   "Names the main extension; its version is the schema version.",
							   NULL,
							   &du_guc_extension,
							   "documentdb",
							   PGC_SUSET, 0,
							   check_extension, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.managed_extensions",
							   "Lists the managed set in the order of update.",
							   "Extensions that are not installed are ignored; the main extension is added at the end when the list lacks it.",
							   &du_guc_managed_extensions,
							   "documentdb_core, documentdb, documentdb_extended_rum",
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
							   PGC_SIGHUP, 0,
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
	DefineCustomStringVariable("documentdb_upgrade.guard_severity",
							   "Overrides what a guard that is not met does.",
							   "A list such as \"backup_recent=fail, event_triggers=skip\"; each guard can be set to fail, warn or skip. Hard guards cannot be changed.",
							   &du_guc_guard_severity,
							   "",
							   PGC_SUSET, 0,
							   hooks->guard_severity, NULL, NULL);

	DefineCustomIntVariable("documentdb_upgrade.soak_time",
							"How long this binary must have been in use before a finalize.",
							"Counted over restarts, from when the binary was first seen.",
							&du_guc_soak_time,
							0, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomStringVariable("documentdb_upgrade.window",
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
}

/*
 * Defines every setting.  Cannot fail in normal life: a bad value in the
 * configuration file is reported by the server as a warning.
 */
void
du_guc_define(const GucCheckHooks *hooks)
{
	define_names(hooks);
	define_limits();
	define_guards(hooks);

	MarkGUCPrefixReserved("documentdb_upgrade");
}
