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
#define FILE_MAGIC		0x64754631	/* changes with the layout */

/* Those that the binary's age is the cause of are found out anew. */
#define KEPT_FENCES		(FENCE_REASONS - FENCE_MANUAL)

typedef struct FileContent
{
	uint32		magic;
	uint32		size;
	Fence		fences[KEPT_FENCES];
	pg_crc32c	crc;			/* of all before it */
} FileContent;

static pg_crc32c
checksum(const FileContent *content)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, content, offsetof(FileContent, crc));
	FIN_CRC32C(crc);
	return crc;
}

/* False when there is no file, or none that can be used. */
static bool
read_file(FileContent *content)
{
	int			fd = open(FENCE_FILE, O_RDONLY | PG_BINARY);
	ssize_t		n;

	if (fd < 0)
	{
		if (errno != ENOENT)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not open file \"%s\": %m", FENCE_FILE)));
		return false;
	}
	n = read(fd, content, sizeof(FileContent));
	close(fd);
	if (n == sizeof(FileContent) && content->magic == FILE_MAGIC &&
		content->size == sizeof(FileContent) && content->crc == checksum(content))
		return true;
	ereport(LOG,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("file \"%s\" is damaged and was ignored", FENCE_FILE),
			 errdetail("The worker raises the write fences that are needed when it has looked at the database.")));
	return false;
}

/*
 * Puts up what the file says while shared memory is made: by the postmaster,
 * when no session is there.
 */
static void
start_fences(void *memory, LWLockPadded *locks, bool is_new)
{
	Fences	   *fences;
	FileContent content;

	/* A server in single-user mode is there to repair something. */
	if (!IsPostmasterEnvironment || IsUnderPostmaster || !read_file(&content))
		return;
	fences = du_fences();
	for (int i = 0; i < KEPT_FENCES; i++)
	{
		Fence	   *fence = &fences->fences[FENCE_MANUAL + i];

		*fence = content.fences[i];
		fence->since = GetCurrentTimestamp();
		fence->why[SHARED_TEXT_LENGTH - 1] = fence->hint[SHARED_TEXT_LENGTH - 1] = '\0';
		if (OidIsValid(fence->database))
			fences->nraised++;
	}
	fences->changes++;
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

/* Copies what is to be kept; false when that is nothing. */
static bool
take_fences(FileContent *content)
{
	bool		any = false;

	memset(content, 0, sizeof(FileContent));
	content->magic = FILE_MAGIC;
	content->size = sizeof(FileContent);
	for (int i = 0; i < KEPT_FENCES; i++)
	{
		Fence	   *fence = &content->fences[i];

		*fence = du_fence_read(FENCE_MANUAL + i);
		fence->since = 0;
		fence->owner = 0;
		fence->transaction = InvalidLocalTransactionId;
		any |= OidIsValid(fence->database);
	}
	content->crc = checksum(content);
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
	written = write(fd, content, sizeof(FileContent)) == sizeof(FileContent) &&
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
	FileContent content;

	LWLockAcquire(du_shared_file_lock(), LW_EXCLUSIVE);
	if (!take_fences(&content))
	{
		if (unlink(FENCE_FILE) != 0 && errno != ENOENT)
			ereport(elevel,
					(errcode_for_file_access(),
					 errmsg("could not remove file \"%s\": %m", FENCE_FILE)));
	}
	else if (!write_new(&content))
		ereport(elevel,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", FENCE_FILE_NEW)));
	else
		(void) durable_rename(FENCE_FILE_NEW, FENCE_FILE, elevel);
	LWLockRelease(du_shared_file_lock());
}

/*
 * Removes the file when nothing is up any more.  For the end of transactions,
 * so it raises nothing; a file that stays is put right by the worker.
 */
void
du_fence_file_discard(void)
{
	FileContent content;

	LWLockAcquire(du_shared_file_lock(), LW_EXCLUSIVE);
	if (!take_fences(&content))
		(void) unlink(FENCE_FILE);
	LWLockRelease(du_shared_file_lock());
}
