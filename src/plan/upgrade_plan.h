/*-------------------------------------------------------------------------
 *
 * upgrade_plan.h
 *	  The steps from the installed versions to a target.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_UPGRADE_PLAN_H
#define DU_UPGRADE_PLAN_H

#include "extension/managed_set.h"
#include "plan/extension_target.h"
#include "plan/lock_count.h"
#include "plan/lock_holders.h"
#include "plan/update_script.h"

/* The way of one extension. */
typedef struct VersionChange
{
	const char *extension;
	const char *from;
	const char *to;
} VersionChange;

typedef struct PlanStep
{
	int			extension;		/* index into the facts */
	const char *from;
	const char *to;
	UpdateScript *script;
	const char *risk;
	const char *risk_reason;
	int			nlocks;
	KnownLock  *locks;
} PlanStep;

typedef struct UpgradePlan
{
	const char *requested;		/* as asked for; NULL is the binary version */
	bool		target_exists;	/* the files offer the main target */
	const char *target;			/* of the main extension, NULL when unknown */
	ExtensionTarget *targets;	/* one per extension of the facts */
	const char *behind;			/* which companions are not at their targets,
								 * as clauses; NULL when all are */
	int			nsteps;
	PlanStep   *steps;
} UpgradePlan;

extern UpgradePlan *du_plan_make(const UpgradeFacts *facts, const char *requested);
extern void du_plan_read_scripts(UpgradePlan *plan, const UpgradeFacts *facts);
extern List *du_plan_locks(const UpgradePlan *plan);
extern LockCount *du_plan_count_locks(const UpgradePlan *plan);
extern char *du_plan_sql(const UpgradePlan *plan, const UpgradeFacts *facts);
extern List *du_plan_changes(const UpgradePlan *plan, const UpgradeFacts *facts);
extern PGDLLEXPORT char *du_plan_describe_changes(const UpgradePlan *plan, const UpgradeFacts *facts);
extern char *du_plan_statement(const char *extension, const char *version);

#endif							/* DU_UPGRADE_PLAN_H */
