/*-------------------------------------------------------------------------
 *
 * lock_count.c
 *	  What a plan is known to take of the shared lock table, and what there
 *	  is.
 *
 * All steps run in one transaction, so their entries add up, and a relation
 * counts once however many steps touch it.  What the scripts name is the least
 * that they take, each with its children.  Whether indexes and TOAST tables are
 * locked too depends on the statement, and code hides what it locks: how many
 * entries that is, a rehearsal counts, and an attempt ends itself before it
 * takes more than its budget (lock_budget.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/internal.h"

#include "access/twophase.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/syscache.h"

/* The least for relations by OID: each of them and of their children. */
static int64
count_named(const List *relations)
{
	List	   *level = list_copy(relations);
	List	   *all = NIL;

	while (level != NIL)
	{
		List	   *children = NIL;
		ListCell   *lc;

		list_sort(level, list_oid_cmp);
		list_deduplicate_oid(level);
		foreach(lc, level)
		{
			if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lc))))
				children = list_concat(children, find_inheritance_children_extended(lfirst_oid(lc), false, NoLock,
																					NULL, NULL));
		}
		all = list_concat(all, level);
		level = children;
	}
	list_sort(all, list_oid_cmp);
	list_deduplicate_oid(all);
	return list_length(all);
}

/* Entries of the shared lock table that others hold or wait for. */
static int64
count_held(void)
{
	LockData   *data = GetLockStatusData();
	int64		n = 0;

	for (int i = 0; i < data->nelements; i++)
	{
		if (!data->locks[i].fastpath && data->locks[i].pid != MyProcPid)
			n++;
	}
	return n;
}

/*
 * Counts, palloc'd, for the relations that a plan is known to lock.
 */
LockCount *
du_lock_count(const List *relations)
{
	LockCount  *count = palloc0(sizeof(LockCount));

	count->named = count_named(relations);
	count->held = count_held();
	count->slots = (int64) MaxBackends + max_prepared_xacts;
	count->formula = max_locks_per_xact * count->slots;
	return count;
}

/*
 * How many entries an upgrade may take: what the settings promise, less what
 * others hold, and no less than every transaction is promised.  The table
 * holds more than the promise, which is what others can still grow by.
 */
int64
du_lock_count_budget(const LockCount *count)
{
	return Max(count->formula - count->held, max_locks_per_xact);
}
