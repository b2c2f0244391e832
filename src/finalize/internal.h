/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FINALIZE_INTERNAL_H
#define DU_FINALIZE_INTERNAL_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

#include "extension/extension.h"
#include "finalize/finalize.h"
#include "processes/processes.h"

/* ----
 * history.c
 *
 * The audit record of one attempt.
 * ----
 */

extern FailureCause du_history_cause(const char *name);
extern char *du_history_json_failed(const char *json, FailureCause cause,
									const ErrorData *edata);
extern Datum du_history_row(const char *json, bool *isnull);
extern void du_history_insert_or_repeat(const char *json);

/* ----
 * history_memory.c
 *
 * What history remembers of earlier attempts.
 * ----
 */

extern bool du_history_has_restore_point(const AttemptRecord *record, const char *name);

/* ----
 * finalize.c
 *
 * Commits an upgrade: one bounded, audited transaction.
 * ----
 */

extern void du_finalize_judge(const FinalizeRequest *request);
extern Datum du_finalize(const FinalizeRequest *request, bool *isnull);

/* ----
 * everywhere_process.c
 *
 * Finalizes one database on behalf of a session that is in another.
 * ----
 */

typedef enum EverywhereResult
{
	EVERYWHERE_LOST,			/* the process has not said */
	EVERYWHERE_SUCCEEDED,
	EVERYWHERE_SKIPPED,
	EVERYWHERE_FAILED,
	EVERYWHERE_TO_BEGIN_WITH_UPDATE /* a library has refused another form */
} EverywhereResult;

/* What session and process tell each other. */
typedef struct EverywhereMessage
{
	Oid			database;
	Oid			session_role;	/* of the caller's session */
	Oid			role;			/* of the caller */
	bool		is_superuser;	/* that is it */
	char		main_extension[NAMEDATALEN];	/* in the caller's database */
	int			place;			/* which of the main extensions there, from 0 */
	char		target[SHARED_VERSION_LENGTH];	/* "": the binary version */
	bool		alter_first;	/* begin with the update */

	EverywhereResult result;
	int			nsets;			/* how many there are, 0: not known */
	char		extension[NAMEDATALEN]; /* main one there */
	char		from_version[SHARED_VERSION_LENGTH];
	char		to_version[SHARED_VERSION_LENGTH];
	char		detail[SHARED_TEXT_LENGTH];
} EverywhereMessage;

/* ----
 * upgrade_steps.c
 *
 * Runs the steps of a plan: what finalize and rehearsal have in common.
 * ----
 */

typedef struct ScriptLocation
{
	const char *script;			/* NULL when no script was running */
	int			line;			/* 0 when not known */
} ScriptLocation;

extern char *du_steps_report(const StepsRun *run);
extern ScriptLocation du_steps_describe_error(const StepsRun *run, ErrorData *edata);

/* ----
 * attempt.c
 *
 * One attempt to finalize while it runs, and what becomes of it when it
 * fails.
 * ----
 */

extern void du_attempt_prepare_for_end_of_session(const Attempt *attempt);
extern FailureCause du_attempt_cause_of(const ErrorData *edata, FailureCause otherwise);
extern bool du_attempt_query_refused(const Attempt *attempt);
extern void du_attempt_fail(const Attempt *attempt, ErrorData *edata);

/* ----
 * attempt_limits.c
 *
 * Bounds of one attempt: the sum of its lock waits, and its duration.
 * ----
 */

typedef enum LimitReached
{
	LIMIT_NONE,
	LIMIT_LOCK_WAITS,
	LIMIT_DURATION
} LimitReached;

extern void du_limits_start(int lock_wait_ms, int duration_ms);
extern int64 du_limits_waited_ms(void);
extern LimitReached du_limits_reached(void);

/* ----
 * attempt_recorder.c
 *
 * Records attempts whose own transaction does not survive.
 * ----
 */

extern void du_recorder_record_now(const char *json);
extern void du_recorder_record_on_abort(const char *json);
extern void du_recorder_forget_newest(void);
extern char *du_recorder_take_newest(void);

/* ----
 * configured_settings.c
 *
 * What the configuration says of settings that a role has its own of.
 * ----
 */

typedef struct ConfiguredSettings
{
	ConfigVariable *files;		/* later ones win */
	List	   *database;		/* of ConfiguredSetting, later ones win */
} ConfiguredSettings;

extern ConfiguredSettings *du_configured_read(void);
extern const char *du_configured_value(const ConfiguredSettings *settings,
									   const char *name);
extern const char *du_configured_builtin(const struct config_generic *variable);

/* ----
 * lazy_libraries.c
 *
 * Libraries whose settings were set before they came.
 * ----
 */

extern void du_libraries_load(const UpgradeFacts *facts, const List *prefixes);

/* ----
 * lock_budget.c
 *
 * Ends an upgrade before it takes more of the lock table than it may.
 * ----
 */

extern void du_lock_budget_note(void);
extern void du_lock_budget_check(void);
extern void du_lock_budget_stop(void);
extern bool du_lock_budget_exceeded(void);

/* ----
 * step_trace.c
 *
 * Follows an update script, or a check, while the server runs it.
 * ----
 */

extern void du_trace_start_check(const char *search_path, const SettingsKeeper *settings);

/* ----
 * upgrade_locks.c
 *
 * The locks that an upgrade takes before it changes anything.
 * ----
 */

extern void du_locks_take_extensions(const UpgradeFacts *facts);

/* ----
 * detached_attempt.c
 *
 * One attempt in a process of its own, for somebody who waits for it.
 * ----
 */

extern void du_attempt_describe(const FinalizeRequest *request, AttemptOrder *order);

/* ----
 * restore_point.c
 *
 * The restore point of an upgrade, on this server or on a whole cluster.
 * ----
 */

extern void du_restore_point_write(Attempt *attempt, const char *name, bool repeated);

/* ----
 * stepwise.c
 *
 * An upgrade that commits each version on its way by itself.
 * ----
 */

extern Datum du_finalize_stepwise(const FinalizeRequest *request);

#endif							/* DU_FINALIZE_INTERNAL_H */
