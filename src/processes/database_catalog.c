/*-------------------------------------------------------------------------
 *
 * database_catalog.c
 *	  The databases of this server, as their catalogue lists them.
 *
 * Without a database of its own a process can count on the table alone, not
 * on its indexes or caches: hence a scan.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "storage/lmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define INVALID_LIMIT (-2)		/* of one whose DROP DATABASE was interrupted */

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(((const DatabaseEntry *) lfirst(a))->name, ((const DatabaseEntry *) lfirst(b))->name);
}

/* Reads the table, which is locked. */
static List *
read_databases(MemoryContext context)
{
	List	   *databases = NIL;
	Relation	rel = table_open(DatabaseRelationId, NoLock);
	TableScanDesc scan = table_beginscan_catalog(rel, 0, NULL);
	HeapTuple	tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext before = MemoryContextSwitchTo(context);
		DatabaseEntry *entry = palloc0(sizeof(DatabaseEntry));

		entry->oid = form->oid;
		strlcpy(entry->name, NameStr(form->datname), sizeof(entry->name));
		entry->allows_connections = form->datallowconn;
		entry->is_invalid = form->datconnlimit == INVALID_LIMIT;
		entry->is_scratch = strncmp(entry->name, SCRATCH_PREFIX, strlen(SCRATCH_PREFIX)) == 0;
		entry->connectable = entry->allows_connections && !entry->is_invalid && !entry->is_scratch;
		entry->is_template = form->datistemplate;
		databases = lappend(databases, entry);
		MemoryContextSwitchTo(before);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return databases;
}

/*
 * All of them in the order of their names, palloc'd.  Runs a transaction
 * unless there is one.  Waits for nobody: false when the catalogue is locked.
 */
bool
du_databases_try_list(List **databases)
{
	MemoryContext context = CurrentMemoryContext;
	bool		inside = IsTransactionState();
	bool		locked;

	*databases = NIL;
	if (!inside)
	{
		StartTransactionCommand();
		(void) GetTransactionSnapshot();
	}
	locked = ConditionalLockRelationOid(DatabaseRelationId, AccessShareLock);
	if (locked)
		*databases = read_databases(context);
	if (!inside)
		CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	list_sort(*databases, compare_names);
	return locked;
}

/*
 * The same in a transaction; waits for whoever has locked the catalogue.
 */
List *
du_databases_list(void)
{
	List	   *databases;

	LockRelationOid(DatabaseRelationId, AccessShareLock);
	databases = read_databases(CurrentMemoryContext);
	list_sort(databases, compare_names);
	return databases;
}
