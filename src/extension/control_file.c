/*-------------------------------------------------------------------------
 *
 * control_file.c
 *	  An extension's control file and script directory on this instance.
 *
 * The server has no function that says where a script lies or what one
 * extension's control file asks for (pg_available_extension_versions reads
 * every control file and takes tens of milliseconds).  So the file is found
 * and read here, with the server's own parser, in the way of the server's
 * extension.c.  Paths between versions are not computed here: they come from
 * pg_extension_update_paths.
 *
 * A file that is missing or cannot be read is expected trouble: it is
 * described in ControlFile.problem, never raised.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include <sys/stat.h>
#include <unistd.h>

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"
#if PG_VERSION_NUM >= 180000
#include "commands/extension.h"
#endif

/*
 * The directories in which the server looks for control files, in order.
 */
static List *
control_directories(void)
{
	char		sharepath[MAXPGPATH];
	char	   *system_directory;

	get_share_path(my_exec_path, sharepath);
	system_directory = psprintf("%s/extension", sharepath);

#if PG_VERSION_NUM >= 180000
	/* 18 added extension_control_path. */
	if (Extension_control_path != NULL && Extension_control_path[0] != '\0')
	{
		List	   *directories = NIL;
		char	   *rest = pstrdup(Extension_control_path);
		char	   *item;

		while ((item = strsep(&rest, ":")) != NULL)
		{
			if (item[0] == '\0')
				continue;
			if (strcmp(item, "$system") == 0)
				directories = lappend(directories, system_directory);
			else if (strncmp(item, "$system", 7) == 0)
				directories = lappend(directories,
									  psprintf("%s%s/extension", sharepath, item + 7));
			else
				directories = lappend(directories, psprintf("%s/extension", item));
		}
		return directories;
	}
#endif
	return list_make1(system_directory);
}

static const char *
parse_boolean(const char *name, const char *value, bool *result)
{
	if (parse_bool(value, result))
		return NULL;
	return psprintf("Parameter \"%s\" of the control file requires a Boolean value.",
					name);
}

/* True for the list of extensions whose schemas stay; new in 16. */
static bool
is_no_relocate(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return strcmp(name, "no_relocate") == 0;
#else
	return false;
#endif
}

/* Parameters that the control file of a single version must not have. */
static bool
is_primary_parameter(const char *name)
{
	return strcmp(name, "directory") == 0 || strcmp(name, "default_version") == 0;
}

/*
 * Takes over the parameters of one file; gives back a problem or NULL.  What
 * the server would refuse is a problem, so that its own reading never raises.
 */
static const char *
apply_file(ControlFile *control, FILE *file, const char *path, bool secondary)
{
	ConfigVariable *head = NULL;
	ConfigVariable *tail = NULL;
	const char *problem = NULL;
	bool		has_schema = false;

	if (!ParseConfigFp(file, path, 0, DEBUG1, &head, &tail))
		problem = psprintf("The control file \"%s\" cannot be parsed.", path);

	for (ConfigVariable *item = head; item != NULL && problem == NULL; item = item->next)
	{
		if (secondary && is_primary_parameter(item->name))
			problem = psprintf("Parameter \"%s\" is not allowed in the control file \"%s\" of a single version.",
							   item->name, path);
		else if (strcmp(item->name, "directory") == 0)
		{
			char	   *base = pstrdup(path);

			/* A relative directory is seen from the share directory. */
			get_parent_directory(base);
			get_parent_directory(base);
			control->directory = is_absolute_path(item->value) ?
				pstrdup(item->value) : psprintf("%s/%s", base, item->value);
		}
		else if (strcmp(item->name, "default_version") == 0)
			control->default_version = pstrdup(item->value);
		else if (strcmp(item->name, "module_pathname") == 0)
			control->module_pathname = pstrdup(item->value);
		else if (strcmp(item->name, "encoding") == 0)
		{
			control->encoding = pg_valid_server_encoding(item->value);
			if (control->encoding < 0)
				problem = psprintf("\"%s\" in control file \"%s\" is not a valid encoding name.",
								   item->value, path);
		}
		else if (strcmp(item->name, "relocatable") == 0)
			problem = parse_boolean(item->name, item->value, &control->relocatable);
		else if (strcmp(item->name, "superuser") == 0)
			problem = parse_boolean(item->name, item->value, &control->superuser);
		else if (strcmp(item->name, "trusted") == 0)
			problem = parse_boolean(item->name, item->value, &control->trusted);
		else if (strcmp(item->name, "schema") == 0)
			has_schema = true;
		else if (strcmp(item->name, "requires") == 0 || is_no_relocate(item->name))
		{
			List	   *names;

			if (!SplitIdentifierString(pstrdup(item->value), ',', &names))
				problem = psprintf("Parameter \"%s\" in control file \"%s\" is not a list of extensions.",
								   item->name, path);
			else if (!is_no_relocate(item->name))
				control->requires = names;
		}
		else if (strcmp(item->name, "comment") != 0)
			problem = psprintf("Parameter \"%s\" in control file \"%s\" is not known.",
							   item->name, path);
	}
	FreeConfigVariables(head);
	if (problem == NULL && has_schema && control->relocatable)
		problem = psprintf("The control file \"%s\" names a schema and is relocatable.", path);
	return problem;
}

/* Why the scripts cannot be looked for, or NULL. */
static const char *
check_directory(const ControlFile *control)
{
	DIR		   *dir = AllocateDir(control->directory);

	if (dir == NULL)
		return psprintf("The script directory \"%s\" of control file \"%s\" cannot be opened: %m.",
						control->directory, control->path);
	FreeDir(dir);
	return NULL;
}

/*
 * Reads the control file that was found in a directory; file is NULL, with errno
 * set, when it cannot be opened.
 */
static void
read_control(ControlFile *control, const char *directory, const char *path, FILE *file)
{
	control->path = path;
	control->directory = directory;
	if (file == NULL)
	{
		control->problem = psprintf("The control file \"%s\" cannot be read: %m.", path);
		return;
	}
	control->problem = apply_file(control, file, path, false);
	if (control->problem == NULL && control->directory != directory)
		control->problem = check_directory(control);
}

/*
 * What the extension's control file says, palloc'd; never NULL.
 */
ControlFile *
du_control_read(const char *extension)
{
	ControlFile *control = palloc0(sizeof(ControlFile));
	ListCell   *lc;

	control->superuser = true;
	control->encoding = -1;

	/* A name with a slash or dots would leave the directory. */
	if (strpbrk(extension, "/\\") != NULL)
	{
		control->problem = psprintf("\"%s\" is not a valid extension name.", extension);
		return control;
	}

	/* The first one counts, whatever is in it. */
	foreach(lc, control_directories())
	{
		const char *directory = lfirst(lc);
		char	   *path = psprintf("%s/%s.control", directory, extension);
		FILE	   *file = AllocateFile(path, "r");

		if (file == NULL && errno == ENOENT)
			continue;
		if (control->path == NULL)
			read_control(control, directory, path, file);
		else if (strcmp(control->path, path) != 0)
			control->shadowed = lappend(control->shadowed, path);
		if (file != NULL)
			FreeFile(file);
	}

	if (control->path == NULL)
		control->problem = psprintf("No control file \"%s.control\" is installed on this instance.",
								extension);
	return control;
}

/*
 * Overlays what the secondary control file of one version says, if there is
 * one: it may ask for other rights than the primary file.
 */
void
du_control_apply_secondary(ControlFile *control, const char *extension,
						   const char *version)
{
	char	   *path = psprintf("%s/%s--%s.control", control->directory,
								extension, version);
	FILE	   *file = AllocateFile(path, "r");

	if (file == NULL)
		return;
	control->problem = apply_file(control, file, path, true);
	FreeFile(file);
}

/*
 * The path of the script from one version to the next, palloc'd.
 */
char *
du_control_script_path(const ControlFile *control, const char *extension,
					   const char *from, const char *to)
{
	return psprintf("%s/%s--%s--%s.sql", control->directory, extension, from, to);
}

/*
 * Where the server looks for a library as pg_proc.probin, module_pathname and
 * shared_preload_libraries spell it, in its order; palloc'd paths of files
 * that may exist or not.
 */
List *
du_control_library_candidates(const char *library)
{
	List	   *paths = NIL;
	List	   *candidates = NIL;
	ListCell   *lc;

#if PG_VERSION_NUM >= 180000

	/* Since 18 a simple "$libdir/name" is searched in dynamic_library_path. */
	if (strncmp(library, "$libdir/", 8) == 0 && strchr(library + 8, '/') == NULL)
		library += 8;
#endif
	if (strncmp(library, "$libdir/", 8) == 0)
		paths = lappend(paths, psprintf("%s/%s", pkglib_path, library + 8));
	else if (is_absolute_path(library))
		paths = lappend(paths, pstrdup(library));
	else if (library[0] != '$')
	{
		char	   *rest = pstrdup(Dynamic_library_path);
		char	   *item;

		while ((item = strsep(&rest, ":")) != NULL)
		{
			if (strncmp(item, "$libdir", 7) == 0)
				paths = lappend(paths,
								psprintf("%s%s/%s", pkglib_path, item + 7, library));
			else if (item[0] != '\0')
				paths = lappend(paths, psprintf("%s/%s", item, library));
		}
	}

	foreach(lc, paths)
	{
		char	   *path = lfirst(lc);

		canonicalize_path(path);
		candidates = lappend(candidates, psprintf("%s%s", path, DLSUFFIX));
		candidates = lappend(candidates, path);
	}
	return candidates;
}

/*
 * The file that the server would load for such a name, palloc'd; NULL when
 * there is none.
 */
char *
du_control_library_path(const char *library)
{
	ListCell   *lc;

	foreach(lc, du_control_library_candidates(library))
	{
		struct stat st;

		if (stat(lfirst(lc), &st) == 0 && S_ISREG(st.st_mode))
			return lfirst(lc);
	}
	return NULL;
}
