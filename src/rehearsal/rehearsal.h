/*-------------------------------------------------------------------------
 *
 * rehearsal.h
 *	  Runs a real upgrade and takes it back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REHEARSAL_H
#define DU_REHEARSAL_H

extern Datum du_rehearse(const char *target, bool *isnull);
extern Datum du_rehearsal_store(const char *json, bool *isnull);

#endif							/* DU_REHEARSAL_H */
