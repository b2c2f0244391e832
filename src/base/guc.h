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

extern PGDLLEXPORT char *du_guc_extension;
extern char *du_guc_managed_extensions;
extern char *du_guc_loaded_version_function;
extern char *du_guc_version_gate;
extern PGDLLEXPORT char *du_guc_desired_schema_version;
extern char *du_guc_guard_severity;
extern char *du_guc_protected_guards;
extern char *du_guc_window;

/* What a statement of somebody else meets. */
typedef enum Enforcement
{
	ENFORCE_OFF,
	ENFORCE_WARN,
	ENFORCE_ON
} Enforcement;

extern int	du_guc_enforce;		/* an Enforcement */
extern int	du_guc_lock_timeout;	/* milliseconds */
extern int	du_guc_attempt_timeout; /* milliseconds */
extern int	du_guc_soak_time;	/* seconds */
extern int	du_guc_backup_max_age;	/* seconds */
extern int	du_guc_release_retention;	/* revisions */

/* The worker's. */
typedef enum SourceKind
{
	SOURCE_KIND_SETTING,
	SOURCE_KIND_FILE,
	SOURCE_KIND_KUBERNETES
} SourceKind;

extern PGDLLEXPORT char *du_guc_database;
extern PGDLLEXPORT int du_guc_source;	/* a SourceKind */
extern PGDLLEXPORT char *du_guc_desired_file;
extern PGDLLEXPORT char *du_guc_kubernetes_api_server;	/* these five are "" for
														 * the in-cluster value */
extern PGDLLEXPORT char *du_guc_kubernetes_namespace;
extern PGDLLEXPORT char *du_guc_kubernetes_resource;
extern PGDLLEXPORT char *du_guc_kubernetes_token_file;
extern PGDLLEXPORT char *du_guc_kubernetes_ca_file;
extern PGDLLEXPORT int du_guc_poll_interval;	/* milliseconds */
extern PGDLLEXPORT int du_guc_resync_interval;	/* milliseconds */
extern PGDLLEXPORT int du_guc_retry_min;	/* milliseconds */
extern PGDLLEXPORT int du_guc_retry_max;	/* milliseconds */
extern PGDLLEXPORT bool du_guc_report_status;

extern PGDLLEXPORT const char *du_guc_source_name(void);

/* What happens while the binary is older than the schema. */
typedef enum SchemaAheadAction
{
	SCHEMA_AHEAD_WARN,
	SCHEMA_AHEAD_READ_ONLY
} SchemaAheadAction;

extern PGDLLEXPORT int du_guc_schema_ahead_action;	/* a SchemaAheadAction */
extern char *du_guc_fence_exempt_roles; /* "": the bootstrap superuser */

/* Whether this standby is the head of a replica region. */
typedef enum DesignatedPrimary
{
	DESIGNATED_AUTO,			/* as primary_conninfo and the pod say */
	DESIGNATED_ON,
	DESIGNATED_OFF
} DesignatedPrimary;

/* The fleet's. */
extern PGDLLEXPORT int du_guc_expected_standbys;	/* -1: as the resource
													 * says */
extern char *du_guc_ignore_standbys;
extern PGDLLEXPORT int du_guc_standby_report_timeout;	/* milliseconds */
extern int	du_guc_max_replication_lag; /* milliseconds */
extern PGDLLEXPORT int du_guc_designated_primary;	/* a DesignatedPrimary */

/*
 * Checks of settings whose grammar belongs to higher modules; the wiring
 * hands them in.
 */
typedef struct GucCheckHooks
{
	GucStringCheckHook desired_schema_version;
	GucStringCheckHook guard_severity;
	GucStringCheckHook protected_guards;
	GucStringCheckHook window;
} GucCheckHooks;

extern void du_guc_define(const GucCheckHooks *hooks, bool preloading);

#endif							/* DU_GUC_H */
