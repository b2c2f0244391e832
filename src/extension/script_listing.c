/*-------------------------------------------------------------------------
 *
 * script_listing.c
 *	  The scripts in a directory, listed once for each state of it.
 *
 * Facts about an extension are gathered again after each lock that was waited
 * for, and a directory of extensions has many hundred files.  So what was read
 * is kept until the directory says that it was changed: files that come, go or
 * are renamed change its times.  A directory that was changed in the last two
 * seconds is always read, because its time stamp could hide another change.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include <sys/stat.h>
#include <time.h>

#include "storage/fd.h"
#include "utils/memutils.h"

#define SETTLED_SECONDS		2

typedef struct DirectoryState
{
	dev_t		device;
	ino_t		inode;
	time_t		mtime_seconds;
	long		mtime_nanoseconds;
	time_t		ctime_seconds;	/* cannot be set back, unlike mtime */
	long		ctime_nanoseconds;
} DirectoryState;

/* The one that is kept; all extensions of a server are usually in one directory. */
static ScriptListing *kept = NULL;
static DirectoryState kept_state;

static bool
get_state(const char *directory, DirectoryState *state)
{
	struct stat st;

	if (stat(directory, &st) != 0 || !S_ISDIR(st.st_mode))
		return false;
	memset(state, 0, sizeof(*state));
	state->device = st.st_dev;
	state->inode = st.st_ino;
	state->mtime_seconds = st.st_mtim.tv_sec;
	state->mtime_nanoseconds = st.st_mtim.tv_nsec;
	state->ctime_seconds = st.st_ctim.tv_sec;
	state->ctime_nanoseconds = st.st_ctim.tv_nsec;
	return true;
}

static bool
is_settled(const DirectoryState *state)
{
	return Max(state->mtime_seconds, state->ctime_seconds) + SETTLED_SECONDS < time(NULL);
}

/* Reads a directory into memory of its own. */
static ScriptListing *
read_directory(const char *directory)
{
	MemoryContext listing_context = AllocSetContextCreate(CurrentMemoryContext, "documentdb_upgrade scripts",
														  ALLOCSET_DEFAULT_SIZES);
	MemoryContext context = MemoryContextSwitchTo(listing_context);
	ScriptListing *listing = palloc0(sizeof(ScriptListing));
	DIR		   *dir = AllocateDir(directory);
	struct dirent *entry;

	listing->context = listing_context;
	listing->directory = pstrdup(directory);
	while (dir != NULL && (entry = ReadDirExtended(dir, directory, LOG)) != NULL)
	{
		size_t		length = strlen(entry->d_name);

		if (length > 4 && strcmp(entry->d_name + length - 4, ".sql") == 0 && strstr(entry->d_name, "--") != NULL)
			listing->files = lappend(listing->files, pstrdup(entry->d_name));
	}
	if (dir != NULL)
		FreeDir(dir);
	MemoryContextSwitchTo(context);
	return listing;
}

/*
 * The scripts in a directory as it is now.  What others add to the listing, in
 * its context, holds for the same state; it lasts at least as long as the current
 * memory context, or until the next call.
 */
ScriptListing *
du_script_listing(const char *directory)
{
	DirectoryState state;
	ScriptListing *listing;
	bool		known = get_state(directory, &state);

	if (known && kept != NULL && strcmp(kept->directory, directory) == 0 &&
		memcmp(&kept_state, &state, sizeof(state)) == 0)
		return kept;
	listing = read_directory(directory);
	if (known && is_settled(&state))
	{
		if (kept != NULL)
			MemoryContextDelete(kept->context);
		MemoryContextSetParent(listing->context, TopMemoryContext);
		kept = listing;
		kept_state = state;
	}
	return listing;
}

/*
 * Base names of the extension's scripts, without the extension's name and
 * without ".sql": "1.0" for an install script, "1.0--1.1" for an update
 * script.  In no particular order, palloc'd.
 */
List *
du_script_names(const ControlFile *control, const char *extension)
{
	List	   *names = NIL;
	size_t		prefix = strlen(extension);
	ListCell   *lc;

	if (control->directory == NULL)
		return NIL;
	foreach(lc, du_script_listing(control->directory)->files)
	{
		const char *file = lfirst(lc);
		size_t		length = strlen(file);

		if (length > prefix + 6 && strncmp(file, extension, prefix) == 0 &&
			strncmp(file + prefix, "--", 2) == 0)
			names = lappend(names, pnstrdup(file + prefix + 2, length - prefix - 6));
	}
	return names;
}
