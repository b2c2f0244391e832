/*-------------------------------------------------------------------------
 *
 * guard_input.h
 *	  What guards decide over.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_GUARD_INPUT_H
#define DU_GUARD_INPUT_H

#include "fleet.h"
#include "member_record.h"
#include "rehearsal_memory.h"
#include "surroundings.h"
#include "upgrade_plan.h"

typedef struct GuardInput
{
	const UpgradeFacts *facts;
	const UpgradePlan *plan;
	const Surroundings *surroundings;
	const LockCount *locks;
	const Fleet *fleet;
	const MemberChanges *members;	/* NULL when they were not compared */
	RememberedRehearsal rehearsal;
} GuardInput;

extern GuardInput du_guard_input_gather(const UpgradeFacts *facts,
										const UpgradePlan *plan, Oid caller,
										bool compare_members);

#endif							/* DU_GUARD_INPUT_H */
