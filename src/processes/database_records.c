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

typedef struct DatabaseRecords
{
	int			size;
	DatabaseRecord records[FLEXIBLE_ARRAY_MEMBER];
} DatabaseRecords;

static DatabaseRecords *known = NULL;

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

	part.size = offsetof(DatabaseRecords, records) + du_guc_max_databases * sizeof(DatabaseRecord);
	du_shared_memory_add(&part);
}

/* The record of a database, or NULL; the lock must be held. */
static DatabaseRecord *
find(Oid database)
{
	for (int i = 0; i < known->size; i++)
	{
		if (known->records[i].database == database)
			return &known->records[i];
	}
	return NULL;
}

/*
 * Has there be a record for each of these databases, as far as there is room,
 * and for no other.
 */
void
du_records_follow(const List *databases)
{
	const ListCell *lc;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	for (int i = 0; i < known->size; i++)
	{
		DatabaseRecord *record = &known->records[i];
		bool		exists = false;

		foreach(lc, databases)
			exists |= ((DatabaseEntry *) lfirst(lc))->oid == record->database;
		if (!exists)
			memset(record, 0, sizeof(DatabaseRecord));
	}
	foreach(lc, databases)
	{
		const DatabaseEntry *entry = lfirst(lc);
		DatabaseRecord *record;

		if (!entry->connectable || find(entry->oid) != NULL)
			continue;
		record = find(InvalidOid);
		if (record == NULL)
			break;
		record->database = entry->oid;
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
		if (OidIsValid(known->records[i].database))
			copies[(*n)++] = known->records[i];
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
