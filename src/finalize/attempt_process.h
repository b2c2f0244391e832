/*-------------------------------------------------------------------------
 *
 * attempt_process.h
 *	  One attempt in a process of its own, ordered by the worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_ATTEMPT_PROCESS_H
#define DU_ATTEMPT_PROCESS_H

#include "finalize/history.h"
#include "processes/shared_status.h"

/* What is to be done, as the worker has decided it. */
typedef struct AttemptOrder
{
	char		actor[16];
	char		role_name[NAMEDATALEN]; /* who asked, "": the server itself */
	char		extension[NAMEDATALEN]; /* the main one, as the worker sees it */
	char		target[SHARED_VERSION_LENGTH];
	char		fingerprint[65];	/* hexadecimal */
	char		resource_uid[SHARED_VERSION_LENGTH];	/* "" when none */
	int64		resource_generation;
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
} AttemptOutcome;

extern PGDLLEXPORT bool du_attempt_start(const AttemptOrder *order);
extern PGDLLEXPORT bool du_attempt_is_running(void);
extern PGDLLEXPORT void du_attempt_order(AttemptOrder *order);
extern PGDLLEXPORT void du_attempt_outcome(AttemptOutcome *outcome);
extern PGDLLEXPORT void du_attempt_carry_out(const AttemptOrder *order,
											 AttemptOutcome *outcome);

#endif							/* DU_ATTEMPT_PROCESS_H */
