/*-------------------------------------------------------------------------
 *
 * processes.h
 *	  Shared memory, and the processes that are started and watched.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_PROCESSES_H
#define DU_PROCESSES_H

#include "datatype/timestamp.h"
#include "nodes/nodes.h"
#include "nodes/pg_list.h"
#include "postmaster/bgworker.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"

#include "base/clock.h"

/* ----
 * database_catalog.c
 *
 * The databases of this server, as their catalogue lists them.
 * ----
 */

/* Databases of such a name are thrown away soon. */
#define SCRATCH_PREFIX "documentdb_upgrade_scratch_"

typedef struct DatabaseEntry
{
	Oid			oid;
	char		name[NAMEDATALEN];
	bool		allows_connections;
	bool		is_invalid;		/* its DROP DATABASE was interrupted */
	bool		is_scratch;		/* by its name */
	bool		connectable;	/* none of these is in the way */
	bool		is_template;
	bool		is_wanted;		/* to be served; the launcher fills this in */
	bool		is_main;		/* as well as this */
} DatabaseEntry;

extern List *du_databases_list(void);
extern bool du_databases_try_list(List **databases);

/* ----
 * detached.c
 *
 * Runs one function of this library in a process of its own, and waits for
 * its answer.
 * ----
 */

/*
 * Serves there: an order in, an answer out, palloc'd.  It runs outside a
 * transaction, as a superuser.
 */
typedef void *(*DetachedFunction) (const void *order, Size length, Size *answer_length);

extern void *du_detached_run(const char *what, const char *function, const void *order,
							 Size length, Size *answer_length);

/* ----
 * give_way.c
 *
 * Makes the worker give way to those who want its database for
 * themselves.
 * ----
 */

extern void du_give_way_to(Node *statement);

/* ----
 * leave_requests.c
 *
 * Who wants a database for himself, and who of us is about to go there.
 * ----
 */

extern PGDLLEXPORT bool du_shared_asked_to_leave(void);
extern bool du_visit_begin(Oid database);

/* ----
 * notices.c
 *
 * Tells those who listen what a transaction has done, when it commits.
 * ----
 */

extern void du_notice_at_commit(const char *payload);

/* ----
 * own_relations.c
 *
 * Keeps others from changing this extension while a process of ours looks
 * at its tables.
 * ----
 */

extern PGDLLEXPORT bool du_own_relations_lock(int wait_ms);

/* ----
 * process.c
 *
 * How our background workers are described to the server, and what they load.
 * ----
 */

extern void du_process_describe(BackgroundWorker *process, const char *what,
								const char *function);
extern void *du_process_worker_function(const char *function, const char **problem);
extern bool du_process_in_pod(void);
extern const char *du_process_library_help(void);

/* ----
 * shared_status.c
 *
 * The shared memory that the parts of this library have in common.
 * ----
 */

/* Rooms for what other modules keep here, zeroed at server start. */
typedef enum SharedRoom
{
	ROOM_RUNNING_ATTEMPTS,
	ROOM_LOGGED_REFUSALS,
	ROOM_ANNOUNCED_HOLDS,
	ROOM_IDENTITY,
	ROOM_LSN_CLOCK,
	ROOM_LEAVE_REQUESTS,
	ROOM_TURN,
	ROOM_RELOADS,
	ROOM_NODE_FIGURES
} SharedRoom;

#define SHARED_ROOM_SIZE 8192
#define SHARED_EXCHANGE_SIZE 4096	/* for one attempt of each worker */

#define SHARED_VERSION_LENGTH 64
#define SHARED_TEXT_LENGTH 512
#define SHARED_IDENTITY_LENGTH 33	/* 32 hexadecimal digits */
#define SHARED_PATH_LENGTH 8	/* servers above a standby; more is cut */

/* How the launcher fares. */
typedef struct LauncherFacts
{
	pid_t		pid;			/* 0: none */
	char		problem[SHARED_TEXT_LENGTH];	/* why there is no worker for a
												 * database that is named, "" */
	char		hint[SHARED_TEXT_LENGTH];
} LauncherFacts;

/* What the worker has found out and is about to do. */
#define WISH_VERSION "{version}"

typedef struct WorkerFacts
{
	pid_t		pid;			/* 0: none */
	Oid			database;
	bool		is_main;		/* what is one for the server, it does */
	TimestampTz started_at;

	char		source[NAMEDATALEN];
	bool		source_ok;		/* the last read went well */
	char		source_problem[SHARED_TEXT_LENGTH];
	char		source_hint[SHARED_TEXT_LENGTH];
	char		location[SHARED_TEXT_LENGTH];
	TimestampTz last_contact;	/* 0: never */
	int64		contact;		/* the same by du_clock_us() */

	bool		desired_known;	/* a desired version was ever read */
	char		desired[SHARED_VERSION_LENGTH];
	char		spec_binary[SHARED_VERSION_LENGTH]; /* "" when not told */
	char		resource_uid[SHARED_VERSION_LENGTH];	/* "" when none */
	int64		resource_generation;
	bool		held;			/* by the resource's annotation */
	char		hold_reason[SHARED_TEXT_LENGTH];
	char		hold_hint[SHARED_TEXT_LENGTH];	/* how to end that, "" when not told */
	char		wish[SHARED_TEXT_LENGTH];	/* how to desire a version, WISH_VERSION
											 * in its place, "" when not told */

	/* On a standby, of its upstream. */
	bool		upstream_ok;	/* it took the last report */
	char		upstream[SHARED_TEXT_LENGTH];	/* host and port, "" when none */
	char		upstream_problem[SHARED_TEXT_LENGTH];
	char		upstream_hint[SHARED_TEXT_LENGTH];
	int			path_length;
	char		path[SHARED_PATH_LENGTH][SHARED_IDENTITY_LENGTH];	/* from the upstream up */
	bool		path_complete;	/* it ends at a primary */
	TimestampTz last_report;	/* that was taken, 0: never */
	char		verified[SHARED_VERSION_LENGTH];	/* installed version that
													 * every standby has seen */
	int			region_standbys;	/* that the resource wishes, -1: none said */

	char		state[NAMEDATALEN]; /* as last found by the worker */
	bool		gave_up;		/* failed, and waits for a change or retry() */
	int			failures;		/* retryable ones in a row */
	ClockMs		next_retry;		/* 0: none */
	char		last_error[SHARED_TEXT_LENGTH];

	/* Since the worker started. */
	int64		source_reads;
	int64		source_failures;
	int64		reports_delivered;
	int64		reports_failed;
	int64		events_dropped;
} WorkerFacts;

extern PGDLLEXPORT void du_shared_copy_text(char *field, const char *text);

extern void du_shared_install(void);
extern PGDLLEXPORT bool du_shared_exists(void);
extern LWLock *du_shared_lock(void);
extern LWLock *du_shared_file_lock(void);
extern void *du_shared_room(SharedRoom room);
extern PGDLLEXPORT ConditionVariable *du_shared_changed(void);
extern void du_shared_read_launcher(LauncherFacts *facts);

/* ----
 * worker_slots.c
 *
 * What each worker lets every session see, and what sessions ask of it.
 * ----
 */

extern PGDLLEXPORT void du_shared_set_worker(const WorkerFacts *facts);
extern PGDLLEXPORT void du_shared_pretend(const WorkerFacts *facts);
extern PGDLLEXPORT void du_shared_pretend_first(const WorkerFacts *facts);
extern PGDLLEXPORT bool du_shared_serving(WorkerFacts *facts);
extern bool du_shared_serves(Oid database, const char *set);
extern PGDLLEXPORT bool du_shared_first_worker(WorkerFacts *facts);
extern PGDLLEXPORT bool du_shared_ask_first_for_read(void);
extern bool du_shared_main_worker(WorkerFacts *facts);
extern PGDLLEXPORT bool du_shared_in_main_database(void);
extern PGDLLEXPORT bool du_shared_is_to_serve(void);
extern PGDLLEXPORT void du_shared_leave_other_set(void);
extern void *du_shared_exchange(Oid database, const char *set);
extern PGDLLEXPORT void du_shared_clear_worker(void);

extern void du_shared_ask_for_retry(void);
extern PGDLLEXPORT uint64 du_shared_retries_asked(void);
extern PGDLLEXPORT uint64 du_shared_reads_asked(void);
extern PGDLLEXPORT void du_shared_want_restart(void);
extern PGDLLEXPORT bool du_shared_settings_known(const char *digest, bool in_effect);
extern PGDLLEXPORT void du_shared_wake_worker(void);
extern void du_shared_wake_workers(void);
extern void du_shared_wake_worker_at_commit(void);

/* ----
 * outside_answers.c
 *
 * What a worker has found out about things that a database cannot see.
 * ----
 */

#define OUTSIDE_ANSWERS 12
#define OUTSIDE_TEXT_LENGTH 1024

typedef struct OutsideAnswer
{
	char		check_name[NAMEDATALEN];	/* a row of the health reports, "": free */
	char		status[8];		/* "pass", "warn" or "fail"; "" when there is none */
	char		detail[OUTSIDE_TEXT_LENGTH];
	TimestampTz answered_at;
	ClockMs		answered;		/* the same, by the clock that nobody sets */
	char		problem[OUTSIDE_TEXT_LENGTH];	/* why the last look gave none,
												 * a sentence, or "" */
} OutsideAnswer;

extern void du_outside_install(void);
extern PGDLLEXPORT void du_outside_answer(const char *check_name, const char *status,
										  const char *detail);
extern PGDLLEXPORT void du_outside_fail(const char *check_name, const char *problem,
										bool passes);
extern PGDLLEXPORT void du_outside_clear(void);
extern int	du_outside_list(OutsideAnswer *copies);

/* ----
 * reloads.c
 *
 * Has no process of ours go by settings that were reloaded while it started.
 * ----
 */

extern PGDLLEXPORT bool du_reloads_missed(void);

/* ----
 * attempt_turns.c
 *
 * Whose attempt it is to run.
 * ----
 */

extern PGDLLEXPORT bool du_shared_take_turn(void);
extern PGDLLEXPORT void du_shared_end_turn(void);

/* ----
 * running_attempts.c
 *
 * The attempts that run now: their progress, and how to end one.
 * ----
 */

/* Reasons; each completes "cancelled because". */
#define CANCELLED_BY_CALL "cancel() was called"
#define CANCELLED_BY_HOLD "a hold was placed"
#define CANCELLED_BY_WITHDRAWAL "its target is not desired any more"
#define CANCELLED_BY_CALLER "finalize_everywhere() was ended"
#define CANCELLED_BY_CLOCK "the clock was set back"

#define RUNNING_ATTEMPTS 8		/* more run without being seen */

typedef struct RunningAttempt
{
	pid_t		pid;			/* 0: free */
	Oid			database;
	char		set[NAMEDATALEN];	/* as in DatabaseRecord */
	bool		by_worker;		/* can be cancelled by hold() and cancel() */
	char		actor[16];
	char		extension[NAMEDATALEN];
	char		from_version[SHARED_VERSION_LENGTH];
	char		target[SHARED_VERSION_LENGTH];
	int			step;			/* counted from 1, 0 before the first */
	int			nsteps;
	char		step_extension[NAMEDATALEN];
	char		step_from[SHARED_VERSION_LENGTH];
	char		step_to[SHARED_VERSION_LENGTH];
	TimestampTz started_at;
	bool		cancel_requested;
	char		cancel_reason[64];
	bool		commit_begun;	/* from here on no signal is sent */
} RunningAttempt;

typedef enum CancelAnswer
{
	CANCEL_NONE_RUNNING,
	CANCEL_SENT,
	CANCEL_TOO_LATE				/* commit has begun */
} CancelAnswer;

extern void du_running_announce(void);
extern void du_running_begin(const char *actor, const char *extension,
							 const char *from, const char *target);
extern void du_running_step(int step, int nsteps, const char *extension,
							const char *from, const char *to);
extern void du_running_end(void);
extern const char *du_running_cancel_reason(void);
extern PGDLLEXPORT int du_running_list(RunningAttempt *attempts);
extern PGDLLEXPORT CancelAnswer du_running_cancel(Oid database, const char *set, const char *reason);
extern PGDLLEXPORT pid_t du_running_worker_attempt(Oid database, const char *set);
extern bool du_running_elsewhere(void);

/* ----
 * worker_launcher.c
 *
 * Keeps the worker running.
 * ----
 */

extern void du_launcher_register(void);

/* ----
 * database_records.c
 *
 * What is known of each database of this server, and of each managed set there.
 * ----
 */

/* What a look has found. */
typedef struct DatabaseFindings
{
	bool		has_us;			/* this extension is installed there */
	char		extension[NAMEDATALEN]; /* the main one */
	char		installed[SHARED_VERSION_LENGTH];	/* "" when not */
	char		binary[SHARED_VERSION_LENGTH];	/* "" when not known */
	char		target[SHARED_VERSION_LENGTH];	/* "" when there is none */
	char		state[NAMEDATALEN];
	bool		behind;			/* the files offer other versions than are
								 * installed */
} DatabaseFindings;

typedef struct DatabaseRecord
{
	Oid			database;		/* InvalidOid: free */
	char		set[NAMEDATALEN];	/* its main extension, "": the first of the
									 * database, whatever that is */
	int			place;			/* among those of the database; the first is 0,
								 * and one that is named no longer -1 */
	DatabaseFindings found;
	TimestampTz looked_at;		/* 0: never */
	ClockMs		tried;			/* a look began, 0: never */
	ClockMs		looked;			/* one ended that has found something */
	bool		look_wanted;	/* somebody has changed something */
	char		problem[SHARED_TEXT_LENGTH];	/* of the last look, "" */
	char		worker_problem[SHARED_TEXT_LENGTH]; /* why it has no worker though
													 * it is to be served, "" */
	char		worker_hint[SHARED_TEXT_LENGTH];
} DatabaseRecord;

extern void du_records_install(void);
extern bool du_records_read(Oid database, const char *set, DatabaseRecord *copy);
extern PGDLLEXPORT void du_records_name_sets(void);
extern PGDLLEXPORT DatabaseRecord *du_records_list(int *n);
extern PGDLLEXPORT void du_records_note(const DatabaseFindings *findings, const char *problem);

#endif							/* DU_PROCESSES_H */
