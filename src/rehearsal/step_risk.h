/*-------------------------------------------------------------------------
 *
 * step_risk.h
 *	  How much is at stake in a step, judged by what it did.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_STEP_RISK_H
#define DU_STEP_RISK_H

#include "rehearsal/step_effects.h"

typedef struct StepRisk
{
	const char *name;			/* as view plan shows it */
	int			rank;			/* higher is worse */
	const char *reason;			/* one line, palloc'd or constant */
} StepRisk;

extern StepRisk du_risk_of(const StepEffects *effects);
extern StepRisk du_risk_unknown(void);

#endif							/* DU_STEP_RISK_H */
