/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_PARITY_INTERNAL_H
#define DU_PARITY_INTERNAL_H

#include "lib/stringinfo.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/proc.h"
#include "storage/spin.h"

#include "parity/parity.h"

/* ----
 * statement_outcome.c
 *
 * What has become of one statement, on this server or on another.
 * ----
 */

extern void du_outcome_take_error(StatementOutcome *outcome);
extern void du_outcome_raise(const StatementOutcome *outcome);
extern void du_outcome_check(StatementOutcome *outcome);
extern void du_outcome_write_error(StringInfo buf, const StatementOutcome *outcome);
extern void du_outcome_write(StringInfo buf, const char *key,
							 const StatementOutcome *outcome);

/* ----
 * parity_order.c
 *
 * What the processes of one parity run tell each other.
 * ----
 */

#define PARITY_MEMBERS		32
#define PARITY_LEADER		0
#define SNAPSHOT_LENGTH		64
#define PROBLEM_LENGTH		1024

typedef enum MemberState
{
	MEMBER_ABSENT,				/* was not to be had */
	MEMBER_EXPECTED,
	MEMBER_AT_WORK,
	MEMBER_THROUGH,				/* by itself, also after an error that it has
								 * noted */
	MEMBER_LOST					/* ended otherwise */
} MemberState;

typedef struct ParityMember
{
	MemberState state;
	PGPROC	   *process;		/* NULL before it has attached */
} ParityMember;

/*
 * Fixed when it is made: what precedes the lock.  Everything else only with
 * it.
 */
typedef struct ParityOrder
{
	Oid			database;
	Oid			role;			/* whose rights count here */
	bool		password_required;	/* for other servers */
	char		snapshot[SNAPSHOT_LENGTH];
	PGPROC	   *caller;
	Size		options;		/* where texts begin in this struct */
	Size		settings;		/* pairs of name and value, then "" */
	Size		conninfo;		/* 0: there is none */

	slock_t		lock;
	bool		abandoned;		/* the caller waits no longer */
	bool		published;		/* what follows is there */
	int64		run;
	char		remote_snapshot[SNAPSHOT_LENGTH];
	bool		remote_snapshot_lost;
	int			problem;		/* SQLSTATE of what ends it all; 0: nothing */
	char		message[PROBLEM_LENGTH];
	char		detail[PROBLEM_LENGTH];
	char		hint[PROBLEM_LENGTH];
	ParityMember members[PARITY_MEMBERS];

	char		texts[FLEXIBLE_ARRAY_MEMBER];
} ParityOrder;

static inline const char *
du_parity_order_text(const ParityOrder *order, Size where)
{
	return where != 0 ? (const char *) order + where : NULL;
}

extern dsm_segment *du_parity_order_create(const char *options, const StringInfoData *settings,
										   const char *conninfo);
extern ParityOrder *du_parity_order_attach(dsm_handle handle, int member);
extern void du_parity_order_publish(ParityOrder *order, int64 run, const char *remote_snapshot);
extern bool du_parity_order_is_published(ParityOrder *order);
extern bool du_parity_order_is_over(ParityOrder *order);
extern void du_parity_order_lose_snapshot(ParityOrder *order);
extern bool du_parity_order_has_lost_snapshot(ParityOrder *order);
extern void du_parity_order_fail(ParityOrder *order, const StatementOutcome *problem);
extern bool du_parity_order_get_problem(ParityOrder *order, StatementOutcome *problem);
extern void du_parity_order_set_state(ParityOrder *order, int member, MemberState state);
extern MemberState du_parity_order_get_state(ParityOrder *order, int member);
extern bool du_parity_order_others_ended(ParityOrder *order, int member);

/* ----
 * parity_process.c
 *
 * A process of a parity run.
 * ----
 */

extern bool du_parity_process_start(dsm_handle order, int member,
									BackgroundWorkerHandle **handle);

/* ----
 * remote_api
 *
 * What the worker's library offers to whoever has statements run elsewhere.
 *
 * Those who use it are in the library that links no libpq, so they get these
 * functions from du_process_worker_function("documentdb_upgrade_remote_api").
 * ----
 */

/* Serves under the name "documentdb_upgrade_remote_api". */
typedef const RemoteApi *(*RemoteApiFunction) (void);

/* ----
 * parity_statement.c
 *
 * What a parity process runs in its own database.
 * ----
 */

/* What the engine wants next; strings are palloc'd, or NULL. */
typedef struct ParityStep
{
	char	   *action;
	char	   *local;
	char	   *remote;
	long		wait_ms;
} ParityStep;

extern const PinnedSetting du_parity_settings[];

extern void du_parity_collect_settings(StringInfo settings);
extern void du_parity_pin_settings(void);
extern void du_parity_run(const ParityOrder *order, const char *statement,
						  bool exported, StatementOutcome *outcome);
extern int64 du_parity_begin(const char *options, Oid role, int caller);
extern void du_parity_next(int64 run, int member, const char *answer, ParityStep *step);
extern void du_parity_fail(int64 run, const char *error);

#endif							/* DU_PARITY_INTERNAL_H */
