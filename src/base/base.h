/*-------------------------------------------------------------------------
 *
 * base.h
 *	  What every room stands on: settings, contexts, rows and text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_BASE_H
#define DU_BASE_H

#include "access/genam.h"
#include "catalog/objectaccess.h"
#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "storage/lwlock.h"
#include "tcop/utility.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "base/clock.h"
#include "base/compat.h"

/* ----
 * database_setting.c
 *
 * Which databases documentdb_upgrade.database means.
 * ----
 */

extern List *du_guc_databases(bool *every);
extern PGDLLEXPORT char *du_guc_main_database(void);
extern bool du_guc_means_database(const char *name, bool has_us);

/* ----
 * digest.c
 *
 * SHA-256 of texts and files.
 * ----
 */

extern PGDLLEXPORT char *du_digest_bytes(const void *bytes, size_t length);
extern char *du_digest_file(const char *path);

/* ----
 * execution_context.c
 *
 * As whom, and with which settings, our own code runs.
 * ----
 */

typedef struct ExecutionContext
{
	Oid			caller;			/* user before the switch */
	int			caller_security;
	int			guc_nestlevel;
} ExecutionContext;

extern PGDLLEXPORT Oid du_context_own_extension(void);
extern bool du_context_may_execute(Oid role, const char *name);
extern bool du_context_has_procedure_alone(Oid role);
extern void du_context_enter(ExecutionContext *context);
extern void du_context_leave_role(const ExecutionContext *context);
extern void du_context_leave(const ExecutionContext *context);
extern void du_context_set(const char *name, const char *value);

extern PGDLLEXPORT int du_query(const char *sql, int nargs, Oid *types, Datum *values);
extern PGDLLEXPORT bool du_query_was_refused(void);
extern bool du_table_is_empty(const char *name);
extern void du_execute(const char *sql);
extern Datum du_oid_array(const List *oids);
extern PGDLLEXPORT char *du_query_text(int row, int column);
extern Datum du_query_datum(int row, int column, bool *isnull);
extern PGDLLEXPORT int64 du_query_int(int row, int column);
extern double du_query_double(int row, int column);

/* ----
 * file_cache.c
 *
 * What was worked out from files once, for all processes of the server.
 * ----
 */

extern void du_cache_install(void);
extern void du_cache_key(StringInfo key, const char *kind);
extern char *du_cache_find(const StringInfoData *key, size_t *length);
extern void du_cache_keep(const StringInfoData *key, const char *value, size_t length);
extern void du_cache_put_text(StringInfo value, const char *text);
extern void du_cache_put_int(StringInfo value, int32 number);
extern const char *du_cache_take_text(const char **value);
extern int32 du_cache_take_int(const char **value);

/* ----
 * guc.c
 *
 * The settings, prefix "documentdb_upgrade.".
 * ----
 */

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
extern int	du_guc_cutover_goal;	/* seconds */
extern int	du_guc_progress_interval;	/* milliseconds, 0: never */

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
extern PGDLLEXPORT bool du_guc_kubernetes_reads;
extern int	du_guc_max_databases;	/* that are recorded */
extern int	du_guc_max_workers; /* 0: as many as max_worker_processes / 2 */
extern int	du_guc_database_look_interval;	/* milliseconds, 0: never */

extern PGDLLEXPORT const char *du_guc_source_name(int source);

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
extern int	du_guc_node_timeout;	/* milliseconds */
extern PGDLLEXPORT int du_guc_designated_primary;	/* a DesignatedPrimary */
extern PGDLLEXPORT char *du_guc_report_conninfo;	/* may hold a password */
extern PGDLLEXPORT char *du_guc_report_password_file;

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

/* ----
 * hooks.c
 *
 * One place in the server's chains of hooks for all parts of this library.
 * ----
 */

/* What the server hands over, to be passed on as it came. */
typedef struct UtilityCall
{
	PlannedStmt *pstmt;
	const char *query_string;
	bool		read_only_tree;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *query_env;
	DestReceiver *dest;
	QueryCompletion *qc;
	int			parts_left;		/* that come before the hooks of others */
} UtilityCall;

typedef void (*UtilityPart) (const UtilityCall *call);
typedef void (*AccessPart) (ObjectAccessType access, Oid classid, Oid objid, int subid);

extern void du_hooks_add_utility(UtilityPart part);
extern void du_hooks_pass_on(const UtilityCall *call);
extern void du_hooks_add_access(AccessPart part);

/* ----
 * json_writer.c
 *
 * Writes JSON into a string, value by value.
 * ----
 */

extern void du_write_key(StringInfo buf, const char *key);
extern PGDLLEXPORT void du_write_open(StringInfo buf, const char *key, char bracket);
extern PGDLLEXPORT void du_write_close(StringInfo buf, char bracket);
extern PGDLLEXPORT void du_write_text(StringInfo buf, const char *key, const char *value);
extern PGDLLEXPORT void du_write_bool(StringInfo buf, const char *key, bool value);
extern PGDLLEXPORT void du_write_int(StringInfo buf, const char *key, int64 value);
extern void du_write_number(StringInfo buf, const char *key, double value);
extern void du_write_texts(StringInfo buf, const char *key, const List *values);

/* ----
 * main_extension.c
 *
 * Which extension is the main one, where a database has several.
 * ----
 */

extern PGDLLEXPORT List *du_main_extensions(void);
extern PGDLLEXPORT const char *du_main_extension(void);
extern PGDLLEXPORT const char *du_main_selected(void);
extern PGDLLEXPORT bool du_main_is_further(const char *name);
extern PGDLLEXPORT void du_main_select(const char *name);
extern void du_main_run(const char *name, void (*work) (void *arg), void *arg);
extern PGDLLEXPORT void du_main_run_each(void (*work) (void *arg), void *arg);
extern Datum du_main_call(PGFunction function, FunctionCallInfo fcinfo, int n);
extern PGDLLEXPORT const char *du_main_desired(const char *desired);
extern char *du_main_argument(bool is_only);

/* ----
 * result_row.c
 *
 * One row of a set that a function returns.
 * ----
 */

#define RESULT_COLUMNS 24

typedef struct ResultRow
{
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS];
	int			n;
} ResultRow;

extern void du_row_add(ResultRow *row, Datum value);
extern void du_row_add_null(ResultRow *row);
extern void du_row_add_text(ResultRow *row, const char *value);
extern void du_row_add_int(ResultRow *row, int value);
extern void du_row_add_time(ResultRow *row, TimestampTz time);
extern void du_row_add_names(ResultRow *row, List *names);
extern Datum du_row_inout(FunctionCallInfo fcinfo, const char *json);
extern void du_row_put(FunctionCallInfo fcinfo, ResultRow *row);

/* ----
 * shared_memory.c
 *
 * One place where the parts of this library get their shared memory.
 * ----
 */

typedef struct SharedPart
{
	const char *name;			/* of the memory, and of its locks */
	Size		size;			/* 0: none, it wants to be started only */
	int			nlocks;

	/*
	 * Called when the server has made its shared memory, at its start and
	 * after a crash.  What is new is zeroed.
	 */
	void		(*start) (void *memory, LWLockPadded *locks, bool is_new);
} SharedPart;

extern void du_shared_memory_add(const SharedPart *part);

/* ----
 * stored_settings.c
 *
 * What ALTER DATABASE ... SET and ALTER ROLE ... SET have stored.
 * ----
 */

extern PGDLLEXPORT List *du_stored_settings(Oid database, Oid role);

/* ----
 * subtransaction.c
 *
 * Runs a piece of work in an internal subtransaction.
 * ----
 */

typedef enum SubtransactionEnd
{
	SUBTRANSACTION_KEEP,
	SUBTRANSACTION_ROLL_BACK
} SubtransactionEnd;

extern ErrorData *du_subtransaction_run(void (*work) (void *arg), void *arg,
										SubtransactionEnd end);

/* ----
 * table_scan.c
 *
 * Reads a small table row by row, its columns by their names.
 * ----
 */

typedef struct TableScan
{
	Relation	rel;
	Relation	index;			/* that gives the order, NULL without one */
	Snapshot	snapshot;
	SysScanDesc scan;
	HeapTuple	tuple;			/* the present row */
} TableScan;

extern bool du_scan_begin_if_exists(TableScan *scan, const char *schema, const char *table);
extern void du_scan_begin(TableScan *scan, const char *schema, const char *table);
extern void du_scan_begin_newest(TableScan *scan, const char *schema, const char *table);
extern bool du_scan_next(TableScan *scan);
extern void du_scan_end(TableScan *scan, LOCKMODE lock);
extern Datum du_scan_value(const TableScan *scan, const char *column, bool *isnull);
extern char *du_scan_text(const TableScan *scan, const char *column);
extern bool du_scan_has_text(const TableScan *scan, const char *column, const char *text);

/* ----
 * wording.c
 *
 * Lists, numbers, moments and durations, worded for people.
 * ----
 */

extern char *du_names_join(const List *names);
extern char *du_count_words(int64 n, const char *one, const char *many);
extern char *du_time_words(TimestampTz time);
extern char *du_duration_words(double seconds);

/* ----
 * progress.c
 *
 * Long work tells how far it is.
 * ----
 */

typedef struct Progress
{
	const char *what;
	ClockMs		started;
	ClockMs		told;
} Progress;

extern void du_progress_start(Progress *progress, const char *what);
extern bool du_progress_is_due(const Progress *progress);
extern void du_progress_show(const Progress *progress, const char *position);
extern void du_progress_tell(Progress *progress, const char *position, double done);
extern void du_progress_end(void);

#endif							/* DU_BASE_H */
