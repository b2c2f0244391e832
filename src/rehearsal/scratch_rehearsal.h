/*-------------------------------------------------------------------------
 *
 * scratch_rehearsal.h
 *	  A rehearsal in a throw-away database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SCRATCH_REHEARSAL_H
#define DU_SCRATCH_REHEARSAL_H

extern Datum du_rehearse_in_scratch(const char *target, bool *isnull);

#endif							/* DU_SCRATCH_REHEARSAL_H */
