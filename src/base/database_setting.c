/*-------------------------------------------------------------------------
 *
 * database_setting.c
 *	  Which databases documentdb_upgrade.database means.
 *
 * A list of names, as the server reads such lists, in which * stands for every
 * database that has this extension.  What is no list is one name, whatever is
 * in it.  The first name is the main database: what is one for the whole
 * server, such as a custom resource and the report of a standby, is about
 * that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include "utils/varlena.h"

#define EVERY "*"
#define DEFAULT_MAIN "postgres"

/*
 * The names, palloc'd, without the *; whether that is there goes to *every.
 */
List *
du_guc_databases(bool *every)
{
	char	   *text = pstrdup(du_guc_database);
	List	   *elements;
	List	   *names = NIL;
	ListCell   *lc;

	*every = false;
	if (!SplitGUCList(text, ',', &elements) || elements == NIL)
		return list_make1(pstrdup(du_guc_database));
	foreach(lc, elements)
	{
		if (strcmp(lfirst(lc), EVERY) == 0)
			*every = true;
		else
			names = lappend(names, lfirst(lc));
	}
	return names;
}

/*
 * The name of the main database, palloc'd.
 */
char *
du_guc_main_database(void)
{
	bool		every;
	List	   *names = du_guc_databases(&every);

	return names != NIL ? linitial(names) : pstrdup(DEFAULT_MAIN);
}

/*
 * True when a database is meant; has_us says whether this extension is
 * installed there.
 */
bool
du_guc_means_database(const char *name, bool has_us)
{
	bool		every;
	List	   *names = du_guc_databases(&every);
	ListCell   *lc;

	if ((every && has_us) || strcmp(name, du_guc_main_database()) == 0)
		return true;
	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}
