/*-------------------------------------------------------------------------
 *
 * rehearsal.h
 *	  What a rehearsal of the coordinator of a cluster is on its nodes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REHEARSAL_H
#define DU_REHEARSAL_H

#include "portability/instr_time.h"

#include "finalize/finalize.h"
#include "plan/plan.h"

/* ----
 * carried_step.c
 *
 * Follows a step that the coordinator of a cluster has carried to this node.
 * ----
 */

/* A step while it runs; lives on the stack of whoever runs it. */
typedef struct CarriedStep
{
	Oid			oid;
	const char *extension;
	const char *from;
	const char *to;				/* NULL: the default version */
	const UpdateScript *script; /* NULL when it is not one that is followed */
	CarriedAttempt attempt;		/* that it is a step of, if any */
	bool		observed;		/* its effects are found out */
	instr_time	started;
	ErrorContextCallback callback;
} CarriedStep;

extern void du_carried_begin(CarriedStep *step);
extern void du_carried_end(CarriedStep *step, bool has_run);
extern void du_carried_stop(CarriedStep *step);
extern void du_carried_fail(CarriedStep *step);

#endif							/* DU_REHEARSAL_H */
