/*-------------------------------------------------------------------------
 *
 * fleet_judgement.h
 *	  Whether a standby is ready for a schema, and what keeps it from that.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FLEET_JUDGEMENT_H
#define DU_FLEET_JUDGEMENT_H

#include "fleet/fleet.h"
#include "plan/upgrade_plan.h"

/* In the order of what is said first. */
typedef enum FleetStatus
{
	FLEET_IGNORED,
	FLEET_CONTESTED,			/* two servers report as this one */
	FLEET_SILENT,
	FLEET_STALE,
	FLEET_OLD_BINARY,
	FLEET_OLD_LIBRARY,
	FLEET_BEHIND,				/* does not see the installed schema yet */
	FLEET_OLD_GATE,
	FLEET_LAGGING,
	FLEET_READY
} FleetStatus;

typedef struct FleetVerdict
{
	FleetStatus status;
	const char *problem;		/* one sentence, NULL when ready or ignored */
	const char *hint;			/* what to do about it, or NULL */
} FleetVerdict;

extern FleetVerdict du_fleet_judge(const FleetInstance *instance, const UpgradeFacts *facts,
								   const UpgradePlan *plan);
extern FleetVerdict du_fleet_judge_lag(const FleetInstance *instance);
extern const char *du_fleet_status_name(FleetStatus status);
extern List *du_fleet_missing(const Fleet *fleet);
extern const char *du_fleet_straggler(const Fleet *fleet, const UpgradeFacts *facts, bool strict);

#endif							/* DU_FLEET_JUDGEMENT_H */
