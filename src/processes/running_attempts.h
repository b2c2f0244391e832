/*-------------------------------------------------------------------------
 *
 * running_attempts.h
 *	  The attempts that run now: their progress, and how to end one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_RUNNING_ATTEMPTS_H
#define DU_RUNNING_ATTEMPTS_H

#include "datatype/timestamp.h"

#include "processes/shared_status.h"

/* Reasons; each completes "cancelled because". */
#define CANCELLED_BY_CALL "cancel() was called"
#define CANCELLED_BY_HOLD "a hold was placed"
#define CANCELLED_BY_WITHDRAWAL "its target is not desired any more"

#define RUNNING_ATTEMPTS 8		/* more run without being seen */

typedef struct RunningAttempt
{
	pid_t		pid;			/* 0: free */
	Oid			database;
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
extern PGDLLEXPORT CancelAnswer du_running_cancel(Oid database, const char *reason);
extern PGDLLEXPORT pid_t du_running_worker_attempt(Oid database);

#endif							/* DU_RUNNING_ATTEMPTS_H */
