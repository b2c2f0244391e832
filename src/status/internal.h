/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_STATUS_INTERNAL_H
#define DU_STATUS_INTERNAL_H

#include "datatype/timestamp.h"

#include "extension/extension.h"
#include "guards/guards.h"
#include "plan/plan.h"
#include "processes/processes.h"
#include "status/status.h"

/* ----
 * upgrade_state.c
 *
 * The state of a primary, and what would change it.
 * ----
 */

/* What the worker that serves this database has to say; zeroed: none does. */
typedef struct WorkerView
{
	bool		present;
	const char *absent_because; /* a phrase, when it is not */
	const char *unread_source;	/* when it is not: the source that only a
								 * worker reads, or NULL */

	bool		source_ok;
	const char *source_problem; /* a sentence when it is not */
	const char *source_hint;	/* or NULL */
	const char *spec_binary;	/* that the resource names, or NULL */
	const char *wish;			/* how to desire version %s there: a clause
								 * with a command; NULL for a setting */

	/* On a standby, of its reports. */
	const char *upstream;		/* NULL when none is known */
	bool		upstream_ok;	/* it has taken the last report */
	const char *upstream_problem;	/* a sentence, NULL when the last was
									 * taken */
	const char *upstream_hint;

	bool		attempt_runs;
	bool		commits;		/* from here on it cannot be ended */
	int			step;			/* of nsteps, 0 before the first */
	int			nsteps;
	pid_t		attempt_of_session; /* whose it is, 0: the worker's */

	bool		gave_up;		/* until something changes, or retry() */
	int64		failures;		/* in a row */
	TimestampTz next_retry;		/* 0: none */
} WorkerView;

typedef struct StateInput
{
	const UpgradeFacts *facts;
	const UpgradePlan *plan;
	const GuardResults *guards; /* NULL when nothing wants to run */
	DecisionResult decided;
	bool		in_recovery;
	bool		is_node;		/* a worker node, which the coordinator upgrades */
	const char *coordinator;	/* its name, or NULL */
	const char *gate;			/* version in force, NULL when not known */
	const LibraryFacts *libraries;	/* NULL when not looked at */
	const char *missing;		/* sentences about functions without a library
								 * while an update is to come, or NULL */
	const char *straggler;		/* sentences about standbys that do not see
								 * the schema in force, or NULL */
	const char *missing_synchronous;	/* sentence about standbys that a
										 * commit waits for, or NULL; known
										 * while an attempt commits */
	const char *others_behind;	/* sentences about other databases, or NULL */
	bool		fence_wanted;	/* while the binary is older than the schema */
	const char *fence;			/* sentence about the one that is up, or NULL */
	const char *last_error;		/* of attempts since the last success, or NULL */
	bool		by_procedure;	/* the caller can finalize by that alone */
	WorkerView	worker;
} StateInput;

extern bool du_state_gate_is_stale(const char *installed, const char *gate);
extern UpgradeState du_state_of(const StateInput *input);
extern UpgradeState du_state_of_refused(const StateInput *input, const char *refusal);

/* ----
 * assessment.c
 *
 * Where this server stands: facts, plan, guards, decision and state of
 * one moment.
 * ----
 */

extern DecisionResult du_assessment_decide_for(const Assessment *assessment, const char *desired);
extern void du_assessment_plan(Assessment *assessment, const char *target);
extern void du_assessment_recall_risks(Assessment *assessment);
extern const char *du_assessment_straggler(const Assessment *assessment, const WorkerFacts *worker);

/* ----
 * database_functions.c
 *
 * How all databases of this server stand, as any of them shows it.
 * ----
 */

extern const char *du_databases_behind(void);

/* ----
 * database_look.c
 *
 * How the extensions of a database stand, whether or not it has this one.
 * ----
 */

extern void du_look_here(DatabaseFindings *findings);

#endif							/* DU_STATUS_INTERNAL_H */
