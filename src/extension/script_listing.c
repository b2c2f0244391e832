/*-------------------------------------------------------------------------
 *
 * script_listing.c
 *	  The scripts in a directory, listed once for each state of it.
 *
 * Facts about an extension are gathered again after each lock that was waited
 * for, and by every session, and a directory of extensions has many hundred
 * files.  So what was read is kept, here and for other processes, until the
 * directory says that it was changed: files that come, go or are renamed change
 * its times.  A directory that was changed in the last two seconds is always
 * read, because its time stamp could hide another change.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include <sys/stat.h>
#include <time.h>

#include "storage/fd.h"
#include "utils/memutils.h"

#include "base/base.h"

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

/* Adds the names of the scripts in a directory to the listing. */
static void
read_directory(ScriptListing *listing)
{
	const char *directory = listing->directory;
	DIR		   *dir = AllocateDir(directory);
	struct dirent *entry;

	while (dir != NULL && (entry = ReadDirExtended(dir, directory, LOG)) != NULL)
	{
		size_t		length = strlen(entry->d_name);

		if (length > 4 && strcmp(entry->d_name + length - 4, ".sql") == 0 && strstr(entry->d_name, "--") != NULL)
			listing->files = lappend(listing->files, pstrdup(entry->d_name));
	}
	if (dir != NULL)
		FreeDir(dir);
}

/* The same of what some process has read in this state; false when none has. */
static bool
recall_directory(ScriptListing *listing)
{
	StringInfoData key;
	size_t		length;
	const char *value;
	const char *end;

	du_cache_key(&key, "scripts of a directory");
	du_script_listing_depend(&key, listing);
	value = du_cache_find(&key, &length);
	if (value == NULL)
		return false;
	for (end = value + length; value < end; value += strlen(value) + 1)
		listing->files = lappend(listing->files, unconstify(char *, value));
	return true;
}

static void
keep_directory(const ScriptListing *listing)
{
	StringInfoData key;
	StringInfoData value;
	ListCell   *lc;

	du_cache_key(&key, "scripts of a directory");
	du_script_listing_depend(&key, listing);
	initStringInfo(&value);
	foreach(lc, listing->files)
		appendBinaryStringInfo(&value, lfirst(lc), strlen(lfirst(lc)) + 1);
	du_cache_keep(&key, value.data, value.len);
	pfree(value.data);
}

/* A listing in memory of its own; state is NULL where it cannot be kept. */
static ScriptListing *
make_listing(const char *directory, const DirectoryState *state)
{
	MemoryContext listing_context = AllocSetContextCreate(CurrentMemoryContext, "documentdb_upgrade scripts",
														  ALLOCSET_DEFAULT_SIZES);
	MemoryContext context = MemoryContextSwitchTo(listing_context);
	ScriptListing *listing = palloc0(sizeof(ScriptListing));

	listing->context = listing_context;
	listing->directory = pstrdup(directory);
	if (state != NULL)
	{
		listing->state = memcpy(palloc(sizeof(DirectoryState)), state, sizeof(DirectoryState));
		if (!recall_directory(listing))
		{
			read_directory(listing);
			keep_directory(listing);
		}
	}
	else
		read_directory(listing);
	MemoryContextSwitchTo(context);
	return listing;
}

/*
 * Adds to the key of a cached value that it depends on the names in this
 * directory.  The listing must have a state.
 */
void
du_script_listing_depend(StringInfo key, const ScriptListing *listing)
{
	appendBinaryStringInfo(key, listing->state, sizeof(DirectoryState));
	appendBinaryStringInfo(key, listing->directory, strlen(listing->directory) + 1);
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
	bool		settled = known && is_settled(&state);

	if (known && kept != NULL && strcmp(kept->directory, directory) == 0 &&
		memcmp(kept->state, &state, sizeof(state)) == 0)
		return kept;
	listing = make_listing(directory, settled ? &state : NULL);
	if (settled)
	{
		if (kept != NULL)
			MemoryContextDelete(kept->context);
		MemoryContextSetParent(listing->context, TopMemoryContext);
		kept = listing;
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
