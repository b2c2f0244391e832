/*-------------------------------------------------------------------------
 *
 * report_intake.h
 *	  Takes the report of a standby: allowed, read, stored, answered.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REPORT_INTAKE_H
#define DU_REPORT_INTAKE_H

#include "utils/jsonb.h"

extern char *du_intake_take(Jsonb *report);

#endif							/* DU_REPORT_INTAKE_H */
