/*-------------------------------------------------------------------------
 *
 * held_locks.c
 *	  The locks that this transaction holds.
 *
 * Read from the lock table itself: one element for each object that a process
 * has locked, with all the modes, is what takes up room there.  Weak locks on
 * the fast path take none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "miscadmin.h"
#include "storage/lock.h"

static LOCKMODE
strongest_mode(LOCKMASK held)
{
	LOCKMODE	mode = MaxLockMode;

	while (mode > NoLock && !(held & LOCKBIT_ON(mode)))
		mode--;
	return mode;
}

static int
compare_relations(const void *a, const void *b)
{
	Oid			oa = ((const HeldLock *) a)->relation;
	Oid			ob = ((const HeldLock *) b)->relation;

	return oa < ob ? -1 : oa > ob;
}

/* One element for each relation: it may be on the fast path and off it. */
static void
merge_doubles(HeldLocks *held)
{
	int			n = 0;

	for (int i = 0; i < held->nrelations; i++)
	{
		if (n > 0 && held->relations[n - 1].relation == held->relations[i].relation)
			held->relations[n - 1].mode = Max(held->relations[n - 1].mode, held->relations[i].mode);
		else
			held->relations[n++] = held->relations[i];
	}
	held->nrelations = n;
}

/*
 * What is held now, palloc'd.
 */
HeldLocks *
du_held_locks(void)
{
	LockData   *data = GetLockStatusData();
	HeldLocks  *held = palloc0(sizeof(HeldLocks));

	held->relations = palloc(Max(data->nelements, 1) * sizeof(HeldLock));
	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];
		LOCKMODE	mode = strongest_mode(lock->holdMask);

		if (lock->pid != MyProcPid || mode == NoLock)
			continue;
		if (!lock->fastpath)
			held->entries++;
		if (lock->locktag.locktag_type != LOCKTAG_RELATION || mode <= AccessShareLock)
			continue;
		held->relations[held->nrelations].relation = lock->locktag.locktag_field2;
		held->relations[held->nrelations++].mode = mode;
	}
	pfree(data->locks);
	pfree(data);
	qsort(held->relations, held->nrelations, sizeof(HeldLock), compare_relations);
	merge_doubles(held);
	return held;
}

/*
 * Pointers into the later ones that are new, or stronger than before.
 */
List *
du_held_locks_new(const HeldLocks *before, const HeldLocks *now)
{
	List	   *added = NIL;

	for (int i = 0; i < now->nrelations; i++)
	{
		const HeldLock *known = bsearch(&now->relations[i], before->relations, before->nrelations,
										sizeof(HeldLock), compare_relations);

		if (known == NULL || known->mode < now->relations[i].mode)
			added = lappend(added, &now->relations[i]);
	}
	return added;
}

/*
 * True when a relation is among them, in any mode stronger than ACCESS SHARE.
 */
bool
du_held_locks_include(const HeldLocks *held, Oid relation)
{
	HeldLock	wanted = {relation, NoLock};

	return bsearch(&wanted, held->relations, held->nrelations,
				   sizeof(HeldLock), compare_relations) != NULL;
}
