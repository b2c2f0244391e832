/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between the supported PostgreSQL releases.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_COMPAT_H
#define DU_COMPAT_H

#include "storage/proc.h"
#include "utils/guc.h"

#if PG_VERSION_NUM < 150000
#error "documentdb_upgrade needs PostgreSQL 15 or later"
#endif

/* 16 renamed pg_namespace_aclcheck and its kin to one generic function. */
#if PG_VERSION_NUM >= 160000
#define du_namespace_aclcheck(nspid, roleid, mode) \
	object_aclcheck(NamespaceRelationId, nspid, roleid, mode)
#define du_database_aclcheck(dbid, roleid, mode) \
	object_aclcheck(DatabaseRelationId, dbid, roleid, mode)
#define du_function_aclcheck(funcid, roleid, mode) \
	object_aclcheck(ProcedureRelationId, funcid, roleid, mode)
#define du_database_ownercheck(dbid, roleid) \
	object_ownercheck(DatabaseRelationId, dbid, roleid)
#define du_extension_ownercheck(extid, roleid) \
	object_ownercheck(ExtensionRelationId, extid, roleid)
#else
#define du_namespace_aclcheck(nspid, roleid, mode) \
	pg_namespace_aclcheck(nspid, roleid, mode)
#define du_database_aclcheck(dbid, roleid, mode) \
	pg_database_aclcheck(dbid, roleid, mode)
#define du_function_aclcheck(funcid, roleid, mode) \
	pg_proc_aclcheck(funcid, roleid, mode)
#define du_database_ownercheck(dbid, roleid) \
	pg_database_ownercheck(dbid, roleid)
#define du_extension_ownercheck(extid, roleid) \
	pg_extension_ownercheck(extid, roleid)
#endif

/* 17 replaced backend identifiers by proc numbers in virtual transaction ids. */
#if PG_VERSION_NUM >= 170000
#define du_vxid_proc(vxid) ProcNumberGetProc((vxid).procNumber)
#else
#define du_vxid_proc(vxid) BackendIdGetProc((vxid).backendId)
#endif

/* 17 moved the local transaction id into the virtual transaction id of a process. */
#if PG_VERSION_NUM >= 170000
#define du_proc_transaction(proc) ((proc)->vxid.lxid)
#else
#define du_proc_transaction(proc) ((proc)->lxid)
#endif

/* 17 ties a wait event set to a resource owner instead of a memory context. */
#if PG_VERSION_NUM >= 170000
#define du_create_wait_event_set(nevents) CreateWaitEventSet(NULL, nevents)
#else
#define du_create_wait_event_set(nevents) CreateWaitEventSet(CurrentMemoryContext, nevents)
#endif

/* 16 made the list of settings a hash table, handed out as an array. */
#if PG_VERSION_NUM >= 160000
#define du_guc_variables(n) get_guc_variables(n)
#else
#define du_guc_variables(n) (*(n) = GetNumConfigOptions(), get_guc_variables())
#endif

/* 17 made the kinds of processes one enum. */
#if PG_VERSION_NUM >= 170000
#define du_is_autovacuum_worker() AmAutoVacuumWorkerProcess()
#else
#define du_is_autovacuum_worker() IsAutoVacuumWorkerProcess()
#endif

/* 16 made the lists of a process's locks doubly linked ones of its own kind. */
#if PG_VERSION_NUM >= 160000
static inline int64
du_count_proc_locks(PGPROC *proc, int partition)
{
	dlist_iter	iter;
	int64		n = 0;

	dlist_foreach(iter, &proc->myProcLocks[partition])
		n++;
	return n;
}
#else
static inline int64
du_count_proc_locks(PGPROC *proc, int partition)
{
	const SHM_QUEUE *head = &proc->myProcLocks[partition];
	int64		n = 0;

	for (const SHM_QUEUE *lock = head->next; lock != NULL && lock != head; lock = lock->next)
		n++;
	return n;
}
#endif

/* 18 asks whether one that is checked at commit will do. */
#if PG_VERSION_NUM >= 180000
#define du_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel, false)
#else
#define du_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel)
#endif

/* 18 took away the promise to run a query once only. */
#if PG_VERSION_NUM >= 180000
#define DU_EXECUTOR_RUN_PARAMETERS \
	QueryDesc *query, ScanDirection direction, uint64 count
#define DU_EXECUTOR_RUN_ARGUMENTS query, direction, count
#else
#define DU_EXECUTOR_RUN_PARAMETERS \
	QueryDesc *query, ScanDirection direction, uint64 count, bool once
#define DU_EXECUTOR_RUN_ARGUMENTS query, direction, count, once
#endif

/* 18 says before the type that a function does not return. */
#if PG_VERSION_NUM >= 180000
#define du_noreturn pg_noreturn
#else
#define du_noreturn pg_attribute_noreturn()
#endif

#endif							/* DU_COMPAT_H */
