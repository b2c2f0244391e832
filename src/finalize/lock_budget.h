/*-------------------------------------------------------------------------
 *
 * lock_budget.h
 *	  Ends an upgrade before it takes more of the lock table than it may.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LOCK_BUDGET_H
#define DU_LOCK_BUDGET_H

extern void du_lock_budget_start(int64 entries);
extern void du_lock_budget_note(void);
extern void du_lock_budget_check(void);
extern void du_lock_budget_stop(void);
extern bool du_lock_budget_exceeded(void);
extern int64 du_lock_budget_peak(void);

#endif							/* DU_LOCK_BUDGET_H */
