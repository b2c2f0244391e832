/*-------------------------------------------------------------------------
 *
 * announced_holds.h
 *	  Holds whose transactions have not ended yet.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_ANNOUNCED_HOLDS_H
#define DU_ANNOUNCED_HOLDS_H

extern void du_announced_hold_add(void);
extern pid_t du_announced_hold_find(Oid database);

#endif							/* DU_ANNOUNCED_HOLDS_H */
