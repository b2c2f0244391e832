/*-------------------------------------------------------------------------
 *
 * lazy_libraries.c
 *	  Libraries whose settings were set before they came.
 *
 * A setting of a library that is not in memory is a placeholder, which takes
 * any text.  When the library comes, in the middle of a script say, the server
 * looks for the newest text that the real setting accepts, and that is the
 * caller's when ours is none.  So the libraries that an upgrade may load are
 * loaded first, and their settings are ordinary ones from then on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "extension/extension.h"

/*
 * Names of the libraries, as pg_proc spells them, of the managed extensions,
 * of extensions and languages that bear the name of a prefix, of whatever those
 * extensions require, and of the languages that they are written in.
 */
static List *
library_names(const UpgradeFacts *facts, const List *prefixes)
{
	Oid			types[2] = {OIDARRAYOID, TEXTARRAYOID};
	Datum		values[2];
	Datum	   *names = palloc(Max(list_length(prefixes), 1) * sizeof(Datum));
	List	   *managed = NIL;
	List	   *libraries = NIL;
	const ListCell *lc;
	int			n = 0;
	int			rows;

	for (int i = 0; i < facts->nextensions; i++)
	{
		const ExtensionFacts *extension = &facts->extensions[i];

		if (OidIsValid(extension->oid))
			managed = lappend_oid(managed, extension->oid);
		if (extension->control->module_pathname != NULL)
			libraries = lappend(libraries, pstrdup(extension->control->module_pathname));
	}
	foreach(lc, prefixes)
		names[n++] = CStringGetTextDatum(lfirst(lc));

	values[0] = du_oid_array(managed);
	values[1] = PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
	rows = du_query("WITH RECURSIVE needed (oid) AS ("
					"  SELECT e.oid FROM pg_catalog.pg_extension e"
					"  WHERE e.oid = ANY ($1) OR pg_catalog.lower(e.extname) = ANY ($2)"
					"  UNION"
					"  SELECT d.refobjid FROM needed n, pg_catalog.pg_depend d"
					"  WHERE d.classid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.objid = n.oid"
					"  AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass),"
					" routines AS ("
					"  SELECT p.prolang, p.probin FROM needed n, pg_catalog.pg_depend d, pg_catalog.pg_proc p"
					"  WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = n.oid"
					"  AND d.deptype = 'e' AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
					"  AND p.oid = d.objid)"
					" SELECT r.probin FROM routines r WHERE r.probin IS NOT NULL"
					" UNION"
					" SELECT p.probin FROM pg_catalog.pg_language l, pg_catalog.pg_proc p"
					" WHERE p.oid = l.lanplcallfoid AND p.probin IS NOT NULL"
					" AND (pg_catalog.lower(l.lanname) = ANY ($2)"
					"  OR l.oid IN (SELECT r.prolang FROM routines r))",
					2, types, values);
	for (int i = 0; i < rows; i++)
		libraries = lappend(libraries, du_query_text(i, 1));
	SPI_freetuptable(SPI_tuptable);
	return libraries;
}

static void
load_library(void *arg)
{
	load_file(arg, false);
}

/*
 * Loads the libraries that an upgrade of these extensions may need, and those
 * that are known to belong to prefixes of settings, given in lower case.  SPI
 * must be connected.  A library that cannot be loaded here will not be loaded
 * by a script either, so that is no error.
 */
void
du_libraries_load(const UpgradeFacts *facts, const List *prefixes)
{
	ListCell   *lc;

	foreach(lc, library_names(facts, prefixes))
	{
		ErrorData  *problem = du_subtransaction_run(load_library, lfirst(lc),
													SUBTRANSACTION_KEEP);

		if (problem != NULL &&
			(problem->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			 problem->sqlerrcode == ERRCODE_OUT_OF_MEMORY))
			ReThrowError(problem);
	}
}
