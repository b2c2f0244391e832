/*-------------------------------------------------------------------------
 *
 * assessment.h
 *	  Where this server stands: facts, plan, guards, decision and state of
 *	  one moment.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_ASSESSMENT_H
#define DU_ASSESSMENT_H

#include "base/execution_context.h"
#include "finalize/failure_memory.h"
#include "processes/shared_status.h"
#include "status/upgrade_state.h"

typedef struct Outlook
{
	ExecutionContext context;
	UpgradeFacts *facts;
	UpgradePlan *plan;
	GuardResults *guards;		/* NULL when they were not asked for */
	bool		in_recovery;
	const char *desired;		/* "", "auto" or a version */
	DecisionResult decided;
	FailureMemory failures;
	bool		gate_is_stale;	/* another version is in force than installed */
	const char *fence;			/* sentences about why writes are stopped, or
								 * NULL */
	bool		maintenance;	/* they are for maintenance */
	const char *straggler;		/* about standbys that do not see the schema
								 * in force, or NULL */
	UpgradeState state;
} Outlook;

extern PGDLLEXPORT void du_outlook_open(Outlook *outlook);
extern PGDLLEXPORT void du_outlook_close(Outlook *outlook);
extern void du_outlook_plan(Outlook *outlook, const char *target);
extern void du_outlook_recall_risks(Outlook *outlook);
extern void du_outlook_evaluate_guards(Outlook *outlook, bool warnings);
extern PGDLLEXPORT DecisionResult du_outlook_decide_undesired(const Outlook *outlook);
extern PGDLLEXPORT void du_outlook_decide(Outlook *outlook, const char *desired);
extern PGDLLEXPORT void du_outlook_find_state(Outlook *outlook, const WorkerFacts *worker);
extern const char *du_outlook_straggler(const Outlook *outlook, const WorkerFacts *worker);
extern PGDLLEXPORT List *du_outlook_failing_guards(const Outlook *outlook);
extern PGDLLEXPORT const ExtensionFacts *du_outlook_main(const Outlook *outlook);
extern PGDLLEXPORT char *du_outlook_fingerprint(const Outlook *outlook);

#endif							/* DU_ASSESSMENT_H */
