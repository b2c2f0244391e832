/*-------------------------------------------------------------------------
 *
 * step_effects.c
 *	  What one step of an upgrade does, found out while it is done.
 *
 * Each step runs in a subtransaction of its own, whose transaction ID marks
 * what it has written.  Locks, counters and WAL are those of this process, and
 * a step's share is the difference between its end and its beginning.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/instrument.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "base/base.h"
#include "plan/plan.h"

typedef struct RowCounts
{
	Oid			table;			/* hash key */
	int64		inserted;
	int64		updated;
	int64		deleted;
} RowCounts;

/* Of the run. */
static MemoryContext context = NULL;	/* NULL: none runs */
static HeldLocks *held = NULL;	/* at the end of the step before */
static int	entries_at_start;	/* of the lock table */
static List *shown = NIL;		/* whose early lock a step has shown */

/* Of the step. */
static TransactionId step_xid;
static uint64 wal_at_begin;
static HTAB *counted = NULL;	/* rows that were written before it */
static List *warnings = NIL;

static int	log_level = WARNING;	/* log_min_messages of the session */
static bool installed = false;
static emit_log_hook_type previous_log = NULL;

/*
 * Keeps the warnings of the running step.  They come here because the level
 * of the log was lowered for them; those that it would not have taken stay
 * out of it.
 */
static void
keep_warning(ErrorData *edata)
{
	if (context != NULL && edata->elevel == WARNING && edata->message != NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		warnings = lappend(warnings, pstrdup(edata->message));
		MemoryContextSwitchTo(caller);
		if (log_level > WARNING)
			edata->output_to_server = false;
	}
	if (previous_log != NULL)
		previous_log(edata);
}

static HTAB *
new_counts(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(RowCounts);
	ctl.hcxt = context;
	return hash_create("documentdb_upgrade rows", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Rows that this transaction has written so far, by table. */
static HTAB *
count_rows(void)
{
	HTAB	   *counts = new_counts();
	int			rows;

	rows = du_query("SELECT t.oid, t.inserted, t.updated, t.deleted"
					" FROM (SELECT c.oid,"
					"         pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) AS inserted,"
					"         pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) AS updated,"
					"         pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) AS deleted"
					"       FROM pg_catalog.pg_class c"
					"       WHERE c.oid >= 16384 AND c.relkind IN ('r', 'm')) AS t"
					" WHERE t.inserted + t.updated + t.deleted > 0",
					0, NULL, NULL);
	for (int i = 0; i < rows; i++)
	{
		bool		isnull;
		Oid			table = DatumGetObjectId(du_query_datum(i, 1, &isnull));
		RowCounts  *entry = hash_search(counts, &table, HASH_ENTER, NULL);

		entry->inserted = du_query_int(i, 2);
		entry->updated = du_query_int(i, 3);
		entry->deleted = du_query_int(i, 4);
	}
	SPI_freetuptable(SPI_tuptable);
	return counts;
}

/* The memory is about to go, perhaps with the session. */
static void
forget(void *arg)
{
	if (context == arg)
		du_effects_stop();
}

static const char *
qualified_name(Oid relation)
{
	char	   *name = get_rel_name(relation);
	const DroppedObject *gone;

	if (name != NULL)
		return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), name);
	gone = du_dropped_find(RelationRelationId, relation, 0);
	return gone != NULL && gone->identity != NULL ? gone->identity : psprintf("relation %u", relation);
}

/*
 * Whose rows are in a table, or were before it was dropped.  Those in a table
 * of another extension are that extension's affair: a script that schedules a
 * job of pg_cron writes into one.
 */
static ObjectPlace
place_of(Oid table)
{
	const DroppedObject *gone = du_dropped_find(RelationRelationId, table, 0);

	if (gone != NULL)
		return gone->place;
	if (OidIsValid(getExtensionOfObject(RelationRelationId, table)))
		return PLACE_NOWHERE;
	return du_outside_place(RelationRelationId, table);
}

/* What was written since the last count. */
static List *
compare_rows(HTAB *now)
{
	HASH_SEQ_STATUS all;
	RowCounts  *entry;
	List	   *result = NIL;

	hash_seq_init(&all, now);
	while ((entry = hash_seq_search(&all)) != NULL)
	{
		const RowCounts *before = hash_search(counted, &entry->table, HASH_FIND, NULL);
		TableRows  *rows = palloc0(sizeof(TableRows));

		rows->inserted = entry->inserted - (before ? before->inserted : 0);
		rows->updated = entry->updated - (before ? before->updated : 0);
		rows->deleted = entry->deleted - (before ? before->deleted : 0);
		if (rows->inserted == 0 && rows->updated == 0 && rows->deleted == 0)
			continue;
		rows->oid = entry->table;
		rows->table = qualified_name(entry->table);
		rows->place = place_of(entry->table);
		rows->is_new = du_dropped_is_new_relation(entry->table);
		result = lappend(result, rows);
	}
	return result;
}

/*
 * An existing relation that is locked; NULL for one that this transaction has
 * made itself, which is in nobody's way, and for catalogues, which every
 * definition locks for a moment.
 */
static LockedRelation *
describe_lock(const HeldLock *lock)
{
	LockedRelation *locked;
	Relation	rel;

	if (IsCatalogRelationOid(lock->relation) || du_dropped_is_new_relation(lock->relation))
		return NULL;
	locked = palloc0(sizeof(LockedRelation));
	locked->mode = lock->mode;
	locked->name = qualified_name(lock->relation);
	rel = RelationIdGetRelation(lock->relation);
	if (!RelationIsValid(rel))
		return locked;
	locked->is_table = rel->rd_rel->relkind == RELKIND_RELATION;
	locked->is_member = OidIsValid(getExtensionOfObject(RelationRelationId, lock->relation));
	if (locked->is_table)
		locked->bytes = (int64) RelationGetNumberOfBlocks(rel) * BLCKSZ;
	RelationClose(rel);
	return locked;
}

static List *
add_lock(List *locked, Oid relation, LOCKMODE mode)
{
	HeldLock	lock = {relation, mode};
	LockedRelation *described = describe_lock(&lock);

	return described != NULL ? lappend(locked, described) : locked;
}

/*
 * What a step has locked: what is held since it began, and what was taken for
 * it before the first step.
 */
static List *
describe_locks(const PlanStep *step, const HeldLocks *now)
{
	List	   *locked = NIL;
	ListCell   *lc;

	for (int i = 0; i < step->nlocks; i++)
	{
		Oid			relation = step->locks[i].relation;

		if (list_member_oid(shown, relation))
			continue;
		shown = lappend_oid(shown, relation);
		locked = add_lock(locked, relation, step->locks[i].mode);
	}
	foreach(lc, du_held_locks_new(held, now))
	{
		const HeldLock *lock = lfirst(lc);

		locked = add_lock(locked, lock->relation, lock->mode);
	}
	return locked;
}

/*
 * Begins a run: what this transaction has done so far is nobody's effect.
 * Ends with du_effects_stop(), at the latest with the current memory context.
 */
void
du_effects_start(const UpgradeFacts *facts)
{
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	if (!installed)
	{
		previous_log = emit_log_hook;
		emit_log_hook = keep_warning;
		installed = true;
	}
	context = CurrentMemoryContext;
	callback->func = forget;
	callback->arg = context;
	MemoryContextRegisterResetCallback(context, callback);

	/* Without the two there is nothing to be seen. */
	log_level = log_min_messages;
	if (log_min_messages > WARNING)
		du_context_set("log_min_messages", "warning");
	du_context_set("track_counts", "on");

	held = du_held_locks();
	entries_at_start = held->entries;
	shown = NIL;
	du_outside_watch(facts);
	du_dropped_watch();
}

/*
 * To be called when the locks are held that are taken before the first step.
 */
void
du_effects_take_early_locks(void)
{
	held = du_held_locks();
}

/*
 * Ends it.  May be called more than once.
 */
void
du_effects_stop(void)
{
	du_dropped_unwatch();
	du_outside_unwatch();
	context = NULL;
	counted = NULL;
	held = NULL;
	shown = NIL;
	warnings = NIL;
}

/*
 * To be called in the step's own subtransaction, before the step.  Where no
 * query may be run, the transaction must have written no rows yet.
 */
void
du_effects_begin_step(bool may_ask)
{
	step_xid = GetCurrentTransactionId();
	counted = may_ask ? count_rows() : new_counts();
	wal_at_begin = pgWalUsage.wal_bytes;
	warnings = NIL;
}

/*
 * The same after it: what it has done, palloc'd.
 */
StepEffects *
du_effects_end_step(const PlanStep *step)
{
	StepEffects *effects = palloc0(sizeof(StepEffects));
	HeldLocks  *now;

	effects->wal_bytes = pgWalUsage.wal_bytes - wal_at_begin;
	effects->warnings = warnings;
	effects->changes = du_changes_collect(step_xid);

	now = du_held_locks();
	effects->lock_entries = now->entries - entries_at_start;
	effects->locked = describe_locks(step, now);
	held = now;

	effects->rows = compare_rows(count_rows());
	return effects;
}
