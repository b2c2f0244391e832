/*-------------------------------------------------------------------------
 *
 * sequence_values.c
 *	  Where the sequences of this database stand.
 *
 * Sequences are the one thing that a rollback does not bring back.  They are
 * read from their pages: the server's functions keep a lock on each until the
 * end of the transaction, and there may be thousands.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "commands/sequence.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/rel.h"

#include "base/base.h"

/*
 * Opens a sequence; NULL when it is gone, or so locked by others that nobody
 * can advance it: a rehearsal waits for nothing that it does not need.
 */
static Relation
open_sequence(Oid sequence)
{
	Relation	rel;

	if (!ConditionalLockRelationOid(sequence, AccessShareLock))
		return NULL;
	rel = try_relation_open(sequence, NoLock);
	if (rel != NULL && rel->rd_rel->relkind == RELKIND_SEQUENCE)
		return rel;
	if (rel != NULL)
		relation_close(rel, NoLock);
	UnlockRelationOid(sequence, AccessShareLock);
	return NULL;
}

/* Reads the only row of a sequence; false when it cannot be had. */
static bool
read_sequence(SequenceValue *value)
{
	Relation	rel = open_sequence(value->sequence);
	Buffer		buffer;
	Page		page;
	ItemId		item;
	Form_pg_sequence_data data;

	if (rel == NULL)
		return false;
	buffer = ReadBuffer(rel, 0);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	item = PageGetItemId(page, FirstOffsetNumber);
	data = (Form_pg_sequence_data) ((char *) PageGetItem(page, item) +
									((HeapTupleHeader) PageGetItem(page, item))->t_hoff);
	value->last_value = data->last_value;
	value->is_called = data->is_called;
	UnlockReleaseBuffer(buffer);
	relation_close(rel, AccessShareLock);
	return true;
}

/*
 * A list of SequenceValue, ordered by OID, palloc'd.  Temporary sequences are
 * left out: they belong to one session.
 */
List *
du_sequences_read(void)
{
	List	   *values = NIL;
	SequenceValue *all;
	int			rows;

	rows = du_query("SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname)"
					" FROM pg_catalog.pg_class c"
					" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
					" WHERE c.relkind = 'S' AND c.relpersistence <> 't' ORDER BY c.oid",
					0, NULL, NULL);
	all = palloc0(Max(rows, 1) * sizeof(SequenceValue));
	for (int i = 0; i < rows; i++)
	{
		bool		isnull;

		all[i].sequence = DatumGetObjectId(du_query_datum(i, 1, &isnull));
		all[i].name = du_query_text(i, 2);
	}
	SPI_freetuptable(SPI_tuptable);

	for (int i = 0; i < rows; i++)
	{
		if (read_sequence(&all[i]))
			values = lappend(values, &all[i]);
	}
	return values;
}
