/*-------------------------------------------------------------------------
 *
 * shared_status.c
 *	  What the worker lets every session see, and what sessions ask of it.
 *
 * One piece of shared memory, there only when the library is preloaded.  All
 * values are of fixed size; readers copy under a shared lock, writers
 * replace under an exclusive one, and a condition variable announces each
 * change, so nobody needs to poll.  Nothing here survives a restart of the
 * server: what must is in tables, the rest is found out again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "mb/pg_wchar.h"

#include "base/base.h"

typedef struct SharedStatus
{
	LWLock	   *lock;
	LWLock	   *file_lock;
	ConditionVariable changed;
	LauncherFacts launcher;
	union
	{
		char		bytes[SHARED_ROOM_SIZE];
		int64		alignment;
	}			rooms[SHARED_ROOMS];
} SharedStatus;

static SharedStatus *shared = NULL;

static void
start_memory(void *memory, LWLockPadded *locks, bool is_new)
{
	shared = memory;
	if (!is_new)
		return;
	shared->lock = &locks[0].lock;
	shared->file_lock = &locks[1].lock;
	ConditionVariableInit(&shared->changed);
}

/*
 * Copies a text into a field of SHARED_TEXT_LENGTH bytes.  One that is too
 * long loses whole characters: what people are shown must stay text.
 */
void
du_shared_copy_text(char *field, const char *text)
{
	int			length = pg_mbcliplen(text, strnlen(text, SHARED_TEXT_LENGTH), SHARED_TEXT_LENGTH - 1);

	memcpy(field, text, length);
	field[length] = '\0';
}

/*
 * Asks for the memory; to be called while libraries are preloaded.
 */
void
du_shared_install(void)
{
	static const SharedPart part = {"documentdb_upgrade", sizeof(SharedStatus), 2, start_memory};

	du_shared_memory_add(&part);
}

/*
 * False in a server that has not preloaded this library.
 */
bool
du_shared_exists(void)
{
	return shared != NULL;
}

/* The lock over all of it; the memory must exist, as in all that follows. */
LWLock *
du_shared_lock(void)
{
	return shared->lock;
}

/* The lock over files that are made of it; to be had before the other one. */
LWLock *
du_shared_file_lock(void)
{
	return shared->file_lock;
}

/* SHARED_ROOM_SIZE bytes under du_shared_lock(). */
void *
du_shared_room(SharedRoom room)
{
	return shared->rooms[room].bytes;
}

/*
 * Broadcast after each change.
 */
ConditionVariable *
du_shared_changed(void)
{
	return &shared->changed;
}

void
du_shared_set_launcher(const LauncherFacts *facts)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher = *facts;
	LWLockRelease(shared->lock);
	ConditionVariableBroadcast(&shared->changed);
}

void
du_shared_read_launcher(LauncherFacts *facts)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	*facts = shared->launcher;
	LWLockRelease(shared->lock);
}
