/*-------------------------------------------------------------------------
 *
 * guard_input.h
 *	  What guards decide over.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_GUARD_INPUT_H
#define DU_GUARD_INPUT_H

#include "fleet/fleet.h"
#include "guards/member_record.h"
#include "guards/rehearsal_memory.h"
#include "guards/server_facts.h"
#include "plan/upgrade_plan.h"

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
