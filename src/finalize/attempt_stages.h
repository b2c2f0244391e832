/*-------------------------------------------------------------------------
 *
 * attempt_stages.h
 *	  The stages that a finalize and its rehearsal have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_ATTEMPT_STAGES_H
#define DU_ATTEMPT_STAGES_H

#include "finalize/attempt.h"
#include "plan/decision.h"
#include "guards/guards.h"

extern void du_stage_check_transaction(const char *verb);
extern void du_stage_set_running(bool value);
extern void du_stage_look(Attempt *attempt);
extern DecisionResult du_stage_decide(const Attempt *attempt);
extern void du_stage_lock_and_look(Attempt *attempt);
extern void du_stage_start_limits(Attempt *attempt);
extern void du_stage_refuse(Attempt *attempt, const GuardResults *results,
							const char *verb);

#endif							/* DU_ATTEMPT_STAGES_H */
