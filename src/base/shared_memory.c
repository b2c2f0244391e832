/*-------------------------------------------------------------------------
 *
 * shared_memory.c
 *	  One place where the parts of this library get their shared memory.
 *
 * Each part is described by a structure that lasts as long as the library.  All
 * are asked for, and started, together and in the order in which they were added,
 * so a part may use the memory of those before it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#define MAX_PARTS 12

static const SharedPart *parts[MAX_PARTS];
static int	nparts = 0;
static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static void
request_parts(void)
{
	if (previous_request != NULL)
		previous_request();
	for (int i = 0; i < nparts; i++)
	{
		RequestAddinShmemSpace(MAXALIGN(parts[i]->size));
		if (parts[i]->nlocks > 0)
			RequestNamedLWLockTranche(parts[i]->name, parts[i]->nlocks);
	}
}

static void
start_part(const SharedPart *part)
{
	LWLockPadded *locks = part->nlocks > 0 ? GetNamedLWLockTranche(part->name) : NULL;
	void	   *memory = NULL;
	bool		found = false;

	if (part->size > 0)
	{
		LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
		memory = ShmemInitStruct(part->name, part->size, &found);
		if (!found)
			memset(memory, 0, part->size);
		LWLockRelease(AddinShmemInitLock);
	}
	part->start(memory, locks, !found);
}

static void
start_parts(void)
{
	if (previous_startup != NULL)
		previous_startup();
	for (int i = 0; i < nparts; i++)
		start_part(parts[i]);
}

/*
 * Adds a part; to be called while libraries are preloaded.
 */
void
du_shared_memory_add(const SharedPart *part)
{
	Assert(nparts < MAX_PARTS);
	if (nparts == 0)
	{
		previous_request = shmem_request_hook;
		shmem_request_hook = request_parts;
		previous_startup = shmem_startup_hook;
		shmem_startup_hook = start_parts;
	}
	parts[nparts++] = part;
}
