/*-------------------------------------------------------------------------
 *
 * guard_input.c
 *	  What guards decide over.
 *
 * Gathered in one place for everybody who evaluates guards.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "extension/extension.h"
#include "fleet/fleet.h"
#include "plan/plan.h"

/*
 * Gathers it for a plan whose scripts have been read, and for a caller whose
 * rights some guards look at; palloc'd.  Comparing the members reads every
 * definition of the managed set, so it is left out where nobody would see
 * what comes of it.  SPI must be connected.
 */
GuardInput
du_guard_input_gather(const UpgradeFacts *facts, const UpgradePlan *plan, Oid caller,
					  bool compare_members)
{
	GuardInput	input = {0};

	input.facts = facts;
	input.plan = plan;
	input.server_facts = du_server_facts_gather(facts, du_plan_locks(plan), caller);
	input.fleet = du_fleet_gather();
	input.locks = du_plan_count_locks(plan);
	if (plan->nsteps > 0)
	{
		if (compare_members)
			input.members = du_members_compare(facts);
		du_rehearsals_recall(facts, plan->target, &input.rehearsal);
	}
	return input;
}
