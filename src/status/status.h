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

typedef struct Assessment
{
	ExecutionContext context;
	UpgradeFacts *facts;
	UpgradePlan *plan;
	GuardResults *guards;		/* NULL when they were not asked for */
	const char *missing;		/* sentences about functions without a library,
								 * once guards were evaluated, or NULL */
	int			nodes_age_ms;	/* how old answers of other nodes may be */
	bool		in_recovery;
	bool		is_node;		/* a worker node of a Citus cluster */
	bool		attempt_of_session; /* one runs that is not the worker's */
	const char *desired;		/* "", "auto" or a version */
	DecisionResult decided;
	FailureMemory failures;
	bool		gate_is_stale;	/* another version is in force than installed */
	const char *fence;			/* sentences about why writes are stopped, or
								 * NULL */
	bool		maintenance;	/* they are for maintenance */
	const char *straggler;		/* about standbys that do not see the schema
								 * in force, or NULL */
	const char *others_behind;	/* about databases that are, or NULL */
	UpgradeState state;
} Assessment;

extern PGDLLEXPORT void du_assessment_open(Assessment *assessment);
extern PGDLLEXPORT void du_assessment_close(Assessment *assessment);
extern PGDLLEXPORT void du_assessment_ask_nodes(Assessment *assessment, const WorkerFacts *worker);
extern PGDLLEXPORT void du_assessment_evaluate_guards(Assessment *assessment, bool warnings);
extern PGDLLEXPORT DecisionResult du_assessment_decide_undesired(const Assessment *assessment);
extern PGDLLEXPORT void du_assessment_glance(Assessment *assessment);
extern PGDLLEXPORT void du_assessment_decide(Assessment *assessment, const char *desired);
extern PGDLLEXPORT void du_assessment_find_state(Assessment *assessment, const WorkerFacts *worker);
extern PGDLLEXPORT void du_assessment_decide_refused(Assessment *assessment,
													 const WorkerFacts *worker,
													 const char *refusal);
extern PGDLLEXPORT List *du_assessment_failing_guards(const Assessment *assessment);
extern PGDLLEXPORT const ExtensionFacts *du_assessment_main(const Assessment *assessment);
extern PGDLLEXPORT char *du_assessment_fingerprint(const Assessment *assessment);

/* ----
 * database_look.c
 *
 * How the extensions of a database stand, whether or not it has this one.
 * ----
 */

extern PGDLLEXPORT void du_look_note(const Assessment *assessment);
extern PGDLLEXPORT void du_look_note_bare(void);

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
