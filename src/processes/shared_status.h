/*-------------------------------------------------------------------------
 *
 * shared_status.h
 *	  What the worker lets every session see, and what sessions ask of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SHARED_STATUS_H
#define DU_SHARED_STATUS_H

#include "datatype/timestamp.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"

/* Rooms for what other modules keep here, zeroed at server start. */
typedef enum SharedRoom
{
	ROOM_RUNNING_ATTEMPTS,
	ROOM_ATTEMPT_ORDER,
	ROOM_LOGGED_REFUSALS,
	ROOM_WRITE_FENCE,
	ROOM_ANNOUNCED_HOLDS,
	ROOM_IDENTITY,
	ROOM_LSN_CLOCK
} SharedRoom;

#define SHARED_ROOMS 7
#define SHARED_ROOM_SIZE 4096

#define SHARED_VERSION_LENGTH 64
#define SHARED_TEXT_LENGTH 512
#define SHARED_IDENTITY_LENGTH 33	/* 32 hexadecimal digits */
#define SHARED_PATH_LENGTH 8	/* servers above a standby; more is cut */

/* How the launcher fares; the worker's problems before it runs are here. */
typedef struct LauncherFacts
{
	pid_t		pid;			/* 0: none */
	char		problem[SHARED_TEXT_LENGTH];	/* why there is no worker, "" */
	char		hint[SHARED_TEXT_LENGTH];
} LauncherFacts;

/* What the worker has found out and is about to do. */
typedef struct WorkerFacts
{
	pid_t		pid;			/* 0: none */
	Oid			database;
	TimestampTz started_at;

	char		source[NAMEDATALEN];
	bool		source_ok;		/* the last read went well */
	char		source_problem[SHARED_TEXT_LENGTH];
	char		source_hint[SHARED_TEXT_LENGTH];
	char		location[SHARED_TEXT_LENGTH];
	TimestampTz last_contact;	/* 0: never */

	bool		desired_known;	/* a desired version was ever read */
	char		desired[SHARED_VERSION_LENGTH];
	char		spec_binary[SHARED_VERSION_LENGTH]; /* "" when not told */
	char		resource_uid[SHARED_VERSION_LENGTH];	/* "" when none */
	int64		resource_generation;
	bool		held;			/* by the resource's annotation */
	char		hold_reason[SHARED_TEXT_LENGTH];

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
	TimestampTz next_retry;		/* 0: none */
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

extern void du_shared_set_launcher(const LauncherFacts *facts);
extern void du_shared_read_launcher(LauncherFacts *facts);
extern PGDLLEXPORT void du_shared_set_worker(const WorkerFacts *facts);
extern PGDLLEXPORT void du_shared_read_worker(WorkerFacts *facts);
extern PGDLLEXPORT void du_shared_pretend(const WorkerFacts *facts);
extern PGDLLEXPORT bool du_shared_serving(WorkerFacts *facts);
extern PGDLLEXPORT void du_shared_clear_worker(void);

extern void du_shared_ask_for_retry(void);
extern PGDLLEXPORT uint64 du_shared_retries_asked(void);
extern void du_shared_ask_for_read(void);
extern PGDLLEXPORT uint64 du_shared_reads_asked(void);
extern void du_shared_ask_to_leave(Oid database);
extern PGDLLEXPORT bool du_shared_asked_to_leave(void);
extern bool du_shared_wanted_by_others(Oid database);
extern PGDLLEXPORT void du_shared_want_restart(void);
extern bool du_shared_restart_wanted(void);
extern PGDLLEXPORT void du_shared_wake_worker(void);
extern void du_shared_wake_worker_at_commit(void);
extern void du_shared_wake_launcher(void);

#endif							/* DU_SHARED_STATUS_H */
