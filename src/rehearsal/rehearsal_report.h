/*-------------------------------------------------------------------------
 *
 * rehearsal_report.h
 *	  What a rehearsal has found, as JSON.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REHEARSAL_REPORT_H
#define DU_REHEARSAL_REPORT_H

#include "guards/guards.h"
#include "rehearsal/step_effects.h"
#include "rehearsal/step_risk.h"

extern void du_report_write_step(StringInfo buf, const char *extension, const PlanStep *step,
								 double ms, const StepEffects *effects, const StepRisk *risk);
extern void du_report_write_guards(StringInfo buf, const GuardResults *guards);
extern void du_report_write_sequences(StringInfo buf, List *before, List *after);

#endif							/* DU_REHEARSAL_REPORT_H */
