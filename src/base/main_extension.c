/*-------------------------------------------------------------------------
 *
 * main_extension.c
 *	  Which extension is the main one, where a database has several.
 *
 * documentdb_upgrade.extension names one or more, and each is the main one of
 * a managed set of its own.  Whatever looks, decides or acts does that for one
 * set at a time: the first one, unless another was selected, by a process for
 * its whole life or for one piece of work.  Only this file knows that there are
 * others.
 *
 * What is no list is one name, whatever is in it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

/* The selected one; "": none, which means the first. */
static char selected[NAMEDATALEN] = "";

/* The names in a text, which is changed; NIL when it is not a list of any. */
static List *
split(char *text)
{
	char	   *whole = pstrdup(text);
	List	   *names;

	if (SplitGUCList(text, ',', &names))
	{
		pfree(whole);
		return names;
	}

	/* A name can have spaces in it, but what has commas is meant as a list. */
	return strchr(whole, ',') == NULL ? list_make1(whole) : NIL;
}

/*
 * True for what documentdb_upgrade.extension can be; else *problem says what is
 * wrong.
 */
bool
du_main_check(const char *text, const char **problem)
{
	List	   *names = split(pstrdup(text));
	ListCell   *lc;

	*problem = NULL;
	if (text[strspn(text, " \t\r\n")] == '\0')
		*problem = "The managed extension must be named.";
	else if (names == NIL)
		*problem = "It is not a list of names separated by commas.";
	foreach(lc, list_length(names) > 1 ? names : NIL)
	{
		if (strlen(lfirst(lc)) >= NAMEDATALEN)
			*problem = psprintf("The name \"%s\" is too long.", (char *) lfirst(lc));
		for (int i = 0; i < foreach_current_index(lc); i++)
		{
			if (strcmp(lfirst(lc), list_nth(names, i)) == 0)
				*problem = psprintf("Extension \"%s\" is named twice.", (char *) lfirst(lc));
		}
	}
	return *problem == NULL;
}

/*
 * The names as the setting has them now.  They live until it changes.
 */
static List *
named(void)
{
	static char *text = NULL;	/* that was read */
	static char *copy = NULL;	/* that the names are in */
	static List *names = NIL;
	MemoryContext context;

	if (text != NULL && strcmp(text, du_guc_extension) == 0)
		return names;
	context = MemoryContextSwitchTo(TopMemoryContext);
	if (text != NULL)
	{
		pfree(text);
		pfree(copy);
		list_free(names);
	}
	text = pstrdup(du_guc_extension);
	copy = pstrdup(du_guc_extension);
	names = split(copy);
	MemoryContextSwitchTo(context);
	return names;
}

/*
 * All main extensions, palloc'd; the first is the one that a custom resource or
 * a file means.
 */
List *
du_main_extensions(void)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, named())
		names = lappend(names, pstrdup(lfirst(lc)));
	return names;
}

/*
 * The main extension now.  It lives as long as the setting and the selection.
 */
const char *
du_main_extension(void)
{
	return selected[0] != '\0' ? selected : linitial(named());
}

/*
 * The one that was selected, "" while the first one is meant.
 */
const char *
du_main_selected(void)
{
	return selected;
}

/*
 * True for one that the setting names, but not as the first.
 */
bool
du_main_is_further(const char *name)
{
	List	   *names = named();

	for (int i = 1; i < list_length(names); i++)
	{
		if (strcmp(list_nth(names, i), name) == 0)
			return true;
	}
	return false;
}

/*
 * Selects a main extension for the rest of this process's life: the name of a
 * further one, or "" for the first.  It stays selected when the setting names it
 * no longer, or as the first.
 */
void
du_main_select(const char *name)
{
	strlcpy(selected, name, sizeof(selected));
}

/*
 * Runs a piece of work for a main extension, which is one no longer when it has
 * ended, in whatever way.
 */
void
du_main_run(const char *name, void (*work) (void *arg), void *arg)
{
	char		before[NAMEDATALEN];

	strlcpy(before, selected, sizeof(before));
	du_main_select(strcmp(name, linitial(named())) == 0 ? "" : name);
	PG_TRY();
	{
		work(arg);
	}
	PG_FINALLY();
	{
		du_main_select(before);
	}
	PG_END_TRY();
}

/*
 * Runs a piece of work for each main extension.
 */
void
du_main_run_each(void (*work) (void *arg), void *arg)
{
	ListCell   *lc;

	foreach(lc, du_main_extensions())
		du_main_run(lfirst(lc), work, arg);
}

/* The names, worded for people. */
static char *
names_for_people(void)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, named())
		names = lappend(names, psprintf("\"%s\"", (char *) lfirst(lc)));
	return du_names_join(names);
}

/* A function that is called for a main extension. */
typedef struct MainCall
{
	PGFunction	function;
	FunctionCallInfo fcinfo;
	Datum		result;
} MainCall;

static void
call(void *arg)
{
	MainCall   *main_call = arg;

	main_call->result = main_call->function(main_call->fcinfo);
}

/*
 * Calls a function for the main extension that its argument n names; for the
 * one that is meant anyhow when that is null, or not there, as in the objects
 * of earlier versions.  Raises 22023 for a name that is none.
 */
Datum
du_main_call(PGFunction function, FunctionCallInfo fcinfo, int n)
{
	MainCall	main_call = {function, fcinfo};
	char	   *name;

	if (PG_NARGS() <= n || PG_ARGISNULL(n))
		return function(fcinfo);
	name = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (strcmp(name, linitial(named())) != 0 && !du_main_is_further(name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a main extension here; documentdb_upgrade.extension names %s",
						name, names_for_people()),
				 errhint("Give one of these names, or add it to documentdb_upgrade.extension.")));
	du_main_run(name, call, &main_call);
	return main_call.result;
}

/*
 * What documentdb_upgrade.desired_schema_version says about the main extension.
 * A version is one of the first; the others follow a wish for the newest, or
 * stay.
 */
const char *
du_main_desired(const char *desired)
{
	return selected[0] == '\0' || strcmp(desired, "auto") == 0 ? desired : "";
}

/*
 * What a statement for people has to say beside its other arguments to be about
 * the main extension, palloc'd: "" for the first.
 */
char *
du_main_argument(bool is_only)
{
	if (selected[0] == '\0')
		return pstrdup("");
	return psprintf("%sextension => %s", is_only ? "" : ", ", quote_literal_cstr(selected));
}
