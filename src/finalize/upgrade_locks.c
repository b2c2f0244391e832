/*-------------------------------------------------------------------------
 *
 * upgrade_locks.c
 *	  The locks that an upgrade takes before it changes anything.
 *
 * Upgrades serialise on the pg_extension objects of the managed set: an
 * advisory lock could be taken by anybody.  Recent minor releases take the
 * same object lock in ALTER EXTENSION; against older ones the row itself is
 * locked as well, always after the object.
 *
 * Then come the strong locks that the plan's scripts are known to take, in
 * plan order and before any script runs, so that a wait happens while
 * nothing else is held.  At lock timeouts below deadlock_timeout a waiting
 * autovacuum would never give way by itself, so one that is in the way is
 * cancelled here, unless it works against wraparound.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include <signal.h>

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/sinvaladt.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "base/base.h"
#include "extension/extension.h"
#include "plan/plan.h"

/*
 * Locks the newest version of an extension's row; gone rows are left to the
 * re-reading that follows.
 */
static void
lock_extension_row(Oid extension)
{
	Relation	rel = table_open(ExtensionRelationId, RowShareLock);

	for (;;)
	{
		SysScanDesc scan;
		ScanKeyData key;
		HeapTuple	tuple;
		TM_Result	result = TM_Deleted;

		ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(extension));
		scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
		tuple = systable_getnext(scan);
		if (HeapTupleIsValid(tuple))
		{
			HeapTupleData locked = *tuple;
			Buffer		buffer;
			TM_FailureData failure;

			result = heap_lock_tuple(rel, &locked, GetCurrentCommandId(true),
									 LockTupleNoKeyExclusive, LockWaitBlock,
									 false, &buffer, &failure);
			ReleaseBuffer(buffer);
		}
		systable_endscan(scan);

		/* A row that was updated meanwhile is looked up again. */
		if (result != TM_Updated)
			break;
		CHECK_FOR_INTERRUPTS();
		AcceptInvalidationMessages();
	}
	table_close(rel, NoLock);
}

/*
 * Locks every installed extension of the managed set, objects first, in the
 * configured order.  Waits.  What was read before must be read again.
 */
void
du_locks_take_extensions(const UpgradeFacts *facts)
{
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (OidIsValid(facts->extensions[i].oid))
			LockDatabaseObject(ExtensionRelationId, facts->extensions[i].oid, 0,
							   ShareUpdateExclusiveLock);
	}
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (OidIsValid(facts->extensions[i].oid))
			lock_extension_row(facts->extensions[i].oid);
	}
}

/*
 * Cancels autovacuum workers that hold a conflicting lock on a relation.
 */
static void
cancel_autovacuum(Oid relation, LOCKMODE mode)
{
	LOCKTAG		tag;
	VirtualTransactionId *holders;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relation);
	holders = GetLockConflicts(&tag, mode, NULL);
	for (; VirtualTransactionIdIsValid(*holders); holders++)
	{
		PGPROC	   *proc = du_vxid_proc(*holders);
		uint8		flags = proc != NULL ? proc->statusFlags : 0;

		if ((flags & PROC_IS_AUTOVACUUM) && !(flags & PROC_VACUUM_FOR_WRAPAROUND))
		{
			int			pid = proc->pid;

			ereport(LOG,
					(errmsg("cancelling autovacuum worker %d for an extension upgrade", pid)));
			(void) kill(pid, SIGINT);
		}
	}
}

/*
 * Takes the strong locks of a list of KnownLock in its order.  Waits.
 */
void
du_locks_take_relations(List *locks)
{
	ListCell   *lc;

	foreach(lc, locks)
	{
		const KnownLock *lock = lfirst(lc);

		if (lock->mode <= RowExclusiveLock)
			continue;
		if (ConditionalLockRelationOid(lock->relation, lock->mode))
			continue;
		cancel_autovacuum(lock->relation, lock->mode);
		LockRelationOid(lock->relation, lock->mode);
	}
}
