/*-------------------------------------------------------------------------
 *
 * upgrade_steps.h
 *	  Runs the steps of a plan: what finalize and rehearsal have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_UPGRADE_STEPS_H
#define DU_UPGRADE_STEPS_H

#include "lib/stringinfo.h"
#include "utils/elog.h"

#include "plan/upgrade_plan.h"

/* Who looks at each step from within its subtransaction. */
typedef struct StepObserver
{
	void		(*before) (void *arg, const PlanStep *step);
	void		(*after) (void *arg, const PlanStep *step, double ms);
	void	   *arg;
} StepObserver;

typedef struct StepsRun
{
	const UpgradeFacts *facts;
	const UpgradePlan *plan;
	const StepObserver *observer;	/* NULL: none, and no subtransactions */
	int			current;		/* index of the running step, -1 outside */
	bool		in_script;		/* what is raised is the script's */
	StringInfoData report;		/* JSON objects of the steps that have run */
} StepsRun;

typedef struct ScriptLocation
{
	const char *script;			/* NULL when no script was running */
	int			line;			/* 0 when not known */
} ScriptLocation;

extern void du_steps_start(StepsRun *run, const UpgradeFacts *facts,
						   const UpgradePlan *plan);
extern void du_steps_run(StepsRun *run);
extern PGDLLEXPORT void du_steps_refresh_gates(const UpgradeFacts *facts);
extern char *du_steps_report(const StepsRun *run);
extern ScriptLocation du_steps_describe_error(const StepsRun *run, ErrorData *edata);

#endif							/* DU_UPGRADE_STEPS_H */
