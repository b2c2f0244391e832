/*-------------------------------------------------------------------------
 *
 * finalize.h
 *	  Attempts: their steps, limits, checks and history.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FINALIZE_H
#define DU_FINALIZE_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/elog.h"

#include "base/base.h"
#include "extension/extension.h"
#include "guards/guards.h"
#include "plan/plan.h"
#include "processes/processes.h"

/* ----
 * history.c
 *
 * The audit record of one attempt, and what those before it say.
 * ----
 */

/*
 * What ended an attempt, by who raised it: a script can raise any SQLSTATE, so
 * that one tells nothing.
 */
typedef enum FailureCause
{
	CAUSE_NONE,					/* not told */
	CAUSE_GUARD,				/* our own refusal */
	CAUSE_LOCK,					/* a lock that was not to be had in time */
	CAUSE_RACE,					/* somebody else was faster */
	CAUSE_END,					/* the process was ended */
	CAUSE_HOLD,					/* a hold, or it was not desired any more */
	CAUSE_CANCEL,				/* somebody cancelled it */
	CAUSE_LIMIT,				/* attempt_timeout, the lock budget */
	CAUSE_SCRIPT,
	CAUSE_CHECK,
	CAUSE_SERVER,				/* anything else */
	CAUSE_LIBRARY,				/* a library that does not let us do it here */
	CAUSE_NODE					/* one of a cluster is gone, or was in between */
} FailureCause;

typedef struct AttemptRecord
{
	const char *extension;
	const char *from_version;
	const char *to_version;
	List	   *changes;		/* of VersionChange */
	const char *outcome;		/* succeeded, failed, refused, cancelled */
	const char *actor;			/* who drove it: "function", "worker", "tick",
								 * "manual", "found", "coordinator" */
	const char *role_name;		/* who asked; NULL: the session user */
	const char *resource_uid;	/* of the custom resource that asked, or NULL */
	int64		resource_generation;	/* 0: none */
	TimestampTz started_at;
	TimestampTz finished_at;
	List	   *skipped_guards;
	List	   *refused_by;		/* guards that failed */
	const char *fingerprint;
	const char *restore_point;	/* NULL when none was written */
	XLogRecPtr	restore_lsn;
	TimeLineID	restore_timeline;
	const char *steps;			/* JSON array, or NULL */
	const char *nodes;			/* JSON array, or NULL */

	/* A binary that this attempt has seen first; NULL when it is known. */
	const char *binary_version;
	const char *binary_digest;

	/* What went wrong; sqlstate 0 when nothing did. */
	FailureCause cause;
	int			sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
	const char *context;
	const char *script;
	int			script_line;	/* 0 when not known */
} AttemptRecord;

extern PGDLLEXPORT bool du_history_heals(FailureCause cause);
extern char *du_history_json(const AttemptRecord *record);
extern char *du_history_client(void);
extern char *du_history_notice(const AttemptRecord *record);
extern Datum du_history_insert(const char *json, bool *isnull);

/* ----
 * history_memory.c
 *
 * What history remembers of earlier attempts.
 * ----
 */

/* What it says of the attempts since the last success. */
typedef struct FailureMemory
{
	int64		attempts;		/* of anybody, repeated ones included */
	const char *last_error;		/* of the newest that failed, or NULL */

	/* The newest failure of the worker (or tick), unless retry() was called. */
	const char *message;		/* NULL: none */
	FailureCause cause;
	const char *target;
	const char *fingerprint;	/* NULL when it had come to none */
	int64		count;			/* how often in a row */
	TimestampTz at;
} FailureMemory;

extern PGDLLEXPORT void du_history_recall_failures(const char *extension, FailureMemory *memory);
extern PGDLLEXPORT bool du_history_library_refuses(const char *extension);
extern bool du_history_dismiss_failures(const char *extension);

/* ----
 * found_versions.c
 *
 * Records versions that nobody has told history of.
 * ----
 */

#define FOUND_DIGEST_LENGTH 65

extern bool du_history_last_version(const char *extension, const char **version, const char **installed);
extern void du_history_note_change(const char *actor, const char *extension, const char *from,
								   const char *to, const char *message);
extern PGDLLEXPORT void du_history_note_found(const UpgradeFacts *facts, char seen[FOUND_DIGEST_LENGTH]);

/* ----
 * finalize.c
 *
 * Commits an upgrade: one bounded, audited transaction.
 * ----
 */

typedef struct FinalizeRequest
{
	const char *target;			/* NULL: the binary version */
	const char *from;			/* the installed version as the caller names
								 * it; NULL: it does not */
	const char *expected_fingerprint;	/* NULL: any */
	List	   *skip_guards;	/* of strings */
	const char *actor;			/* who drives it, for history */
	const char *role_name;		/* who asked, NULL: the session user */
	const char *resource_uid;	/* of the custom resource, or NULL */
	int64		resource_generation;	/* 0: none */
	bool		alter_first;	/* no query before the scripts */
	FailureCause *cause;		/* set where it raises; NULL: nobody asks */
} FinalizeRequest;

/* ----
 * upgrade_steps.c
 *
 * Runs the steps of a plan: what finalize and rehearsal have in common.
 * ----
 */

/* Who looks at each step from within its subtransaction. */
typedef struct StepObserver
{
	void		(*before) (void *arg, const PlanStep *step);
	void		(*after) (void *arg, const PlanStep *step, double ms);
	void	   *arg;
} StepObserver;

typedef struct StepsRun
{
	const UpgradeFacts *facts;
	const UpgradePlan *plan;
	const StepObserver *observer;	/* NULL: none, and no subtransactions */
	const char *what;			/* a word for the whole, where progress is told */
	Oid			caller;
	int			current;		/* index of the running step, -1 outside */
	bool		in_script;		/* what is raised is the script's */
	Progress	progress;
	char	   *position;		/* of the running step, where progress is told */
	int			shown;			/* statement of its script that was last */
	ScriptPlace place;			/* of that */
	int			client_level;	/* client_min_messages of the caller */
	StringInfoData report;		/* JSON objects of the steps that have run */
} StepsRun;

extern void du_steps_start(StepsRun *run, const UpgradeFacts *facts,
						   const UpgradePlan *plan, Oid caller);
extern void du_steps_run(StepsRun *run);
extern PGDLLEXPORT void du_steps_refresh_gates(const UpgradeFacts *facts);

/* ----
 * attempt.c
 *
 * One attempt to finalize while it runs, and what becomes of it when it
 * fails.
 * ----
 */

/* Where an attempt is; tells what an error means. */
typedef enum AttemptStage
{
	STAGE_LOCKING_EXTENSIONS,
	STAGE_DECIDING,
	STAGE_LOCKING_RELATIONS,
	STAGE_RUNNING,
	STAGE_CHECKING
} AttemptStage;

typedef struct Attempt
{
	const FinalizeRequest *request;
	Oid			caller;
	AttemptStage stage;
	bool		alter_first;	/* nothing of ours is a query before the scripts */
	bool		refused;
	bool		done;			/* false: there was nothing to do */
	int			lock_budget;	/* milliseconds */
	AttemptRecord record;
	UpgradeFacts *facts;
	UpgradePlan *plan;
	const ServerFacts *server_facts;
	StepsRun	steps;
	Datum		row;			/* of history */
	bool		row_is_null;
} Attempt;

extern void du_attempt_explain(Attempt *attempt, ErrorData *edata);

/* ----
 * attempt_limits.c
 *
 * Bounds of one attempt: the sum of its lock waits, and its duration.
 * ----
 */

extern void du_limits_check(void);
extern void du_limits_stop(void);

/* ----
 * attempt_process.c
 *
 * One attempt in a process of its own, ordered by the worker.
 * ----
 */

/* What is to be done, as the worker has decided it. */
typedef struct AttemptOrder
{
	char		actor[16];
	char		role_name[NAMEDATALEN]; /* who asked, "": the server itself */
	char		extension[NAMEDATALEN]; /* the main one, as the worker sees it */
	char		target[SHARED_VERSION_LENGTH];
	char		from[SHARED_VERSION_LENGTH];	/* as the caller names it, or "" */
	char		fingerprint[65];	/* hexadecimal */
	char		resource_uid[SHARED_VERSION_LENGTH];	/* "" when none */
	int64		resource_generation;
	char		skip_guards[SHARED_TEXT_LENGTH];	/* names with commas */
	Oid			caller;			/* with whose rights, InvalidOid: the process's */
	bool		alter_first;	/* begin with the update */
} AttemptOrder;

typedef enum AttemptResult
{
	ATTEMPT_UNKNOWN,			/* the process ended without a word */
	ATTEMPT_SUCCEEDED,			/* also when somebody else was faster */
	ATTEMPT_FAILED				/* the cause says what follows */
} AttemptResult;

typedef struct AttemptOutcome
{
	AttemptResult result;
	FailureCause cause;			/* as in history */
	int			sqlstate;
	char		message[SHARED_TEXT_LENGTH];
	char		detail[SHARED_TEXT_LENGTH];
	char		hint[SHARED_TEXT_LENGTH];
} AttemptOutcome;

extern void du_attempt_pin_settings(void);
extern PGDLLEXPORT bool du_attempt_start(const AttemptOrder *order);
extern PGDLLEXPORT bool du_attempt_is_running(void);
extern PGDLLEXPORT void du_attempt_order(AttemptOrder *order);
extern PGDLLEXPORT void du_attempt_outcome(AttemptOutcome *outcome);
extern PGDLLEXPORT void du_attempt_carry_out(const AttemptOrder *order,
											 AttemptOutcome *outcome, Datum *row);

/* ----
 * detached_attempt.c
 *
 * One attempt in a process of its own, for somebody who waits for it.
 * ----
 */

extern PGDLLEXPORT Datum du_attempt_detach(const AttemptOrder *order, AttemptOutcome *outcome);

/* ----
 * attempt_stages.c
 *
 * The stages that a finalize and its rehearsal have in common.
 * ----
 */

extern void du_stage_check_transaction(const char *verb);
extern void du_stage_set_running(bool value);
extern void du_stage_look(Attempt *attempt);
extern DecisionResult du_stage_decide(const Attempt *attempt);
extern void du_stage_lock_and_look(Attempt *attempt);
extern void du_stage_start_limits(Attempt *attempt);
extern void du_stage_announce_to_nodes(const Attempt *attempt);
extern void du_stage_refuse(Attempt *attempt, const GuardResults *results,
							const char *verb);

/* ----
 * lock_budget.c
 *
 * Ends an upgrade before it takes more of the lock table than it may.
 * ----
 */

extern void du_lock_budget_start(int64 entries);
extern int64 du_lock_budget_peak(void);

/* ----
 * own_scripts.c
 *
 * Whether the scripts of an upgrade of ours run in this session.
 * ----
 */

extern void du_own_scripts_begin(void);
extern void du_own_scripts_end(void);
extern bool du_own_scripts_run(void);

/* ----
 * step_trace.c
 *
 * Follows an update script, or a check, while the server runs it.
 * ----
 */

/* Who keeps the settings of what is followed. */
typedef struct SettingsKeeper
{
	/* A statement, at any depth, has been analysed: raises when that was in vain. */
	void		(*check) (void);

	/* One has ended; the search_path is that of what is followed, or NULL. */
	void		(*pin_again) (const char *search_path);
} SettingsKeeper;

/*
 * Who hears of a script's statements: the one that is begun, and that it is at
 * the end of a statement within it.
 */
typedef struct StatementListener
{
	void		(*hear) (void *arg, int statement, int offset);
	void	   *arg;
} StatementListener;

extern void du_trace_start(Oid extension, const SettingsKeeper *settings,
						   const StatementListener *hearer);
extern void du_trace_stop(void);
extern int	du_trace_offset(void);

/* ----
 * session_settings.c
 *
 * Settings of the caller that must not reach an update script.
 * ----
 */

extern const SettingsKeeper du_settings_keeper;
extern void du_settings_pin(const UpgradeFacts *facts, bool alter_first);

/* ----
 * carried_attempt.c
 *
 * A step of an attempt that the coordinator of a cluster has carried here.
 * ----
 */

/* Lives on the stack of whoever runs the step; all zero before. */
typedef struct CarriedAttempt
{
	bool		running;
	ExecutionContext settings;
	int			lock_wait_ms;
	int			duration_ms;
} CarriedAttempt;

extern void du_carried_attempt_begin(CarriedAttempt *attempt, const char *extension);
extern void du_carried_attempt_end(const CarriedAttempt *attempt);
extern void du_carried_attempt_stop(const CarriedAttempt *attempt);
extern void du_carried_attempt_explain(const CarriedAttempt *attempt, ErrorData *edata);

/* ----
 * upgrade_checks.c
 *
 * Pre- and post-checks of an upgrade.
 * ----
 */

extern List *du_checks_find(const char *kind);
extern void du_checks_run(const char *kind, List *checks);

/* ----
 * upgrade_locks.c
 *
 * The locks that an upgrade takes before it changes anything.
 * ----
 */

extern void du_locks_take_relations(List *locks);

#endif							/* DU_FINALIZE_H */
