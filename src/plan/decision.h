/*-------------------------------------------------------------------------
 *
 * decision.h
 *	  What a desired version means for an installed and a binary one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_DECISION_H
#define DU_DECISION_H

typedef enum Decision
{
	DECISION_NOT_INSTALLED,
	DECISION_REFUSE,
	DECISION_SCHEMA_AHEAD,
	DECISION_WAIT,
	DECISION_NONE,
	DECISION_UPDATE_AVAILABLE,
	DECISION_FINALIZE
} Decision;

typedef struct DecisionInput
{
	const char *desired;		/* "", "auto" or a version; NULL is "" */
	const char *installed;		/* NULL when not installed */
	const char *binary;			/* NULL when unknown */
	const char *behind;			/* which companions are not at their targets,
								 * as clauses; NULL when all are */
} DecisionInput;

typedef struct DecisionResult
{
	Decision	decision;
	const char *target;			/* the version arrived at, or NULL */
	const char *reason;			/* one sentence, never NULL */
} DecisionResult;

extern DecisionResult du_decide(const DecisionInput *input);
extern const char *du_decision_name(Decision decision);

#endif							/* DU_DECISION_H */
