/*-------------------------------------------------------------------------
 *
 * status.h
 *	  Where an upgrade stands, and how people steer it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_STATUS_H
#define DU_STATUS_H

#include "datatype/timestamp.h"

#include "base/base.h"
#include "extension/extension.h"
#include "finalize/finalize.h"
#include "guards/guards.h"
#include "plan/plan.h"
#include "processes/processes.h"

/* ----
 * upgrade_state.c
 *
 * The state of a primary, and what would change it.
 * ----
 */

typedef struct UpgradeState
{
	const char *state;
	const char *next_step;		/* one sentence with the exact command */
} UpgradeState;

/* ----
 * assessment.c
 *
 * Where this server stands: facts, plan, guards, decision and state of
 * one moment.
 * ----
 */

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
extern void du_outlook_evaluate_guards(Outlook *outlook, bool warnings);
extern PGDLLEXPORT DecisionResult du_outlook_decide_undesired(const Outlook *outlook);
extern PGDLLEXPORT void du_outlook_decide(Outlook *outlook, const char *desired);
extern PGDLLEXPORT void du_outlook_find_state(Outlook *outlook, const WorkerFacts *worker);
extern PGDLLEXPORT List *du_outlook_failing_guards(const Outlook *outlook);
extern PGDLLEXPORT const ExtensionFacts *du_outlook_main(const Outlook *outlook);
extern PGDLLEXPORT char *du_outlook_fingerprint(const Outlook *outlook);

/* ----
 * release_record.c
 *
 * Records a release when what this server runs has changed.
 * ----
 */

typedef struct ReleaseMemory
{
	char		seen[65];		/* handed to the table last; "" makes the next
								 * look do it again */
	char	   *members_of;		/* extension and version whose libraries these
								 * are, or NULL */
	List	   *libraries;		/* paths */
} ReleaseMemory;

extern PGDLLEXPORT void du_release_record(const UpgradeFacts *facts, ReleaseMemory *memory);

#endif							/* DU_STATUS_H */
