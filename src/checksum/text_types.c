/*-------------------------------------------------------------------------
 *
 * text_types.c
 *	  The setting that lists types whose text form the user vouches for.
 *
 * It has another name in each of the two libraries that contain this file, so
 * that one server can load both.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "checksum/internal.h"

#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

static const char *setting_name;
static char *text_types;
static uint64 generation = 0;

/*
 * Types are looked up when they are met; here only the list must be one.
 */
static bool
check_type_list(char **newval, void **extra, GucSource source)
{
	char	   *text = pstrdup(*newval);
	List	   *names;
	bool		valid = SplitIdentifierString(text, ',', &names);
	ListCell   *cell;

	foreach(cell, valid ? names : NIL)
		valid &= strchr(lfirst(cell), '.') == NULL;
	if (!valid)
		GUC_check_errdetail("It is not a list of type names, without schemas, separated by commas.");
	list_free(names);
	pfree(text);
	return valid;
}

static void
assign_type_list(const char *newval, void *extra)
{
	generation++;
}

/*
 * Defines the setting under this name, which must stay where it is.
 */
void
du_text_types_define(const char *setting)
{
	setting_name = setting;
	DefineCustomStringVariable(setting,
							   "Lists types of extensions that are compared by their text form.",
							   "Names without schemas. Whoever lists a type vouches that its text is the same on both servers.",
							   &text_types,
							   "",
							   PGC_SUSET, GUC_LIST_INPUT,
							   check_type_list, assign_type_list, NULL);
}

/*
 * The setting's name, for hints.
 */
const char *
du_text_types_setting(void)
{
	return setting_name;
}

/*
 * True when the type of this name is listed.
 */
bool
du_text_types_list(const char *type)
{
	char	   *text = pstrdup(text_types);
	List	   *names = NIL;
	ListCell   *cell;
	bool		found = false;

	if (SplitIdentifierString(text, ',', &names))
		foreach(cell, names)
			found |= strcmp(lfirst(cell), type) == 0;
	list_free(names);
	pfree(text);
	return found;
}

/*
 * Changes with every change of the setting.
 */
uint64
du_text_types_generation(void)
{
	return generation;
}
