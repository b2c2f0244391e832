/*-------------------------------------------------------------------------
 *
 * own_relations.c
 *	  Keeps others from changing this extension while a process of ours looks
 *	  at its tables.
 *
 * DROP EXTENSION locks tables in the order of their dependencies, and other
 * statements in orders of their own, so who looks at one of our tables after
 * the other sooner or later waits for somebody who waits for him, and it is
 * the statement of a user that the server may choose to fail.  So a process of
 * ours takes this extension and all its relations when its transaction begins,
 * and never waits for one while it holds another.  From then on it need not
 * wait for any: whoever wants one for himself waits until it is through.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/wait_event.h"

#include "base/base.h"

#define NAP_MS 20

/* What an attempt to lock has found in its way. */
typedef struct Obstacle
{
	bool		is_extension;
	Oid			relation;
} Obstacle;

/* The relations that belong to the extension; their indexes go with them. */
static List *
find_relations(Oid extension)
{
	List	   *relations = NIL;
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(ExtensionRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		if (depend->deptype == DEPENDENCY_EXTENSION &&
			depend->classid == RelationRelationId)
			relations = lappend_oid(relations, depend->objid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return relations;
}

/* Gives back the first n of a list. */
static void
unlock(List *relations, int n)
{
	for (int i = 0; i < n; i++)
		UnlockRelationOid(list_nth_oid(relations, i), AccessShareLock);
}

/* Locks all or nothing, without a wait. */
static bool
lock_now(Oid extension, Obstacle *obstacle)
{
	LOCKTAG		tag;
	List	   *relations;
	int			n = 0;
	ListCell   *lc;

	memset(obstacle, 0, sizeof(Obstacle));
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, extension, 0);
	if (LockAcquire(&tag, AccessShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		obstacle->is_extension = true;
		return false;
	}
	relations = find_relations(extension);
	foreach(lc, relations)
	{
		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessShareLock))
		{
			obstacle->relation = lfirst_oid(lc);
			unlock(relations, n);
			(void) LockRelease(&tag, AccessShareLock, false);
			return false;
		}
		n++;
	}
	return true;
}

static void
give_up(const Obstacle *obstacle)
{
	const char *name = obstacle->is_extension ? NULL : get_rel_name(obstacle->relation);

	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 name != NULL ?
			 errmsg("could not lock relation \"%s\" of extension \"documentdb_upgrade\"", name) :
			 errmsg("could not lock extension \"documentdb_upgrade\"")));
}

/*
 * Locks this extension and its relations against changes of their definition,
 * until the end of the transaction; false when it is not installed.  To be
 * called before anything of it is looked at, by processes of ours alone.  Waits
 * that long, holding nothing meanwhile, and then raises 55P03.
 */
bool
du_own_relations_lock(int wait_ms)
{
	ClockMs		end = du_clock_ms() + wait_ms;
	Obstacle	obstacle;
	Oid			extension;

	while (OidIsValid(extension = du_context_own_extension()))
	{
		if (lock_now(extension, &obstacle))
		{
			/* Whoever was faster can have made it anew. */
			if (du_context_own_extension() == extension)
				return true;
			continue;
		}
		if (du_clock_ms() >= end)
			give_up(&obstacle);
		(void) WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, NAP_MS, PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
		AcceptInvalidationMessages();
	}
	return false;
}
