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
 * Which main extensions a database has, its own settings say, and only who is
 * connected to it knows them.  He makes a record for each beyond the first.
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
	uint32		strangers_noticed;	/* of these, as in DatabaseSlot */
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
 * The slot of a managed set of a database, "" being the first, NULL when it has
 * none; of InvalidOid and "" one that is free.  The lock must be held.
 */
DatabaseSlot *
du_slot_find(Oid database, const char *set)
{
	for (int i = 0; known != NULL && i < known->size; i++)
	{
		if (known->slots[i].record.database == database && strcmp(known->slots[i].record.set, set) == 0)
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
find(Oid database, const char *set)
{
	DatabaseSlot *slot = du_slot_find(database, set);

	return slot != NULL ? &slot->record : NULL;
}

/* The record that this process fills. */
static DatabaseRecord *
find_own(void)
{
	return find(MyDatabaseId, du_main_selected());
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

/* Takes back all slots of a database, unless it has none or one is in use. */
static bool
take_back(Oid database)
{
	bool		taken = false;

	for (int i = 0; i < known->size; i++)
	{
		if (known->slots[i].record.database == database && known->slots[i].worker.pid != 0)
			return false;
	}
	for (int i = 0; i < known->size; i++)
	{
		if (known->slots[i].record.database != database)
			continue;
		memset(&known->slots[i], 0, sizeof(DatabaseSlot));
		taken = true;
	}
	return taken;
}

/* A free slot, or that of a database that nobody asks to be served. */
static DatabaseSlot *
make_room(const List *databases)
{
	DatabaseSlot *slot = du_slot_find(InvalidOid, "");
	const ListCell *lc;

	foreach(lc, slot == NULL ? databases : NIL)
	{
		const DatabaseEntry *entry = lfirst(lc);

		if (!entry->is_wanted && take_back(entry->oid))
			return du_slot_find(InvalidOid, "");
	}
	return slot;
}

/*
 * Notes which requests have been made by now.  To be called before the
 * catalogue is read: a process that is started for what was found there does
 * not go where somebody has wanted a database since.  What was found before is
 * found still when the catalogue cannot be read.
 */
void
du_records_begin_scan(void)
{
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	for (int i = 0; i < known->size; i++)
		known->slots[i].noticed = known->slots[i].asked;
	known->strangers_noticed = known->strangers;
	LWLockRelease(du_shared_lock());
}

/*
 * Counts that somebody wants a database for himself; the lock must be held.
 */
void
du_records_count_request(Oid database)
{
	DatabaseSlot *slot = du_slot_find(database, "");

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
	DatabaseSlot *first;
	DatabaseSlot *slot;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	first = du_slot_find(database, "");
	slot = du_slot_find(database, du_main_selected());
	if (first != NULL)
		first->record.look_wanted = true;
	if (slot != NULL)
		slot->restart_wanted = true;
	LWLockRelease(du_shared_lock());
}

/*
 * True when nobody has wanted a database since so many had; the lock must be
 * held.
 */
bool
du_records_is_unasked(Oid database, uint32 seen)
{
	DatabaseSlot *slot = du_slot_find(database, "");

	return slot != NULL && slot->asked == seen;
}

/* Takes what was noted before the catalogue was read for what it has shown. */
static void
end_scan(void)
{
	for (int i = 0; i < known->size; i++)
		known->slots[i].seen = known->slots[i].noticed;
	known->strangers_seen = known->strangers_noticed;
}

/*
 * Has there be a slot for each of these databases, as far as there is room,
 * and for no other.  Those that are to be served come first.  The list is what
 * was read since du_records_begin_scan().
 */
void
du_records_follow(const List *databases)
{
	const ListCell *lc;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	end_scan();
	forget_others(databases);
	for (int wanted = 1; wanted >= 0; wanted--)
	{
		foreach(lc, databases)
		{
			const DatabaseEntry *entry = lfirst(lc);
			DatabaseSlot *slot = du_slot_find(entry->oid, "");

			if (entry->is_wanted != wanted || !entry->connectable)
				continue;
			if (slot == NULL)
			{
				slot = wanted ? make_room(databases) : du_slot_find(InvalidOid, "");

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

/* Whether a slot is that of a main extension that was one of this database. */
static bool
is_outdated(const DatabaseSlot *slot, const List *names)
{
	const ListCell *lc;

	if (slot->record.database != MyDatabaseId || slot->record.set[0] == '\0')
		return false;
	foreach(lc, names)
	{
		if (foreach_current_index(lc) > 0 && strcmp(slot->record.set, lfirst(lc)) == 0)
			return false;
	}
	return true;
}

/*
 * Has there be a slot for each main extension of this process's database, as
 * far as there is room.  One that is such no longer is kept until its worker has
 * ended, which it does by itself.
 */
void
du_records_name_sets(void)
{
	List	   *names = du_main_extensions();
	bool		changed = false;

	if (known == NULL)
		return;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	for (int i = 0; i < known->size; i++)
	{
		DatabaseSlot *slot = &known->slots[i];

		if (!is_outdated(slot, names))
			continue;
		changed |= slot->record.place >= 0;
		slot->record.place = -1;
		if (slot->worker.pid == 0)
			memset(slot, 0, sizeof(DatabaseSlot));
	}
	for (int i = 1; i < list_length(names) && find(MyDatabaseId, "") != NULL; i++)
	{
		const char *name = list_nth(names, i);
		DatabaseSlot *slot = du_slot_find(MyDatabaseId, name);

		if (slot == NULL)
			slot = du_slot_find(InvalidOid, "");
		if (slot == NULL)
			break;
		changed |= slot->record.place != i;
		slot->record.database = MyDatabaseId;
		strlcpy(slot->record.set, name, sizeof(slot->record.set));
		slot->record.place = i;
	}
	LWLockRelease(du_shared_lock());
	if (changed)
		du_shared_wake_launcher();
}

/*
 * Copies the record of a managed set of a database; false when there is none, or
 * none are kept.
 */
bool
du_records_read(Oid database, const char *set, DatabaseRecord *copy)
{
	DatabaseRecord *record;

	memset(copy, 0, sizeof(DatabaseRecord));
	if (known == NULL)
		return false;
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	record = find(database, set);
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
	record = find_own();
	if (record != NULL)
	{
		if (findings != NULL)
		{
			record->found = *findings;
			record->looked_at = GetCurrentTimestamp();
			record->looked = du_clock_ms();
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
	record = find(database, "");
	if (record != NULL)
	{
		record->tried = du_clock_ms();
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
	record = find(database, "");
	if (record != NULL && !record->look_wanted && record->problem[0] == '\0' &&
		record->looked < record->tried)
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
	record = find(database, "");
	if (record != NULL)
		record->look_wanted = true;
	LWLockRelease(du_shared_lock());
}

/*
 * Says why no worker serves a database that is to be served: to everybody, and
 * true when it is new.  "" takes it back.
 */
bool
du_records_set_problem(Oid database, const char *set, const char *problem, const char *hint)
{
	DatabaseRecord *record;
	bool		is_new = false;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	record = find(database, set);
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
