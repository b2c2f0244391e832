/*-------------------------------------------------------------------------
 *
 * build_id.c
 *	  Build-ids of libraries in memory and on disk.
 *
 * A linker gives each shared object a note that identifies its content, and
 * loads it with the code.  So what a process has in memory can be compared
 * with a file even when nobody looked at the file in time.  Objects without
 * such a note, and systems other than Linux, have none: the answer is then
 * "not known", never an error.
 *
 * The note of a file that was overwritten in place reads as the new one in
 * memory too, where the page was not touched before.  For libraries that are
 * loaded at server start library_record.c does better.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#ifdef __linux__
#include <elf.h>
#include <link.h>
#endif

#include "storage/fd.h"

#ifdef __linux__

#define NOTES_READ	4096		/* of a file's segment of notes */

#define ObjectHeader ElfW(Ehdr)
#define SegmentHeader ElfW(Phdr)
#define NoteHeader ElfW(Nhdr)

/*
 * Looks for the build-id in a segment of notes; false when it has none.
 */
static bool
find_in_notes(const char *notes, size_t size, size_t align, BuildId *id)
{
	static const char digits[] = "0123456789abcdef";
	size_t		at = 0;

	if (align != 8)
		align = 4;
	while (at + sizeof(NoteHeader) <= size)
	{
		NoteHeader	note;
		size_t		name;
		size_t		content;

		memcpy(&note, notes + at, sizeof(note));
		name = at + sizeof(note);
		if (note.n_namesz > size - name)
			return false;
		content = TYPEALIGN(align, name + note.n_namesz);
		if (content > size || note.n_descsz > size - content)
			return false;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
			memcmp(notes + name, "GNU", 4) == 0 && note.n_descsz > 0)
		{
			size_t		length = Min(note.n_descsz, DU_BUILD_ID_LENGTH / 2);

			for (size_t i = 0; i < length; i++)
			{
				unsigned char byte = notes[content + i];

				id->hex[2 * i] = digits[byte >> 4];
				id->hex[2 * i + 1] = digits[byte & 0x0f];
			}
			id->hex[2 * length] = '\0';
			return true;
		}
		at = TYPEALIGN(align, content + note.n_descsz);
	}
	return false;
}

typedef struct Search
{
	MappedVisitor visitor;		/* of all objects, or NULL: */
	void	   *arg;
	const char *path;			/* of the one that is looked for */
	BuildId    *id;
	bool		found;
} Search;

static int
visit_object(struct dl_phdr_info *object, size_t size, void *arg)
{
	Search	   *search = arg;

	if (object->dlpi_name == NULL || object->dlpi_name[0] == '\0')
		return 0;
	if (search->visitor != NULL)
	{
		search->visitor(object->dlpi_name, search->arg);
		return 0;
	}
	if (strcmp(object->dlpi_name, search->path) != 0)
		return 0;

	search->found = true;
	for (int i = 0; i < object->dlpi_phnum; i++)
	{
		const		SegmentHeader *segment = &object->dlpi_phdr[i];

		if (segment->p_type == PT_NOTE &&
			find_in_notes((const char *) object->dlpi_addr + segment->p_vaddr,
						  segment->p_memsz, segment->p_align, search->id))
			break;
	}
	return 1;
}

/* Reads a piece of a file; false when there is less of it. */
static bool
read_at(FILE *file, uint64 offset, void *bytes, size_t length)
{
	return fseeko(file, (off_t) offset, SEEK_SET) == 0 &&
		fread(bytes, 1, length, file) == length;
}

/*
 * Looks for the build-id of an open file; false when it is no object of this
 * machine's kind.
 */
static bool
read_object(FILE *file, BuildId *id)
{
	ObjectHeader header;
	char		notes[NOTES_READ];

	if (!read_at(file, 0, &header, sizeof(header)) ||
		memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
		header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
		header.e_phentsize != sizeof(SegmentHeader))
		return false;
	for (int i = 0; i < header.e_phnum; i++)
	{
		SegmentHeader segment;
		size_t		size;

		if (!read_at(file, header.e_phoff + i * sizeof(segment), &segment, sizeof(segment)))
			return false;
		if (segment.p_type != PT_NOTE)
			continue;
		size = Min(segment.p_filesz, sizeof(notes));
		if (!read_at(file, segment.p_offset, notes, size))
			return false;
		if (find_in_notes(notes, size, segment.p_align, id))
			return true;
	}
	return true;
}

#endif							/* __linux__ */

/*
 * Calls the visitor for each object that this process has in memory, by the
 * path under which it was loaded.
 */
void
du_build_id_visit(MappedVisitor visitor, void *arg)
{
#ifdef __linux__
	Search		search = {visitor, arg};

	(void) dl_iterate_phdr(visit_object, &search);
#endif
}

/*
 * True when this process is known to have loaded the library of this path;
 * then id is that of what it has in memory, "" when that has none.
 */
bool
du_build_id_mapped(const char *path, BuildId *id)
{
	id->hex[0] = '\0';
#ifdef __linux__
	{
		Search		search = {.path = path,.id = id};

		(void) dl_iterate_phdr(visit_object, &search);
		return search.found;
	}
#else
	return false;
#endif
}

/*
 * The build-id of a file, "" when it has none.  False when the file cannot be
 * read as a library.
 */
bool
du_build_id_file(const char *path, BuildId *id)
{
	bool		result = false;

	id->hex[0] = '\0';
#ifdef __linux__
	{
		FILE	   *file = AllocateFile(path, PG_BINARY_R);

		if (file != NULL)
		{
			result = read_object(file, id);
			FreeFile(file);
		}
	}
#endif
	return result;
}
