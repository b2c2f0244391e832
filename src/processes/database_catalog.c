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
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define INVALID_LIMIT (-2)		/* of one whose DROP DATABASE was interrupted */

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(((const DatabaseEntry *) lfirst(a))->name, ((const DatabaseEntry *) lfirst(b))->name);
}

/*
 * All of them in the order of their names, palloc'd.  Runs a transaction
 * unless there is one.
 */
List *
du_databases_list(void)
{
	MemoryContext context = CurrentMemoryContext;
	bool		inside = IsTransactionState();
	List	   *databases = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	if (!inside)
	{
		StartTransactionCommand();
		(void) GetTransactionSnapshot();
	}
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
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
	if (!inside)
		CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	list_sort(databases, compare_names);
	return databases;
}
