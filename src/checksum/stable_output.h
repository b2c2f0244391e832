/*-------------------------------------------------------------------------
 *
 * stable_output.h
 *	  Text output of values that does not depend on the session.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_STABLE_OUTPUT_H
#define DU_STABLE_OUTPUT_H

#include "fmgr.h"

extern char *du_stable_output(FmgrInfo *output, Datum value);

#endif							/* DU_STABLE_OUTPUT_H */
