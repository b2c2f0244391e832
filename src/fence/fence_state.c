/*-------------------------------------------------------------------------
 *
 * fence_state.c
 *	  Which write fences are up, as all processes see it.
 *
 * One place in shared memory for each database and reason.  A fence that a transaction has
 * raised names it, like an announced hold: what becomes of the fence is
 * decided by the end of that transaction, and until then nobody else touches
 * it.  Whoever compares with the table cutovers counts the changes here first
 * and reads the table after that: what has been raised by then is seen there
 * or here, and what has changed since is left for the next look.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fence/internal.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "processes/processes.h"

static Fences *fences = NULL;

static void
start_memory(void *memory, LWLockPadded *locks, bool is_new)
{
	fences = memory;
	if (is_new)
		fences->size = du_guc_max_databases;
}

/*
 * Asks for the memory; to be called while libraries are preloaded, when the
 * settings are defined.
 */
void
du_fence_state_install(void)
{
	static SharedPart part = {"documentdb_upgrade write fences", 0, 0, start_memory};

	part.size = offsetof(Fences, databases) + du_guc_max_databases * sizeof(FencedDatabase);
	du_shared_memory_add(&part);
}

/*
 * The fences; the shared memory must exist, as in all that follows.
 */
Fences *
du_fences(void)
{
	return fences;
}

static bool
has_fence(const FencedDatabase *place)
{
	for (int i = 0; i < FENCE_REASONS; i++)
	{
		if (OidIsValid(place->fences[i].database))
			return true;
	}
	return false;
}

/*
 * The place of a database, NULL when it has none.  One is made when it is
 * asked for, in that of a database without a fence if need be: NULL then means
 * that each has one.  The lock must be held.
 */
FencedDatabase *
du_fence_place_of(Oid database, bool make)
{
	FencedDatabase *room = NULL;

	for (int i = 0; i < fences->size; i++)
	{
		FencedDatabase *place = &fences->databases[i];

		if (place->database == database)
			return place;
		if (!OidIsValid(place->database) ||
			(room == NULL && !has_fence(place) && place->looked == LOOKED_NEVER))
			room = place;
	}
	if (!make || room == NULL)
		return NULL;
	memset(room, 0, sizeof(FencedDatabase));
	room->database = database;
	return room;
}

/*
 * Counts what is up; to be called with the lock held when that has changed.
 */
void
du_fence_count(void)
{
	uint32		n = 0;

	for (int i = 0; i < fences->size; i++)
		n += OidIsValid(fences->databases[i].database) && has_fence(&fences->databases[i]) ? 1 : 0;
	fences->nraised = n;
	fences->changes++;
}

/* The fence of this process's database; the lock must be held. */
static Fence
own_fence(FenceReason reason)
{
	FencedDatabase *place = du_fence_place_of(MyDatabaseId, false);
	Fence		none = {0};

	return place != NULL ? place->fences[reason] : none;
}

/*
 * Puts a fence in its place, or none there; the lock must be held.  False when
 * there is no room for it.
 */
static bool
place_fence(FenceReason reason, const Fence *fence)
{
	FencedDatabase *place = du_fence_place_of(MyDatabaseId, OidIsValid(fence->database));

	if (place != NULL)
		place->fences[reason] = *fence;
	du_fence_count();
	return place != NULL || !OidIsValid(fence->database);
}

static void
refuse_for_want_of_room(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("cannot stop writes to more than %d databases", fences->size),
			 errhint("Raise documentdb_upgrade.max_databases and restart PostgreSQL.")));
}

static void
compose(Fence *fence, int64 cutover, const char *why, const char *hint)
{
	memset(fence, 0, sizeof(Fence));
	fence->database = MyDatabaseId;
	fence->cutover = cutover;
	strlcpy(fence->why, why, sizeof(fence->why));
	strlcpy(fence->hint, hint, sizeof(fence->hint));
}

/* True when they stop the same writes for the same reason. */
static bool
is_same(const Fence *a, const Fence *b)
{
	return a->database == b->database && a->everywhere == b->everywhere && a->cutover == b->cutover &&
		strcmp(a->why, b->why) == 0 && strcmp(a->hint, b->hint) == 0;
}

/*
 * Replaces a fence by one that stands.  It is in force since the one before
 * was, if that was up in the same database.
 */
static bool
replace(FenceReason reason, const Fence *wanted)
{
	Fence		known = own_fence(reason);
	Fence		fence = *wanted;

	if (is_same(&known, &fence) && known.owner == 0)
		return false;
	fence.since = known.database == fence.database ? known.since : 0;
	if (!place_fence(reason, &fence))
		return false;
	if (fence.since == 0 && OidIsValid(fence.database))
		du_fence_place_of(MyDatabaseId, false)->fences[reason].since = GetCurrentTimestamp();
	return true;
}

/*
 * Raises a fence around this process's database, or changes what an existing
 * one says.
 */
void
du_fence_raise(FenceReason reason, int64 cutover, const char *why, const char *hint)
{
	Fence		fence;

	compose(&fence, cutover, why, hint);
	du_fence_raise_again(reason, &fence);
}

/*
 * The same of one that is composed already.
 */
void
du_fence_raise_again(FenceReason reason, const Fence *wanted)
{
	Fence		fence = *wanted;
	bool		changed;

	fence.database = MyDatabaseId;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	changed = replace(reason, &fence);
	LWLockRelease(du_shared_lock());
	if (changed)
		ConditionVariableBroadcast(du_shared_changed());
}

/*
 * Takes a fence of this process's database away; true if it was up.
 */
bool
du_fence_lift(FenceReason reason)
{
	static const Fence none = {0};
	bool		changed;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	changed = OidIsValid(own_fence(reason).database);
	if (changed)
		(void) place_fence(reason, &none);
	LWLockRelease(du_shared_lock());
	if (changed)
		ConditionVariableBroadcast(du_shared_changed());
	return changed;
}

/*
 * True while the transaction that has raised a fence has not ended.
 */
bool
du_fence_is_pending(const Fence *fence)
{
	PGPROC	   *proc = fence->owner != 0 ? BackendPidGetProc(fence->owner) : NULL;

	return proc != NULL && du_proc_transaction(proc) == fence->transaction;
}

/*
 * Raises a fence on behalf of this transaction, and copies what was in its
 * place.  Nothing is done when another transaction, that of the previous one's
 * owner, is raising one now, or when fences have changed since they were so
 * many changes old.
 */
FenceClaim
du_fence_claim(FenceReason reason, uint32 changes, const Fence *wanted, Fence *previous)
{
	FenceClaim	claim = FENCE_CLAIMED;
	Fence		fence;
	bool		has_room = true;

	compose(&fence, wanted->cutover, wanted->why, wanted->hint);
	fence.everywhere = wanted->everywhere;
	fence.owner = MyProcPid;
	fence.transaction = du_proc_transaction(MyProc);

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	*previous = own_fence(reason);
	if (previous->owner != MyProcPid && du_fence_is_pending(previous))
		claim = FENCE_PENDING;
	else if (fences->changes != changes)
		claim = FENCE_CHANGED;
	else
	{
		/* Whatever begins from now on meets it. */
		fence.since = GetCurrentTimestamp();
		has_room = place_fence(reason, &fence);
	}
	LWLockRelease(du_shared_lock());
	if (!has_room)
		refuse_for_want_of_room();
	if (claim == FENCE_CLAIMED)
		ConditionVariableBroadcast(du_shared_changed());
	return claim;
}

/*
 * Ends what a transaction has begun: the fence of that cutover stands from now
 * on (next NULL), or makes room for another or for none.  One that is another
 * cutover's by now is left alone.  Does not raise.
 */
void
du_fence_conclude(FenceReason reason, int64 cutover, const Fence *next)
{
	Fence		fence;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	fence = own_fence(reason);
	if (OidIsValid(fence.database) && fence.cutover == cutover)
	{
		if (next != NULL)
			fence = *next;
		fence.owner = 0;
		fence.transaction = InvalidLocalTransactionId;
		(void) place_fence(reason, &fence);
	}
	LWLockRelease(du_shared_lock());
	ConditionVariableBroadcast(du_shared_changed());
}

/*
 * Puts in force what the table wants around this database: a fence, or none
 * (wanted NULL).  False, and nothing is done, when fences have changed since
 * they were so many changes old, or a transaction has not ended.
 */
bool
du_fence_settle(FenceReason reason, uint32 changes, const Fence *wanted, bool *changed)
{
	Fence		known;
	Fence		fence = {0};
	bool		settled;

	if (wanted != NULL)
	{
		compose(&fence, wanted->cutover, wanted->why, wanted->hint);
		fence.everywhere = wanted->everywhere;
	}
	*changed = false;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	known = own_fence(reason);
	settled = fences->changes == changes && !du_fence_is_pending(&known);
	if (settled)
		*changed = replace(reason, &fence);
	LWLockRelease(du_shared_lock());
	if (*changed)
		ConditionVariableBroadcast(du_shared_changed());
	return settled;
}

/*
 * A copy of one of this process's database.
 */
Fence
du_fence_read(FenceReason reason)
{
	Fence		fence;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	fence = own_fence(reason);
	LWLockRelease(du_shared_lock());
	return fence;
}

/*
 * Copies one that another database has raised around this one too; false when
 * there is none.
 */
bool
du_fence_from_elsewhere(Fence *copy)
{
	bool		found = false;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	for (int i = 0; fences->nraised > 0 && i < fences->size && !found; i++)
	{
		const Fence *fence = &fences->databases[i].fences[FENCE_MANUAL];

		found = fences->databases[i].database != MyDatabaseId && OidIsValid(fence->database) &&
			fence->everywhere;
		if (found)
			*copy = *fence;
	}
	LWLockRelease(du_shared_lock());
	return found;
}

/*
 * Since when writes to this database are stopped for maintenance, 0: they are
 * not.
 */
TimestampTz
du_fence_since(void)
{
	Fence		general;
	TimestampTz since = du_fence_from_elsewhere(&general) ? general.since : 0;

	for (int i = FENCE_MANUAL; i < FENCE_REASONS; i++)
	{
		Fence		fence = du_fence_read(i);

		if (OidIsValid(fence.database) && fence.database == MyDatabaseId &&
			(since == 0 || fence.since < since))
			since = fence.since;
	}
	return since;
}

/*
 * Says that the fences of this process's database are up that are to be, as
 * its worker has seen in a look that began in recovery, or not.
 */
void
du_fence_looked(bool in_recovery)
{
	FenceLook	look = in_recovery ? LOOKED_IN_RECOVERY : LOOKED_AS_PRIMARY;
	FencedDatabase *place;
	bool		is_known;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	place = du_fence_place_of(MyDatabaseId, false);
	is_known = place != NULL && place->looked == look;
	LWLockRelease(du_shared_lock());
	if (is_known)
		return;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	place = du_fence_place_of(MyDatabaseId, true);
	if (place != NULL)
	{
		place->waiting_since = 0;
		place->looked = look;
	}
	LWLockRelease(du_shared_lock());
	ConditionVariableBroadcast(du_shared_changed());
}

static bool
is_among(const List *databases, Oid database)
{
	const ListCell *lc;

	foreach(lc, databases)
	{
		if (((const DatabaseEntry *) lfirst(lc))->oid == database)
			return true;
	}
	return false;
}

/*
 * Takes back the places of databases that have been dropped; true when a fence
 * went with one.
 */
bool
du_fence_forget_dropped(void)
{
	Oid		   *suspects = palloc(fences->size * sizeof(Oid));
	bool		any = false;
	List	   *databases;

	/* What is made after this look is not in question. */
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	for (int i = 0; i < fences->size; i++)
	{
		suspects[i] = fences->databases[i].database;
		any |= OidIsValid(suspects[i]) && suspects[i] != MyDatabaseId;
	}
	LWLockRelease(du_shared_lock());
	if (!any || !du_databases_try_list(&databases))
		return false;
	any = false;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	for (int i = 0; i < fences->size; i++)
	{
		FencedDatabase *place = &fences->databases[i];

		if (!OidIsValid(place->database) || place->database != suspects[i] ||
			is_among(databases, place->database))
			continue;
		any |= has_fence(place);
		memset(place, 0, sizeof(FencedDatabase));
	}
	if (any)
		du_fence_count();
	LWLockRelease(du_shared_lock());
	return any;
}

/*
 * Why writes to a database are stopped, palloc'd; NULL when they are not.
 */
char *
du_fence_reasons_of(Oid database)
{
	Fence		reasons[FENCE_REASONS + 1];
	StringInfoData text;
	int			n = 0;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	for (int i = 0; fences->nraised > 0 && i < fences->size; i++)
	{
		const FencedDatabase *place = &fences->databases[i];

		for (int reason = 0; OidIsValid(place->database) && reason < FENCE_REASONS; reason++)
		{
			const Fence *fence = &place->fences[reason];

			if (OidIsValid(fence->database) && n < lengthof(reasons) &&
				(place->database == database || fence->everywhere))
				reasons[n++] = *fence;
		}
	}
	LWLockRelease(du_shared_lock());
	if (n == 0)
		return NULL;
	initStringInfo(&text);
	for (int i = 0; i < n; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? " " : "", reasons[i].why);
	return text.data;
}
