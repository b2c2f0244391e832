/*-------------------------------------------------------------------------
 *
 * upgrade_state.h
 *	  The state of a primary, and what would change it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_UPGRADE_STATE_H
#define DU_UPGRADE_STATE_H

#include "decision.h"
#include "guards.h"

typedef struct StateInput
{
	const UpgradeFacts *facts;
	const UpgradePlan *plan;
	const GuardResults *guards;
	DecisionResult decided;
	bool		in_recovery;
	const char *last_error;		/* of attempts since the last success, or NULL */
} StateInput;

typedef struct UpgradeState
{
	const char *state;
	const char *next_step;		/* one sentence with the exact command */
} UpgradeState;

extern UpgradeState du_state_of(const StateInput *input);

#endif							/* DU_UPGRADE_STATE_H */
