/*-------------------------------------------------------------------------
 *
 * source_file.c
 *	  The desired version from a file: a custom resource in JSON, or a bare
 *	  version.
 *
 * The file is opened anew by its path each time, so a symbolic link that is
 * swapped, as mounted ConfigMaps do it, is followed.  It is read at each
 * poll_interval: that is cheap, and the times of a file tell less than its
 * content.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/source/source.h"

#include <ctype.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "worker/net/net.h"

#define LARGEST_FILE (1024 * 1024)
#define LONGEST_VERSION 63

typedef struct FileSource
{
	MemoryContext context;		/* of the state's texts */
	ClockMs		next_read;
	char	   *content;		/* last read, in context */
	size_t		length;			/* of that */
} FileSource;

/*
 * The content of the file, palloc'd and terminated; NULL with errno when it
 * cannot be read.  One byte more than the largest is read at the most.
 */
static char *
read_content(const char *path, size_t *length)
{
	char	   *content = palloc(LARGEST_FILE + 2);
	int			fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | PG_BINARY);
	ssize_t		n = 0;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
	{
		CloseTransientFile(fd);
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		return NULL;
	}
	*length = 0;
	while (*length <= LARGEST_FILE &&
		   (n = read(fd, content + *length, LARGEST_FILE + 1 - *length)) > 0)
		*length += n;
	if (n < 0)
	{
		int			save_errno = errno;

		CloseTransientFile(fd);
		errno = save_errno;
		return NULL;
	}
	CloseTransientFile(fd);
	content[*length] = '\0';
	return content;
}

/*
 * A bare version without the white space around it; NULL when it is none.
 */
static char *
bare_version(const char *content)
{
	const char *end = content + strlen(content);

	while (isspace((unsigned char) *content))
		content++;
	while (end > content && isspace((unsigned char) end[-1]))
		end--;
	if (end - content > LONGEST_VERSION)
		return NULL;
	for (const char *p = content; p < end; p++)
	{
		if (!isgraph((unsigned char) *p))
			return NULL;
	}
	return pnstrdup(content, end - content);
}

static void
fail(DesiredState *state, SourceHealth health, char *problem, const char *hint)
{
	state->health = health;
	state->problem = problem;
	state->hint = hint;
}

/* Takes the content: what it says, or what is wrong with it. */
static void
interpret(DesiredState *state, const char *content, size_t length)
{
	const char *reason = NULL;
	const char *first = content + strspn(content, " \t\r\n");

	if (length > LARGEST_FILE)
	{
		fail(state, SOURCE_INVALID, psprintf("File \"%s\" is larger than 1 MB.", du_guc_desired_file),
			 "It should hold a custom resource in JSON, or a version.");
		return;
	}
	if (*first == '{')
	{
		CustomResource *resource = du_resource_parse(content, length, &reason);

		if (resource == NULL)
		{
			fail(state, SOURCE_INVALID,
				 psprintf("File \"%s\" holds no custom resource: %s.", du_guc_desired_file, reason),
				 "Correct the file; until then nothing runs.");
			return;
		}
		state->resource = resource;
		state->version = resource->schema_version;
	}
	else
	{
		const char *version = strlen(content) == length ? bare_version(content) : NULL;

		if (version == NULL)
		{
			fail(state, SOURCE_INVALID,
				 psprintf("File \"%s\" holds neither a custom resource in JSON nor a version.", du_guc_desired_file),
				 "Correct the file; until then nothing runs.");
			return;
		}
		state->version = version;
	}
	state->health = SOURCE_OK;
}

/*
 * Takes what was read into the state, whose texts are made anew; the version
 * known before is kept where there is no other.
 */
static void
take(DesiredSource *source, const char *content, size_t length, int error)
{
	FileSource *file = source->data;
	MemoryContext previous = file->context;
	MemoryContext caller;
	DesiredState state = {0};

	file->context = AllocSetContextCreate(TopMemoryContext, "documentdb_upgrade file source",
										  ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(file->context);
	state.location = psprintf("file \"%s\"", du_guc_desired_file);
	state.hold_hint = psprintf("When its reason is gone, remove annotation %s from the resource in %s.", HOLD_ANNOTATION,
							   state.location);
	state.last_contact = source->state.last_contact;
	state.contact = source->state.contact;
	if (content != NULL)
	{
		/* There may be zeros in it. */
		file->content = memcpy(palloc(length), content, length);
		file->length = length;
		du_source_note_contact(&state);
		interpret(&state, content, length);
	}
	else
	{
		file->content = NULL;
		errno = error;
		fail(&state, error == ENOENT ? SOURCE_MISSING : SOURCE_UNREACHABLE,
			 psprintf("File \"%s\" cannot be read: %m.", du_guc_desired_file),
			 du_guc_desired_file[0] ? "Create it, or set documentdb_upgrade.desired_file." :
			 "Set documentdb_upgrade.desired_file.");
	}
	if (state.version == NULL && source->state.version != NULL)
		state.version = pstrdup(source->state.version);
	MemoryContextSwitchTo(caller);

	source->state = state;
	if (previous != NULL)
		MemoryContextDelete(previous);
}

static bool
advance(DesiredSource *source)
{
	FileSource *file = source->data;
	DesiredState *state = &source->state;
	SourceHealth before = state->health;
	bool		was_refreshing = state->refreshing;
	size_t		length = 0;
	char	   *content;

	if (!was_refreshing && du_clock_ms() < file->next_read)
		return false;
	file->next_read = du_clock_ms() + du_guc_poll_interval;

	content = read_content(du_guc_desired_file, &length);
	if (content != NULL && file->content != NULL && length == file->length &&
		memcmp(content, file->content, length) == 0)
	{
		state->refreshing = false;
		du_source_note_contact(state);
		return was_refreshing;
	}
	take(source, content, length, errno);
	return was_refreshing || content != NULL || state->health != before;
}

static void
refresh(DesiredSource *source)
{
	source->state.refreshing = true;
}

static void
add_waits(DesiredSource *source, WaitList *list)
{
	FileSource *file = source->data;

	if (source->state.refreshing)
		du_wait_at_most(list, 0);
	else
		du_wait_at_most(list, du_clock_left(file->next_read));
}

static void
reload(DesiredSource *source)
{
	FileSource *file = source->data;

	/* It may be another file now: take it anew, whatever it holds. */
	file->next_read = 0;
	file->content = NULL;
}

static void
close_source(DesiredSource *source)
{
	FileSource *file = source->data;

	if (file->context != NULL)
		MemoryContextDelete(file->context);
	pfree(file);
	pfree(source);
}

/*
 * A source in TopMemoryContext.
 */
DesiredSource *
du_source_file_open(void)
{
	DesiredSource *source = MemoryContextAllocZero(TopMemoryContext, sizeof(DesiredSource));

	source->data = MemoryContextAllocZero(TopMemoryContext, sizeof(FileSource));
	source->name = "file";
	source->advance = advance;
	source->refresh = refresh;
	source->add_waits = add_waits;
	source->reload = reload;
	source->close = close_source;
	return source;
}
