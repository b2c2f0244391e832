/*-------------------------------------------------------------------------
 *
 * library_facts.c
 *	  Whether the libraries in memory are those on disk.
 *
 * New files of an extension do not reach a server that runs: what was
 * preloaded stays in memory until the restart, and what a session has loaded
 * until its end.  An update then half-succeeds, or succeeds with code that was
 * not made for it.  So the file of each library is compared by content with
 * what was digested at server start (library_record.c), or else by build-id
 * with what this process has in memory.  A library that is not in memory
 * cannot be stale.  Neither inodes nor time stamps decide anything: they
 * differ for equal files and agree for different ones.
 *
 * Where the library in memory is the file, the version that it reports must
 * be that of the control file: no restart cures files of two releases.
 *
 * A library that functions name and that has no file is told apart: an update
 * may be what cures it, or may have forgotten them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include <sys/stat.h>

#include "lib/stringinfo.h"
#include "utils/regproc.h"

#include "base/base.h"

#define NAMED_FUNCTIONS 3		/* of a library that has gone */

/*
 * The state as SQL shows it.
 */
const char *
du_library_state_name(LibraryState state)
{
	switch (state)
	{
		case LIBRARY_NONE:
			return "none";
		case LIBRARY_CURRENT:
			return "current";
		case LIBRARY_UNKNOWN:
			return "unknown";
		case LIBRARY_STALE:
			return "stale";
	}
	elog(ERROR, "unrecognized state of libraries: %d", (int) state);
}

static LibraryFacts
facts_of(LibraryState state, const char *detail, const char *hint)
{
	LibraryFacts facts = {state, detail, hint};

	return facts;
}

static LibraryFacts
unknown(const ExtensionFacts *extension, const char *path, const char *reason)
{
	return facts_of(LIBRARY_UNKNOWN,
					psprintf("Whether library \"%s\" of extension \"%s\" is in memory as it is on disk cannot be found out: %s.",
							 path, extension->name, reason),
					"Restart PostgreSQL if its file was replaced after the server had started.");
}

/* What is wrong with a library of which this session has another. */
static LibraryFacts
replaced(const ExtensionFacts *extension, const char *path)
{
	if (du_record_preloaded(path))
		return facts_of(LIBRARY_STALE,
						psprintf("The file of library \"%s\" of extension \"%s\" has been replaced, and this server still has the old library in memory.",
								 path, extension->name),
						"Restart PostgreSQL to load the new library.");
	return facts_of(LIBRARY_STALE,
					psprintf("The file of library \"%s\" of extension \"%s\" has been replaced since this session loaded it.",
							 path, extension->name),
					"Open a new session, which loads the new library.");
}

/* True when this process has this library in memory. */
static bool
is_in_memory(const char *path)
{
	BuildId		ignored;

	return du_record_find(path) != NULL || du_build_id_mapped(path, &ignored);
}

/*
 * Compares one library in memory with its file.
 */
static LibraryFacts
compare_library(const ExtensionFacts *extension, const char *path)
{
	const LibraryRecord *record = du_record_find(path);
	BuildId		mapped;
	BuildId		on_disk;

	if (record != NULL && record->sha256[0] != '\0')
	{
		const char *sha256 = du_digest_file(path);

		if (sha256 == NULL)
			return unknown(extension, path, "the file cannot be read");
		if (strcmp(sha256, record->sha256) != 0)
			return replaced(extension, path);
	}
	else if (is_in_memory(path))
	{
		if (!du_build_id_mapped(path, &mapped) || mapped.hex[0] == '\0')
			return unknown(extension, path, "it was not recorded at server start and has no build-id");
		if (!du_build_id_file(path, &on_disk))
			return unknown(extension, path, "the file cannot be read as a library");
		if (strcmp(mapped.hex, on_disk.hex) != 0)
			return replaced(extension, path);
	}
	return facts_of(LIBRARY_CURRENT, NULL, NULL);
}

/*
 * The same for a library as the extension spells it.  One without a file is
 * a matter of this module only when it is in memory.
 */
static LibraryFacts
compare_name(const ExtensionFacts *extension, const char *name)
{
	char	   *path = du_control_library_path(name);
	ListCell   *lc;

	if (path != NULL)
		return compare_library(extension, path);
	foreach(lc, du_control_library_candidates(name))
	{
		struct stat st;

		if (!is_in_memory(lfirst(lc)))
			continue;
		if (stat(lfirst(lc), &st) == 0 || (errno != ENOENT && errno != ENOTDIR))
			return unknown(extension, lfirst(lc), "the file cannot be reached");
		return facts_of(LIBRARY_STALE,
						psprintf("Library \"%s\" of extension \"%s\" is in memory and its file has gone.",
								 (char *) lfirst(lc), extension->name),
						"Put the extension's files in place, then restart PostgreSQL.");
	}
	return facts_of(LIBRARY_NONE, NULL, NULL);
}

/* The worst of an extension's libraries. */
static LibraryFacts
compare_extension(const ExtensionFacts *extension)
{
	LibraryFacts worst = {LIBRARY_NONE};
	ListCell   *lc;

	foreach(lc, du_members_library_names(extension))
	{
		LibraryFacts facts = compare_name(extension, lfirst(lc));

		if (facts.state > worst.state)
			worst = facts;
	}
	return worst;
}

/* That calls of these functions fail, because a library has no file. */
static void
append_missing(StringInfo buf, const ExtensionFacts *extension, const char *library, List *functions)
{
	List	   *candidates = du_control_library_candidates(library);
	int			n = list_length(functions);

	appendStringInfo(buf, "%sLibrary \"%s\" of extension \"%s\" has no file on this instance", buf->len > 0 ? " " : "",
					 library, extension->name);
	if (candidates != NIL)
		appendStringInfo(buf, " (\"%s\")", (char *) linitial(candidates));
	appendStringInfo(buf, ", and calls of %s of it fail: ",
					 du_count_words(n, "function", "functions"));
	for (int i = 0; i < Min(n, NAMED_FUNCTIONS); i++)
		appendStringInfo(buf, "%s%s", i > 0 ? ", " : "",
						 format_procedure_qualified(list_nth_oid(functions, i)));
	if (n > NAMED_FUNCTIONS)
		appendStringInfo(buf, " and %d more", n - NAMED_FUNCTIONS);
	appendStringInfoChar(buf, '.');
}

/* Sentences about an extension's functions that cannot be called. */
static void
find_missing(StringInfo buf, const ExtensionFacts *extension)
{
	ListCell   *lc;

	foreach(lc, du_members_library_names(extension))
	{
		List	   *functions;

		if (du_control_library_path(lfirst(lc)) != NULL)
			continue;
		functions = du_members_functions_in(extension, lfirst(lc));
		if (functions != NIL)
			append_missing(buf, extension, lfirst(lc), functions);
	}
}

/*
 * True when what the version function reports can be held against the control
 * file: it is in a preloaded library, which every process has, and the control
 * file stands for that library and not for the next one of another name.
 */
bool
du_library_reports(const ExtensionFacts *extension, Oid function)
{
	const char *spelled = du_members_library_of(function);
	const char *path;
	const char *announced;

	if (spelled == NULL || extension->control->module_pathname == NULL)
		return false;
	path = du_control_library_path(spelled);
	announced = du_control_library_path(extension->control->module_pathname);
	return path != NULL && announced != NULL && strcmp(path, announced) == 0 &&
		du_record_preloaded(path);
}

/*
 * Compares the version that the library in memory reports with the one of the
 * control file.
 */
static LibraryFacts
compare_versions(const ExtensionFacts *extension, LibraryFacts compared)
{
	Oid			function = du_loaded_version_function(extension);
	ErrorData  *problem;
	const char *loaded;
	ExtensionVersion a;
	ExtensionVersion b;
	const char *reason;

	if (!OidIsValid(function) || !du_library_reports(extension, function))
		return compared;
	loaded = du_loaded_version_ask(extension, function, &problem);
	if (problem != NULL)
		return facts_of(LIBRARY_UNKNOWN,
						psprintf("The library of extension \"%s\" does not tell its version: %s.",
								 extension->name, problem->message),
						"Restart PostgreSQL if the extension's files were replaced after the server had started.");
	if (loaded != NULL && !du_version_parse(loaded, &a, &reason) && compared.state < LIBRARY_UNKNOWN)
		return facts_of(LIBRARY_UNKNOWN,
						psprintf("The library of extension \"%s\" in memory reports version \"%s\", which cannot be compared with the control file's.",
								 extension->name, loaded),
						"Restart PostgreSQL if the extension's files were replaced after the server had started.");
	if (loaded == NULL || extension->binary == NULL ||
		!du_version_parse(loaded, &a, &reason) ||
		!du_version_parse(extension->binary, &b, &reason) ||
		du_version_compare(&a, &b) == 0)
		return compared;
	return facts_of(LIBRARY_STALE,
					psprintf("The library of extension \"%s\" in memory reports version \"%s\", the control file says \"%s\".",
							 extension->name, loaded, extension->binary),
					compared.state == LIBRARY_CURRENT ?
					"Its file is the one in memory, so install library and control file of the same release, then restart PostgreSQL." :
					"Restart PostgreSQL to load the new library; if that changes nothing, install library and control file of the same release.");
}

/*
 * What is to be said of the libraries of the managed set.  Calls the main
 * extension's version function, unless its code is known to be stale.
 */
LibraryFacts
du_library_facts(const UpgradeFacts *facts)
{
	LibraryFacts worst = {LIBRARY_NONE};
	StringInfoData missing;

	initStringInfo(&missing);
	for (int i = 0; i < facts->nextensions; i++)
	{
		const ExtensionFacts *extension = &facts->extensions[i];
		LibraryFacts compared = {LIBRARY_NONE};

		if (OidIsValid(extension->oid))
		{
			compared = compare_extension(extension);
			find_missing(&missing, extension);
		}
		if (i == facts->main && compared.state != LIBRARY_STALE)
			compared = compare_versions(extension, compared);
		if (compared.state > worst.state)
			worst = compared;
	}
	if (missing.len > 0)
		worst.missing = missing.data;
	return worst;
}

/*
 * Why the libraries of one extension stand in the way, as one sentence with a
 * hint; NULL when they do not, or when that cannot be found out.
 *
 * Only files and catalogues are read and nothing is called, so this is fit
 * for hooks: it needs a transaction and, of the facts, name, oid (InvalidOid:
 * not created yet, the control file alone counts) and control; neither SPI nor
 * our extension in this database.  Texts are palloc'd.
 */
const char *
du_library_problem(const ExtensionFacts *extension, const char **hint)
{
	LibraryFacts compared = compare_extension(extension);

	*hint = NULL;
	if (compared.state != LIBRARY_STALE)
		return NULL;
	*hint = compared.hint;
	return compared.detail;
}
