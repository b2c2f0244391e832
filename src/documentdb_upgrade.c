/*-------------------------------------------------------------------------
 *
 * documentdb_upgrade.c
 *	  Entry point of the library: wiring only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "base/base.h"
#include "checksum/checksum.h"
#include "enforcement/enforcement.h"
#include "extension/extension.h"
#include "fence/fence.h"
#include "fleet/fleet.h"
#include "guards/guards.h"
#include "processes/processes.h"

PG_MODULE_MAGIC;

/* Declared by fmgr.h since 16. */
extern PGDLLEXPORT void _PG_init(void);

static bool
check_desired_version(char **newval, void **extra, GucSource source)
{
	ExtensionVersion version;
	const char *reason;

	if ((*newval)[0] == '\0' || strcmp(*newval, "auto") == 0 ||
		du_version_parse(*newval, &version, &reason))
		return true;
	GUC_check_errdetail("%s", reason);
	GUC_check_errhint("Use an empty string, \"auto\" or a version.");
	return false;
}

static bool
check_window(char **newval, void **extra, GucSource source)
{
	const char *reason;

	if (du_window_is_valid(*newval, &reason))
		return true;
	GUC_check_errdetail("%s", reason);
	GUC_check_errhint("An example is \"Sat,Sun 02:00-04:00 UTC\".");
	return false;
}

/*
 * Runs when the library is loaded, at server start or in a session.  Must
 * not fail: a preloaded library that fails stops the server.
 */
void
_PG_init(void)
{
	GucCheckHooks hooks = {check_desired_version, du_guards_check_severity,
	du_guards_check_protected, check_window};

	du_text_types_define("documentdb_upgrade.parity_text_types");
	du_guc_define(&hooks, process_shared_preload_libraries_in_progress);

	/* pg_upgrade must not find anything of ours at work. */
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	du_cache_install();
	du_shared_install();
	du_records_install();
	du_outside_install();
	du_reports_install();
	du_record_install();
	du_refusal_install();
	du_access_install();
	du_made_anew_install();
	du_utility_install();
	du_fence_install();
	du_launcher_register();
}
