/*-------------------------------------------------------------------------
 *
 * library_record.c
 *	  Which libraries the server loaded when it started.
 *
 * The postmaster digests the file of each preloaded library right after it
 * has loaded them all, when the file still is what went into memory.  The
 * record lies in the postmaster's own memory, as the libraries themselves do,
 * and comes to every process by the same fork; so it cannot disagree with
 * what that process has loaded, and a crash restart, after which the old
 * libraries are still there, leaves it alone.  Shared memory would be made
 * anew then.  (Where processes are not forked, EXEC_BACKEND, each loads the
 * libraries itself and nothing is recorded.)
 *
 * A library that cannot be recorded is one of which less is known: nothing
 * here stops the server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/varlena.h"

#include "base/base.h"

#define MAX_RECORDS 64			/* of the others less is known */

static LibraryRecord records[MAX_RECORDS];
static int	nrecords = 0;
static bool recorded = false;

static void
add_record(const char *path)
{
	if (nrecords == MAX_RECORDS || strlen(path) >= MAXPGPATH ||
		du_record_find(path) != NULL)
		return;
	strlcpy(records[nrecords].path, path, MAXPGPATH);
	nrecords++;
}

/*
 * The entries of shared_preload_libraries.
 */
static List *
preload_entries(void)
{
	List	   *entries;

	if (shared_preload_libraries_string == NULL ||
		!SplitDirectoriesString(pstrdup(shared_preload_libraries_string), ',', &entries))
		return NIL;
	return entries;
}

/* True when both lie in the same directory. */
static bool
are_neighbours(const char *a, const char *b)
{
	const char *end_a = strrchr(a, '/');
	const char *end_b = strrchr(b, '/');

	return end_a != NULL && end_b != NULL && end_a - a == end_b - b &&
		strncmp(a, b, end_a - a) == 0;
}

/*
 * Adds a library that a preloaded one has loaded in its turn: such a one lies
 * beside a preloaded one.  The system's own libraries do not matter.
 */
static void
add_neighbour(const char *path, void *arg)
{
	int			nnamed = *(int *) arg;

	for (int i = 0; i < nnamed; i++)
	{
		if (are_neighbours(records[i].path, path))
		{
			add_record(path);
			return;
		}
	}
}

/*
 * Digests the file of a record, if it still is the library in memory.
 */
static void
digest_record(LibraryRecord *record)
{
	BuildId		mapped;
	BuildId		on_disk;
	const char *sha256;

	sha256 = du_digest_file(record->path);
	if (sha256 == NULL)
		return;
	if (du_build_id_mapped(record->path, &mapped) &&
		du_build_id_file(record->path, &on_disk) &&
		strcmp(mapped.hex, on_disk.hex) != 0)
		return;
	strlcpy(record->sha256, sha256, sizeof(record->sha256));
}

static void
record_libraries(void)
{
	ListCell   *lc;
	int			nnamed;

	foreach(lc, preload_entries())
	{
		char	   *path = du_control_library_path(lfirst(lc));

		if (path != NULL)
			add_record(path);
	}
	nnamed = nrecords;
	du_build_id_visit(add_neighbour, &nnamed);
	for (int i = 0; i < nrecords; i++)
		digest_record(&records[i]);
}

/*
 * Records with a resource owner, which digests need and the postmaster does
 * not have, and with every error caught.
 */
static void
record_safely(void)
{
	ResourceOwner outer_owner = CurrentResourceOwner;
	MemoryContext outer_context = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(outer_context,
												  "documentdb_upgrade library record",
												  ALLOCSET_DEFAULT_SIZES);
	ResourceOwner owner = ResourceOwnerCreate(NULL, "documentdb_upgrade library record");
	volatile bool failed = false;

	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		record_libraries();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EmitErrorReport();
		FlushErrorState();
		failed = true;
	}
	PG_END_TRY();

	MemoryContextSwitchTo(outer_context);
	CurrentResourceOwner = outer_owner;
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, !failed, true);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, !failed, true);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, !failed, true);
	ResourceOwnerDelete(owner);
	MemoryContextDelete(context);
}

static void
start_record(void *memory, LWLockPadded *locks, bool is_new)
{
#ifndef EXEC_BACKEND
	if (!recorded)
		record_safely();
	recorded = true;
#endif
}

/*
 * Has the libraries recorded when all are loaded; to be called while they are
 * preloaded.  It is done when shared memory is made, which is after that.
 */
void
du_record_install(void)
{
	static const SharedPart part = {"documentdb_upgrade library record", 0, 0, start_record};

	du_shared_memory_add(&part);
}

/*
 * What is known of a library that was loaded at server start, NULL when
 * nothing is.
 */
const LibraryRecord *
du_record_find(const char *path)
{
	for (int i = 0; i < nrecords; i++)
	{
		if (strcmp(records[i].path, path) == 0)
			return &records[i];
	}
	return NULL;
}

/*
 * True when every process has this library from the start, so that only a
 * restart of the server loads another.
 */
bool
du_record_preloaded(const char *path)
{
	ListCell   *lc;

	if (du_record_find(path) != NULL)
		return true;
	foreach(lc, preload_entries())
	{
		ListCell   *lc2;

		foreach(lc2, du_control_library_candidates(lfirst(lc)))
		{
			if (strcmp(lfirst(lc2), path) == 0)
				return true;
		}
	}
	return false;
}
