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

#include "catalog_changes.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "dropped_objects.h"
#include "object_privileges.h"
#include "watched_catalogs.h"

/* One object, with the versions of its row before and after. */
typedef struct TouchedObject
{
	ObjectAddress object;		/* hash key */
	const WatchedCatalog *catalog;	/* NULL: only rows about its parts */
	HeapTuple	before;
	HeapTuple	after;
	List	   *parts_before;	/* rows about its parts */
	List	   *parts_after;
} TouchedObject;

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

static void
set_privileges(CatalogChange *change, List *before, List *after)
{
	change->privileges = after;
	change->granted = du_privileges_without(after, before);
	change->revoked = du_privileges_without(before, after);
}

/*
 * What is new starts with the privileges that are usual.  What is removed has
 * no privileges to lose, except that a row of default privileges is nothing
 * else.
 */
static void
compare_privileges(const TouchedObject *entry, TupleDesc desc, CatalogChange *change)
{
	const WatchedCatalog *catalog = entry->catalog;

	if (catalog->acl == InvalidAttrNumber)
		return;
	if (entry->after == NULL && !du_watched_is_privileges(catalog))
		change->privileges = du_privileges_of(catalog, entry->before, desc);
	else
		set_privileges(change,
					   entry->before != NULL ? du_privileges_of(catalog, entry->before, desc) :
					   du_privileges_usual(catalog, entry->after, desc),
					   entry->after != NULL ? du_privileges_of(catalog, entry->after, desc) :
					   du_privileges_usual(catalog, entry->before, desc));
}

/* Finds out in which way the two versions of a row differ. */
static void
compare_rows(const TouchedObject *entry, TupleDesc desc, CatalogChange *change)
{
	AttrNumber	owner = entry->catalog->classid == entry->catalog->catalogue &&
	is_objectclass_supported(entry->catalog->classid) ?
	get_object_attnum_owner(entry->catalog->classid) : InvalidAttrNumber;

	for (int n = 1; n <= desc->natts; n++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, n - 1);
		bool		null_before;
		bool		null_after;
		Datum		before = heap_getattr(entry->before, n, desc, &null_before);
		Datum		after = heap_getattr(entry->after, n, desc, &null_after);

		if (du_watched_is_bookkeeping(entry->catalog, n) ||
			(null_before && null_after) ||
			(null_before == null_after &&
			 datumIsEqual(before, after, column->attbyval, column->attlen)))
			continue;
		if (n == entry->catalog->acl)
			continue;			/* has been compared item by item */
		if (n == owner)
			change->owner = true;
		else if (du_watched_is_storage(entry->catalog, n))
			change->rewritten = true;
		else
			change->definition = true;
	}
}

/* Names the object of a change. */
static void
name_object(const TouchedObject *entry, TupleDesc desc, CatalogChange *change)
{
	const DroppedObject *gone = NULL;

	if (change->action == CHANGE_REMOVED)
		gone = du_dropped_find(entry->object.classId, entry->object.objectId,
							   entry->object.objectSubId);

	if (entry->catalog != NULL && entry->catalog->describe != NULL)
	{
		change->kind = entry->catalog->kind;
		change->identity = entry->catalog->describe(entry->after ? entry->after : entry->before, desc);
	}
	else if (gone != NULL)
	{
		change->kind = gone->kind;
		change->identity = gone->identity;
	}
	else if (change->action != CHANGE_REMOVED && is_objectclass_supported(entry->object.classId))
	{
		change->kind = getObjectTypeDescription(&entry->object, true);
		change->identity = getObjectIdentity(&entry->object, true);
	}
	if (change->kind == NULL)
		change->kind = "object";
	if (change->identity == NULL)
		change->identity = psprintf("%u/%u/%d", entry->object.classId,
									entry->object.objectId, entry->object.objectSubId);
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

/* True for objects that come and go with others. */
static bool
is_derived(const TouchedObject *entry, TupleDesc desc)
{
	return entry->catalog->is_derived != NULL &&
		entry->catalog->is_derived(entry->after ? entry->after : entry->before, desc);
}

/* True for two rows that say the same. */
static bool
is_same_row(HeapTuple a, HeapTuple b)
{
	return a->t_tableOid == b->t_tableOid && a->t_len == b->t_len &&
		a->t_data->t_hoff == b->t_data->t_hoff &&
		memcmp((char *) a->t_data + a->t_data->t_hoff,
			   (char *) b->t_data + b->t_data->t_hoff,
			   a->t_len - a->t_data->t_hoff) == 0;
}

/*
 * True when the rows about an object's parts are not written anew as they
 * were.
 */
static bool
parts_differ(const TouchedObject *entry)
{
	ListCell   *la;
	ListCell   *lb;

	if (list_length(entry->parts_before) != list_length(entry->parts_after))
		return true;
	foreach(la, entry->parts_after)
	{
		bool		found = false;

		foreach(lb, entry->parts_before)
			found |= is_same_row(lfirst(la), lfirst(lb));
		if (!found)
			return true;
	}
	return false;
}

/* The change of one object; NULL when nothing of interest has changed. */
static CatalogChange *
conclude(HTAB *touched, const TouchedObject *entry)
{
	CatalogChange *change = palloc0(sizeof(CatalogChange));
	Relation	rel;
	TupleDesc	desc;
	bool		derived;

	if (goes_with_relation(touched, entry))
		return NULL;
	change->object = entry->object;
	change->action = CHANGE_CHANGED;
	change->definition = parts_differ(entry);
	if (entry->catalog == NULL)
	{
		if (!change->definition)
			return NULL;
		name_object(entry, NULL, change);
		return change;
	}

	rel = table_open(entry->catalog->catalogue, AccessShareLock);
	desc = RelationGetDescr(rel);
	derived = is_derived(entry, desc);
	if (entry->before == NULL || entry->after == NULL)
	{
		change->action = entry->before == NULL ? CHANGE_ADDED : CHANGE_REMOVED;
		change->definition = true;
	}
	else if (!derived)
		compare_rows(entry, desc, change);
	compare_privileges(entry, desc, change);

	/* Of what comes with others only privileges are its own. */
	if (derived && change->action != CHANGE_CHANGED)
	{
		table_close(rel, AccessShareLock);
		return NULL;
	}
	name_object(entry, desc, change);
	table_close(rel, AccessShareLock);

	if (change->definition || change->owner || change->rewritten ||
		change->granted != NIL || change->revoked != NIL)
		return change;
	return NULL;
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

/* Makes one of each such two; the list is ordered by kind and name. */
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
		set_privileges(added, removed->privileges, added->privileges);
		added->action = CHANGE_CHANGED;
		added->recreated = true;
		llast(merged) = added;
	}
	return merged;
}

/*
 * The changes that were made since that transaction ID of ours was assigned,
 * as a list of CatalogChange ordered by kind and name, palloc'd.  Derived
 * objects (toast tables, row and array types) and bookkeeping (statistics,
 * dependencies) are left out.  What was dropped and made anew under the same
 * name has changed.  What was dropped has a name only when
 * du_dropped_watch() was called before.
 */
List *
du_changes_collect(TransactionId since)
{
	HASHCTL		ctl = {0};
	HASH_SEQ_STATUS all;
	HTAB	   *touched;
	TouchedObject *entry;
	List	   *changes = NIL;

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
		CatalogChange *change = conclude(touched, entry);

		if (change != NULL)
			changes = lappend(changes, change);
	}
	hash_destroy(touched);
	list_sort(changes, compare_changes);
	return merge_recreated(changes);
}
