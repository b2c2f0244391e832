/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  The settings, prefix "documentdb_upgrade.".
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_GUC_H
#define DU_GUC_H

#include "utils/guc.h"

extern char *du_guc_extension;
extern char *du_guc_managed_extensions;
extern char *du_guc_loaded_version_function;
extern char *du_guc_version_gate;
extern char *du_guc_desired_schema_version;
extern char *du_guc_guard_severity;
extern char *du_guc_window;
extern int	du_guc_lock_timeout;	/* milliseconds */
extern int	du_guc_attempt_timeout; /* milliseconds */
extern int	du_guc_soak_time;	/* seconds */
extern int	du_guc_backup_max_age;	/* seconds */

/*
 * Checks of settings whose grammar belongs to higher modules; the wiring
 * hands them in.
 */
typedef struct GucCheckHooks
{
	GucStringCheckHook desired_schema_version;
	GucStringCheckHook guard_severity;
	GucStringCheckHook window;
} GucCheckHooks;

extern void du_guc_define(const GucCheckHooks *hooks);

#endif							/* DU_GUC_H */
