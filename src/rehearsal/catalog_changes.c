/*-------------------------------------------------------------------------
 *
 * catalog_changes.c
 *	  What a subtransaction has changed in the catalogues.
 *
 * Nothing is digested before and after.  A row that a subtransaction writes
 * carries its transaction ID, and the version that it has replaced or deleted
 * is still there until commit: a scan that sees every version finds both, and
 * so exactly what was added, removed and changed, in every catalogue, at the
 * cost of reading those that were written to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "pgstat.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

const char *
du_changes_action_name(ChangeAction action)
{
	switch (action)
	{
		case CHANGE_ADDED:
			return "added";
		case CHANGE_REMOVED:
			return "removed";
		case CHANGE_CHANGED:
			return "changed";
	}
	elog(ERROR, "unrecognized change: %d", (int) action);
}

/*
 * True when this transaction has written to the catalogue.  Without counters
 * nobody knows, and it is read.
 */
static bool
was_written(Oid catalogue)
{
	Datum		relid = ObjectIdGetDatum(catalogue);

	if (!pgstat_track_counts)
		return true;
	return DatumGetInt64(DirectFunctionCall1(pg_stat_get_xact_tuples_inserted, relid)) > 0 ||
		DatumGetInt64(DirectFunctionCall1(pg_stat_get_xact_tuples_updated, relid)) > 0 ||
		DatumGetInt64(DirectFunctionCall1(pg_stat_get_xact_tuples_deleted, relid)) > 0;
}

/* True for a transaction of ours that began at that one or after it. */
static bool
is_since(TransactionId xid, TransactionId since)
{
	return TransactionIdIsNormal(xid) &&
		TransactionIdFollowsOrEquals(xid, since) &&
		TransactionIdIsCurrentTransactionId(xid);
}

static bool
is_written_since(HeapTupleHeader row, TransactionId since)
{
	return is_since(HeapTupleHeaderGetXmin(row), since);
}

static bool
is_deleted_since(HeapTupleHeader row, TransactionId since)
{
	if ((row->t_infomask & HEAP_XMAX_INVALID) ||
		HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask))
		return false;
	return is_since(HeapTupleHeaderGetUpdateXid(row), since);
}

/* Keeps one version of one row. */
static void
keep(HTAB *touched, const WatchedCatalog *catalog, TupleDesc desc,
	 HeapTuple row, bool after)
{
	ObjectAddress object = du_watched_identify(catalog, row, desc);
	TouchedObject *entry;
	bool		found;

	if (catalog->is_gone != NULL && catalog->is_gone(row, desc))
		return;
	entry = hash_search(touched, &object, HASH_ENTER, &found);
	if (!found)
	{
		entry->catalog = NULL;
		entry->before = entry->after = NULL;
		entry->parts_before = entry->parts_after = NIL;
	}
	if (catalog->part && after)
		entry->parts_after = lappend(entry->parts_after, heap_copytuple(row));
	else if (catalog->part)
		entry->parts_before = lappend(entry->parts_before, heap_copytuple(row));
	else if (after)
		entry->after = heap_copytuple(row);
	else
		entry->before = heap_copytuple(row);
	if (!catalog->part)
		entry->catalog = catalog;
}

/* Reads every version of every row of a catalogue. */
static void
scan(HTAB *touched, const WatchedCatalog *catalog, TransactionId since)
{
	Relation	rel = table_open(catalog->catalogue, AccessShareLock);
	TableScanDesc all = table_beginscan(rel, SnapshotAny, 0, NULL);
	HeapTuple	row;

	while ((row = heap_getnext(all, ForwardScanDirection)) != NULL)
	{
		bool		written = is_written_since(row->t_data, since);
		bool		deleted = is_deleted_since(row->t_data, since);

		/* A version that came and went in between is nobody's business. */
		if (written != deleted)
			keep(touched, catalog, RelationGetDescr(rel), row, written);
	}
	table_endscan(all);
	table_close(rel, AccessShareLock);
}

/* True when the object's relation is itself new or gone. */
static bool
goes_with_relation(HTAB *touched, const TouchedObject *entry)
{
	ObjectAddress relation = entry->object;
	TouchedObject *whole;

	if (entry->object.objectSubId == 0)
		return false;
	relation.objectSubId = 0;
	whole = hash_search(touched, &relation, HASH_FIND, NULL);
	return whole != NULL && (whole->before == NULL) != (whole->after == NULL);
}

/* True for what comes and goes with another and has no privileges of its own. */
static bool
is_implied(const CatalogChange *change)
{
	return change->dependent && change->granted == NIL && change->revoked == NIL;
}

static int
compare_changes(const ListCell *a, const ListCell *b)
{
	const CatalogChange *ca = lfirst(a);
	const CatalogChange *cb = lfirst(b);
	int			order = strcmp(ca->kind, cb->kind);

	return order != 0 ? order : strcmp(ca->identity, cb->identity);
}

/* True for two changes that are one: the object was dropped and made anew. */
static bool
is_same_name(const CatalogChange *a, const CatalogChange *b)
{
	return a->action != b->action && a->action != CHANGE_CHANGED &&
		b->action != CHANGE_CHANGED && a->object.classId == b->object.classId &&
		strcmp(a->kind, b->kind) == 0 && strcmp(a->identity, b->identity) == 0;
}

/*
 * Makes one of each such two, and leaves out what is implied then; the list
 * is ordered by kind and name.
 */
static List *
merge_recreated(List *changes)
{
	List	   *merged = NIL;
	ListCell   *lc;

	foreach(lc, changes)
	{
		CatalogChange *change = lfirst(lc);
		CatalogChange *last = merged != NIL ? llast(merged) : NULL;
		CatalogChange *removed;
		CatalogChange *added;

		if (last == NULL || !is_same_name(last, change))
		{
			merged = lappend(merged, change);
			continue;
		}
		removed = last->action == CHANGE_REMOVED ? last : change;
		added = last->action == CHANGE_REMOVED ? change : last;
		llast(merged) = du_change_merge(removed, added);
	}
	foreach(lc, merged)
	{
		if (is_implied(lfirst(lc)))
			merged = foreach_delete_current(merged, lc);
	}
	return merged;
}

/*
 * The changes that were made since that transaction ID of ours was assigned,
 * as a list of CatalogChange ordered by kind and name, palloc'd.  Derived
 * objects (toast tables, row and array types) and bookkeeping (statistics,
 * dependencies) are left out, except for what they grant.  What was dropped and
 * made anew under the same name has changed.  What was dropped has a name only
 * when du_dropped_watch() was called before, and nothing is outside without
 * du_outside_watch().
 */
List *
du_changes_collect(TransactionId since)
{
	HASHCTL		ctl = {0};
	HASH_SEQ_STATUS all;
	HTAB	   *touched;
	TouchedObject *entry;
	List	   *changes = NIL;
	ListCell   *lc;

	CommandCounterIncrement();
	ctl.keysize = sizeof(ObjectAddress);
	ctl.entrysize = sizeof(TouchedObject);
	ctl.hcxt = CurrentMemoryContext;
	touched = hash_create("documentdb_upgrade touched objects", 256, &ctl,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < du_watched_count; i++)
	{
		if (was_written(du_watched[i].catalogue))
			scan(touched, &du_watched[i], since);
	}

	hash_seq_init(&all, touched);
	while ((entry = hash_seq_search(&all)) != NULL)
	{
		CatalogChange *change = du_change_conclude(entry, goes_with_relation(touched, entry));

		if (change != NULL)
			changes = lappend(changes, change);
	}
	hash_destroy(touched);
	list_sort(changes, compare_changes);
	changes = merge_recreated(changes);
	foreach(lc, changes)
	{
		const CatalogChange *change = lfirst(lc);

		if (change->action == CHANGE_ADDED || (change->recreated && change->place == PLACE_INSIDE))
			du_outside_add_made(&change->object);
	}
	return changes;
}
