/*-------------------------------------------------------------------------
 *
 * database_records.c
 *	  What is known of each database of this server.
 *
 * One record for each database, in shared memory, so that a session in any
 * of them can tell how all of them stand.  The launcher makes the records as
 * databases come and takes them back as they go; whoever looks at a database,
 * its worker or a process that comes for that alone, fills its own.  There is
 * room for documentdb_upgrade.max_databases: those that find none are not
 * looked at, and view databases says so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "utils/timestamp.h"

#include "base/base.h"

typedef struct DatabaseSlots
{
	int			size;
	uint32		strangers;		/* requests about databases without a slot */
	uint32		strangers_seen;
	DatabaseSlot slots[FLEXIBLE_ARRAY_MEMBER];
} DatabaseSlots;

static DatabaseSlots *known = NULL;

static void
start_memory(void *memory, LWLockPadded *locks, bool is_new)
{
	known = memory;
	if (is_new)
		known->size = du_guc_max_databases;
}

/*
 * Asks for the memory; to be called while libraries are preloaded, when the
 * settings are defined.
 */
void
du_records_install(void)
{
	static SharedPart part = {"documentdb_upgrade databases", 0, 0, start_memory};

	part.size = offsetof(DatabaseSlots, slots) + du_guc_max_databases * sizeof(DatabaseSlot);
	du_shared_memory_add(&part);
}

/*
 * The slot of a database, NULL when it has none; of InvalidOid one that is
 * free.  The lock must be held.
 */
DatabaseSlot *
du_slot_find(Oid database)
{
	for (int i = 0; known != NULL && i < known->size; i++)
	{
		if (known->slots[i].record.database == database)
			return &known->slots[i];
	}
	return NULL;
}

/*
 * Calls a function for each slot that is taken; the lock must be held.
 */
void
du_slot_visit_all(void (*visit) (DatabaseSlot *slot, void *arg), void *arg)
{
	for (int i = 0; known != NULL && i < known->size; i++)
	{
		if (OidIsValid(known->slots[i].record.database))
			visit(&known->slots[i], arg);
	}
}

static DatabaseRecord *
find(Oid database)
{
	DatabaseSlot *slot = du_slot_find(database);

	return slot != NULL ? &slot->record : NULL;
}

/* Takes back the slots of databases that are gone. */
static void
forget_others(const List *databases)
{
	for (int i = 0; i < known->size; i++)
	{
		DatabaseSlot *slot = &known->slots[i];
		bool		exists = false;
		const ListCell *lc;

		foreach(lc, databases)
			exists |= ((DatabaseEntry *) lfirst(lc))->oid == slot->record.database;
		if (!exists && OidIsValid(slot->record.database))
			memset(slot, 0, sizeof(DatabaseSlot));
	}
}

/* A free slot, or that of a database that nobody asks to be served. */
static DatabaseSlot *
make_room(const List *databases)
{
	DatabaseSlot *slot = du_slot_find(InvalidOid);
	const ListCell *lc;

	foreach(lc, slot == NULL ? databases : NIL)
	{
		const DatabaseEntry *entry = lfirst(lc);

		slot = entry->is_wanted ? NULL : du_slot_find(entry->oid);
		if (slot != NULL && slot->worker.pid == 0)
			break;
		slot = NULL;
	}
	if (slot != NULL)
		memset(slot, 0, sizeof(DatabaseSlot));
	return slot;
}

/*
 * Notes which requests have been made by now.  To be called before the
 * catalogue is read: a process that is started for what was found there does
 * not go where somebody has wanted a database since.
 */
void
du_records_begin_scan(void)
{
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	for (int i = 0; i < known->size; i++)
		known->slots[i].seen = known->slots[i].asked;
	known->strangers_seen = known->strangers;
	LWLockRelease(du_shared_lock());
}

/*
 * Counts that somebody wants a database for himself; the lock must be held.
 */
void
du_records_count_request(Oid database)
{
	DatabaseSlot *slot = du_slot_find(database);

	if (slot != NULL)
		slot->asked++;
	else
		known->strangers++;
}

/*
 * Has a process that could not go to a database be followed by another as soon
 * as that may be.
 */
void
du_records_want_visit(Oid database)
{
	DatabaseSlot *slot;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	slot = du_slot_find(database);
	if (slot != NULL)
		slot->record.look_wanted = slot->restart_wanted = true;
	LWLockRelease(du_shared_lock());
}

/*
 * True when nobody has wanted a database since so many had; the lock must be
 * held.
 */
bool
du_records_is_unasked(Oid database, uint32 seen)
{
	DatabaseSlot *slot = du_slot_find(database);

	return slot != NULL && slot->asked == seen;
}

/*
 * Has there be a slot for each of these databases, as far as there is room,
 * and for no other.  Those that are to be served come first.
 */
void
du_records_follow(const List *databases)
{
	const ListCell *lc;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	forget_others(databases);
	for (int wanted = 1; wanted >= 0; wanted--)
	{
		foreach(lc, databases)
		{
			const DatabaseEntry *entry = lfirst(lc);
			DatabaseSlot *slot = du_slot_find(entry->oid);

			if (entry->is_wanted != wanted || !entry->connectable)
				continue;
			if (slot == NULL)
			{
				slot = wanted ? make_room(databases) : du_slot_find(InvalidOid);

				/* One of these requests may have been about it. */
				if (slot != NULL)
					slot->asked = slot->seen + (known->strangers != known->strangers_seen ? 1 : 0);
			}
			if (slot == NULL)
				break;
			slot->record.database = entry->oid;
			slot->is_main = entry->is_main;
		}
	}
	LWLockRelease(du_shared_lock());
}

/*
 * Copies the record of a database; false when there is none, or none are kept.
 */
bool
du_records_read(Oid database, DatabaseRecord *copy)
{
	DatabaseRecord *record;

	memset(copy, 0, sizeof(DatabaseRecord));
	if (known == NULL)
		return false;
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	record = find(database);
	if (record != NULL)
		*copy = *record;
	LWLockRelease(du_shared_lock());
	return record != NULL;
}

/*
 * All of them, palloc'd; their number goes to *n.
 */
DatabaseRecord *
du_records_list(int *n)
{
	DatabaseRecord *copies;

	*n = 0;
	if (known == NULL)
		return NULL;
	copies = palloc(known->size * sizeof(DatabaseRecord));
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	for (int i = 0; i < known->size; i++)
	{
		if (OidIsValid(known->slots[i].record.database))
			copies[(*n)++] = known->slots[i].record;
	}
	LWLockRelease(du_shared_lock());
	return copies;
}

/*
 * Notes what a look at this process's database has found, or why it has found
 * nothing (problem not NULL).
 */
void
du_records_note(const DatabaseFindings *findings, const char *problem)
{
	DatabaseRecord *record;

	if (known == NULL)
		return;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	record = find(MyDatabaseId);
	if (record != NULL)
	{
		if (findings != NULL)
		{
			record->found = *findings;
			record->looked_at = GetCurrentTimestamp();
		}
		du_shared_copy_text(record->problem, problem != NULL ? problem : "");
	}
	LWLockRelease(du_shared_lock());
	ConditionVariableBroadcast(du_shared_changed());
}

/*
 * Notes that a look at a database begins now, which is the answer to whoever
 * wanted one.
 */
void
du_records_begin_look(Oid database)
{
	DatabaseRecord *record;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	record = find(database);
	if (record != NULL)
	{
		record->tried_at = GetCurrentTimestamp();
		record->look_wanted = false;
		record->problem[0] = '\0';
	}
	LWLockRelease(du_shared_lock());
}

/*
 * Notes that a look has ended.  One that has found nothing, and does not say
 * why, did not get as far as that, unless another is wanted instead.
 */
void
du_records_end_look(Oid database)
{
	DatabaseRecord *record;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	record = find(database);
	if (record != NULL && !record->look_wanted && record->problem[0] == '\0' &&
		record->looked_at < record->tried_at)
		strlcpy(record->problem, "The process that looks at it has ended before its time; the server log says why.",
				sizeof(record->problem));
	LWLockRelease(du_shared_lock());
}

/*
 * Has a database be looked at soon.
 */
void
du_records_want_look(Oid database)
{
	DatabaseRecord *record;

	if (known == NULL)
		return;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	record = find(database);
	if (record != NULL)
		record->look_wanted = true;
	LWLockRelease(du_shared_lock());
}

/*
 * Says why no worker serves a database that is to be served: to everybody, and
 * true when it is new.  "" takes it back.
 */
bool
du_records_set_problem(Oid database, const char *problem, const char *hint)
{
	DatabaseRecord *record;
	bool		is_new = false;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	record = find(database);
	if (record != NULL)
	{
		is_new = strcmp(record->worker_problem, problem) != 0;
		du_shared_copy_text(record->worker_problem, problem);
		du_shared_copy_text(record->worker_hint, hint);
	}
	LWLockRelease(du_shared_lock());
	ConditionVariableBroadcast(du_shared_changed());
	return is_new;
}
