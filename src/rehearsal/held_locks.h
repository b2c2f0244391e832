/*-------------------------------------------------------------------------
 *
 * held_locks.h
 *	  The locks that this transaction holds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_HELD_LOCKS_H
#define DU_HELD_LOCKS_H

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

/* A relation with the strongest mode in which it is locked. */
typedef struct HeldLock
{
	Oid			relation;		/* hash key */
	LOCKMODE	mode;
} HeldLock;

typedef struct HeldLocks
{
	int			entries;		/* in the shared lock table */
	int			nrelations;
	HeldLock   *relations;		/* stronger than ACCESS SHARE, ordered by OID */
} HeldLocks;

extern HeldLocks *du_held_locks(void);
extern bool du_held_locks_include(const HeldLocks *held, Oid relation);
extern List *du_held_locks_new(const HeldLocks *before, const HeldLocks *now);

#endif							/* DU_HELD_LOCKS_H */
