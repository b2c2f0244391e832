/*-------------------------------------------------------------------------
 *
 * cutover.h
 *	  Raises and lifts fences for maintenance, and keeps table cutovers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CUTOVER_H
#define DU_CUTOVER_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

#include "fence/fence_state.h"

/* A row of table cutovers that has not ended. */
typedef struct Cutover
{
	int64		id;				/* 0: there is none */
	FenceReason reason;
	char	   *text;			/* why, in the words of who raised it */
	char	   *raised_by;
	TimestampTz raised_at;
	XLogRecPtr	lsn;
	TimestampTz drained_at;		/* 0: not yet */
	XLogRecPtr	drained_lsn;
} Cutover;

extern bool du_cutover_table_exists(void);
extern Cutover du_cutover_find(FenceReason reason);
extern Cutover du_cutover_lock(FenceReason reason);
extern bool du_cutover_begin(FenceReason reason, uint32 changes, const char *text,
							 const char *raised_by, Cutover *cutover);
extern void du_cutover_store(const Cutover *cutover);
extern bool du_cutover_end(FenceReason reason);
extern void du_cutover_set_drained(Cutover *cutover);
extern bool du_cutover_store_drained(const Cutover *cutover);
extern void du_cutover_forget_drained(int64 id);
extern Fence du_cutover_fence(const Cutover *cutover);
extern int64 du_cutover_count_writers(TimestampTz since);

#endif							/* DU_CUTOVER_H */
