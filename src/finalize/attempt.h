/*-------------------------------------------------------------------------
 *
 * attempt.h
 *	  One attempt to finalize while it runs, and what becomes of it when it
 *	  fails.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_ATTEMPT_H
#define DU_ATTEMPT_H

#include "finalize/finalize.h"
#include "finalize/history.h"
#include "guards/server_facts.h"
#include "plan/upgrade_plan.h"
#include "finalize/upgrade_steps.h"

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
	bool		refused;
	bool		done;			/* false: there was nothing to do */
	int			lock_budget;	/* milliseconds */
	AttemptRecord record;
	UpgradeFacts *facts;
	UpgradePlan *plan;
	const Surroundings *surroundings;
	StepsRun	steps;
	Datum		row;			/* of history */
	bool		row_is_null;
} Attempt;

extern void du_attempt_prepare_for_end_of_session(const Attempt *attempt);
extern FailureCause du_attempt_cause_of(const ErrorData *edata, FailureCause otherwise);
extern void du_attempt_explain(Attempt *attempt, ErrorData *edata);
extern void du_attempt_fail(const Attempt *attempt, ErrorData *edata);

#endif							/* DU_ATTEMPT_H */
