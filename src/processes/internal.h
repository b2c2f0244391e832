/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_PROCESSES_INTERNAL_H
#define DU_PROCESSES_INTERNAL_H

#include "datatype/timestamp.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"

#include "processes/processes.h"

/* ----
 * shared_status.c
 *
 * The shared memory that the parts of this library have in common.
 * ----
 */

#define SHARED_ROOMS 9

extern void du_shared_set_launcher(const LauncherFacts *facts);

/* ----
 * worker_slots.c
 *
 * What each worker lets every session see, and what sessions ask of it.
 * ----
 */

extern void du_shared_ask_for_read(void);
extern bool du_shared_restart_wanted(Oid database, const char *set);
extern bool du_shared_worker_lives(Oid database, const char *set);
extern void du_shared_wake_launcher(void);
extern void du_shared_wake_workers_of(Oid database);
extern void du_process_wake(pid_t pid);

/* ----
 * reloads.c
 *
 * Has no process of ours go by settings that were reloaded while it started.
 * ----
 */

extern void du_reloads_follow(bool is_reload);
extern bool du_reloads_missed_by_launcher(void);
extern uint32 du_reloads_count(void);
extern bool du_reloads_begin(uint32 count);

/* ----
 * attempt_turns.c
 *
 * Whose attempt it is to run.
 * ----
 */

extern void du_shared_wake_next(void);

/* ----
 * leave_requests.c
 *
 * Who wants a database for himself, and who of us is about to go there.
 * ----
 */

extern void du_shared_ask_to_leave(Oid database);
extern bool du_shared_wanted_by_others(Oid database);
extern void du_visit_prepare(BackgroundWorker *process, Oid database, const char *set);
extern void du_visit_end(void);
extern void du_visit_await_end(Oid database);

/* ----
 * database_looks.c
 *
 * Has databases looked at that no worker serves.
 * ----
 */

extern ClockMs du_looks_advance(void);

/* ----
 * database_records.c
 *
 * What is known of each database of this server.
 * ----
 */

#define SETTINGS_DIGEST_LENGTH 65

/* All that is kept for one managed set of a database. */
typedef struct DatabaseSlot
{
	DatabaseRecord record;
	bool		is_main;		/* the first of the main database */
	WorkerFacts worker;
	uint64		retries_asked;
	uint64		reads_asked;
	bool		restart_wanted; /* by the worker that ends */
	char		settings[SETTINGS_DIGEST_LENGTH];	/* stored for it at its last pass */
	ClockMs		waits_since;	/* for its turn; 0: it does not */
	uint32		asked;			/* how often somebody wanted the database for
								 * himself; of the first set, as are the next */
	uint32		noticed;		/* of these, before the launcher last tried to
								 * read the catalogue */
	uint32		seen;			/* of these, before it last read it */
	union
	{
		char		bytes[SHARED_EXCHANGE_SIZE];
		int64		alignment;
	}			exchange;		/* of the worker and its attempt */
} DatabaseSlot;

extern DatabaseSlot *du_slot_find(Oid database, const char *set);
extern DatabaseSlot *du_slot_own(void);
extern void du_slot_visit_all(void (*visit) (DatabaseSlot *slot, void *arg), void *arg);
extern void du_records_begin_scan(void);
extern void du_records_follow(const List *databases);
extern void du_records_count_request(Oid database);
extern void du_records_want_visit(Oid database);
extern bool du_records_is_unasked(Oid database, uint32 seen);
extern bool du_records_set_problem(Oid database, const char *set, const char *problem,
								   const char *hint);
extern void du_records_begin_look(Oid database);
extern void du_records_end_look(Oid database);
extern void du_records_want_look(Oid database);

#endif							/* DU_PROCESSES_INTERNAL_H */
