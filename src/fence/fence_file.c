/*-------------------------------------------------------------------------
 *
 * fence_file.c
 *	  Has write fences outlive the server's memory.
 *
 * The table cutovers says which fences are to be up; but a server that starts,
 * after a crash too, takes statements before anybody has read it.  A file in
 * the data directory closes that gap: it is read where shared memory is made,
 * and what it says holds until the worker has looked.  So a file that is left
 * behind, or came along with a base backup, costs a moment, and one that is
 * missing or damaged is no reason not to start.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fence/internal.h"

#include <fcntl.h>
#include <unistd.h>

#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "storage/lock.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "processes/processes.h"

#define FENCE_FILE		"documentdb_upgrade.fence"
#define FENCE_FILE_NEW	"documentdb_upgrade.fence.tmp"
#define FILE_MAGIC		0x64754632	/* changes with the layout */

/* Those that the binary's age is the cause of are found out anew. */
#define KEPT_FENCES		(FENCE_REASONS - FENCE_MANUAL)

/* One that is kept. */
typedef struct KeptFence
{
	int			reason;
	Fence		fence;
} KeptFence;

typedef struct FileContent
{
	uint32		magic;
	uint32		nfences;
	pg_crc32c	crc;			/* of the fences */
	KeptFence	fences[FLEXIBLE_ARRAY_MEMBER];
} FileContent;

static Size
size_for(uint32 nfences)
{
	return offsetof(FileContent, fences) + nfences * sizeof(KeptFence);
}

static pg_crc32c
checksum(const FileContent *content)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, content->fences, content->nfences * sizeof(KeptFence));
	FIN_CRC32C(crc);
	return crc;
}

/* What the file says, NULL when there is no file, or none that can be used. */
static FileContent *
read_file(void)
{
	int			fd = open(FENCE_FILE, O_RDONLY | PG_BINARY);
	Size		most = size_for(KEPT_FENCES * du_fences()->size);
	FileContent *content;
	ssize_t		n;

	if (fd < 0)
	{
		if (errno != ENOENT)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not open file \"%s\": %m", FENCE_FILE)));
		return NULL;
	}
	content = palloc0(most);
	n = read(fd, content, most);
	close(fd);
	if (n >= (ssize_t) offsetof(FileContent, fences) && content->magic == FILE_MAGIC &&
		content->nfences <= KEPT_FENCES * du_fences()->size && n >= (ssize_t) size_for(content->nfences) &&
		content->crc == checksum(content))
		return content;
	ereport(LOG,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("file \"%s\" is damaged and was ignored", FENCE_FILE),
			 errdetail("The worker raises the write fences that are needed when it has looked at the database.")));
	pfree(content);
	return NULL;
}

/*
 * Puts up what the file says while shared memory is made: by the postmaster,
 * when no session is there.
 */
static void
start_fences(void *memory, LWLockPadded *locks, bool is_new)
{
	FileContent *content;

	/* A server in single-user mode is there to repair something. */
	if (!IsPostmasterEnvironment || IsUnderPostmaster || (content = read_file()) == NULL)
		return;
	for (uint32 i = 0; i < content->nfences; i++)
	{
		const KeptFence *kept = &content->fences[i];
		FencedDatabase *place = kept->reason >= FENCE_MANUAL && kept->reason < FENCE_REASONS ?
		du_fence_place_of(kept->fence.database, true) : NULL;
		Fence	   *fence;

		if (place == NULL)
			continue;
		fence = &place->fences[kept->reason];
		*fence = kept->fence;
		fence->since = GetCurrentTimestamp();
		fence->why[SHARED_TEXT_LENGTH - 1] = fence->hint[SHARED_TEXT_LENGTH - 1] = '\0';
	}
	du_fence_count();
	pfree(content);
}

/*
 * Has the file read at each start; to be called while libraries are preloaded,
 * after those of the shared memory itself.
 */
void
du_fence_file_install(void)
{
	static const SharedPart part = {"documentdb_upgrade fences", 0, 0, start_fences};

	du_shared_memory_add(&part);
}

/* A copy of what is to be kept, palloc'd. */
static FileContent *
take_fences(void)
{
	FileContent *content = palloc0(size_for(KEPT_FENCES * du_fences()->size));

	content->magic = FILE_MAGIC;
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	for (int i = 0; i < du_fences()->size; i++)
	{
		const FencedDatabase *place = &du_fences()->databases[i];

		for (int reason = FENCE_MANUAL; reason < FENCE_REASONS; reason++)
		{
			KeptFence  *kept = &content->fences[content->nfences];

			if (!OidIsValid(place->database) || !OidIsValid(place->fences[reason].database))
				continue;
			kept->reason = reason;
			kept->fence = place->fences[reason];
			kept->fence.since = 0;
			kept->fence.owner = 0;
			kept->fence.transaction = InvalidLocalTransactionId;
			content->nfences++;
		}
	}
	LWLockRelease(du_shared_lock());
	content->crc = checksum(content);
	return content;
}

/* True when something is to be kept. */
static bool
any_fence(void)
{
	bool		any = false;

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	for (int i = 0; i < du_fences()->size; i++)
	{
		const FencedDatabase *place = &du_fences()->databases[i];

		for (int reason = FENCE_MANUAL; reason < FENCE_REASONS; reason++)
			any |= OidIsValid(place->database) && OidIsValid(place->fences[reason].database);
	}
	LWLockRelease(du_shared_lock());
	return any;
}

/* False, with errno, when it was not written. */
static bool
write_new(const FileContent *content)
{
	int			fd = OpenTransientFile(FENCE_FILE_NEW, O_CREAT | O_TRUNC | O_WRONLY | PG_BINARY);
	bool		written;
	int			save_errno;

	if (fd < 0)
		return false;
	errno = 0;
	written = write(fd, content, size_for(content->nfences)) == (ssize_t) size_for(content->nfences) &&
		pg_fsync(fd) == 0;
	save_errno = errno != 0 ? errno : ENOSPC;
	if (CloseTransientFile(fd) != 0 && written)
	{
		written = false;
		save_errno = errno;
	}
	errno = save_errno;
	return written;
}

/*
 * Has the file say what is up now, fences of transactions that have not ended
 * among them.  What goes wrong is reported at that level.
 */
void
du_fence_file_write(int elevel)
{
	FileContent *content;

	LWLockAcquire(du_shared_file_lock(), LW_EXCLUSIVE);
	content = take_fences();
	if (content->nfences == 0)
	{
		if (unlink(FENCE_FILE) != 0 && errno != ENOENT)
			ereport(elevel,
					(errcode_for_file_access(),
					 errmsg("could not remove file \"%s\": %m", FENCE_FILE)));
	}
	else if (!write_new(content))
		ereport(elevel,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", FENCE_FILE_NEW)));
	else
		(void) durable_rename(FENCE_FILE_NEW, FENCE_FILE, elevel);
	LWLockRelease(du_shared_file_lock());
	pfree(content);
}

/*
 * Removes the file when nothing is up any more.  For the end of transactions,
 * so it raises nothing; a file that stays is put right by the worker.
 */
void
du_fence_file_discard(void)
{
	LWLockAcquire(du_shared_file_lock(), LW_EXCLUSIVE);
	if (!any_fence())
		(void) unlink(FENCE_FILE);
	LWLockRelease(du_shared_file_lock());
}
