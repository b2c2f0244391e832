/*-------------------------------------------------------------------------
 *
 * lock_count.h
 *	  What a plan is known to take of the shared lock table, and what there
 *	  is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LOCK_COUNT_H
#define DU_LOCK_COUNT_H

#include "nodes/pg_list.h"

typedef struct LockCount
{
	int64		named;			/* for relations that the scripts name */
	int64		held;			/* by everybody else, now */
	int64		slots;			/* sessions and prepared transactions */
	int64		formula;		/* what the settings promise */
} LockCount;

extern LockCount *du_lock_count(const List *relations);
extern int64 du_lock_count_budget(const LockCount *count);

#endif							/* DU_LOCK_COUNT_H */
