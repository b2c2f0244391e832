/*-------------------------------------------------------------------------
 *
 * update_paths.c
 *	  Versions and paths as the server computes them from the script files.
 *
 * The server's own function is called without a query around it: there are
 * libraries that refuse every query until their extension has been updated,
 * and others that refuse the update once a query has been analysed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include "executor/executor.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/tuplestore.h"

#include "base/base.h"

/* Columns of pg_extension_update_paths(). */
#define SOURCE_COLUMN	1
#define TARGET_COLUMN	2
#define PATH_COLUMN		3

/* A row of the server's function. */
typedef struct ServerPath
{
	const char *source;
	const char *target;
	const char *path;			/* NULL: there is none */
} ServerPath;

/* What it says of one extension. */
typedef struct ServerPaths
{
	char	   *extension;
	List	   *rows;			/* of ServerPath */
} ServerPaths;

/*
 * Takes a path apart: "1.0--1.1--1.2" has three versions.
 */
static void
split_path(UpdatePath *path, const char *target, const char *text)
{
	char	   *rest = pstrdup(text);
	int			capacity = 1;

	for (const char *p = strstr(rest, "--"); p != NULL; p = strstr(p + 2, "--"))
		capacity++;
	path->target = pstrdup(target);
	path->versions = palloc(capacity * sizeof(char *));
	path->nversions = 0;
	while (rest != NULL)
	{
		char	   *next = strstr(rest, "--");

		if (next != NULL)
		{
			*next = '\0';
			next += 2;
		}
		path->versions[path->nversions++] = rest;
		rest = next;
	}
}

/*
 * Calls the server's function; its rows are in result, in the memory of the
 * context given.
 */
static void
call_server(const char *extension, ExprContext *context, ReturnSetInfo *result)
{
	FmgrInfo	function;

	LOCAL_FCINFO(call, 1);

	memset(result, 0, sizeof(ReturnSetInfo));
	result->type = T_ReturnSetInfo;
	result->econtext = context;
	result->allowedModes = SFRM_Materialize;
	fmgr_info(F_PG_EXTENSION_UPDATE_PATHS, &function);
	InitFunctionCallInfoData(*call, &function, 1, InvalidOid, NULL, (Node *) result);
	call->args[0].value = DirectFunctionCall1(namein, CStringGetDatum(extension));
	call->args[0].isnull = false;
	(void) FunctionCallInvoke(call);
	if (result->setResult == NULL || result->setDesc == NULL)
		elog(ERROR, "pg_extension_update_paths() gave back no rows");
}

/* A column as palloc'd text, NULL for a null. */
static char *
column_text(TupleTableSlot *slot, int column)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* The rows that the server has for an extension. */
static List *
ask_server(const char *extension)
{
	ExprContext *context = CreateStandaloneExprContext();
	ReturnSetInfo result;
	TupleTableSlot *slot;
	List	   *rows = NIL;

	call_server(extension, context, &result);
	slot = MakeSingleTupleTableSlot(result.setDesc, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(result.setResult, true, false, slot))
	{
		ServerPath *row = palloc(sizeof(ServerPath));

		row->source = column_text(slot, SOURCE_COLUMN);
		row->target = column_text(slot, TARGET_COLUMN);
		row->path = column_text(slot, PATH_COLUMN);
		rows = lappend(rows, row);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(result.setResult);
	FreeExprContext(context, true);
	return rows;
}

/* Writes rows as recall_rows() reads them. */
static void
keep_rows(const StringInfoData *key, const List *rows)
{
	StringInfoData value;
	const ListCell *lc;

	initStringInfo(&value);
	foreach(lc, rows)
	{
		const ServerPath *row = lfirst(lc);

		du_cache_put_text(&value, row->source);
		du_cache_put_text(&value, row->target);
		du_cache_put_text(&value, row->path);
	}
	du_cache_keep(key, value.data, value.len);
	pfree(value.data);
}

/* The rows that some process has kept; NIL when none has. */
static List *
recall_rows(const StringInfoData *key)
{
	size_t		length;
	const char *value = du_cache_find(key, &length);
	const char *end = value != NULL ? value + length : NULL;
	List	   *rows = NIL;

	while (value < end)
	{
		ServerPath *row = palloc(sizeof(ServerPath));

		row->source = du_cache_take_text(&value);
		row->target = du_cache_take_text(&value);
		row->path = du_cache_take_text(&value);
		rows = lappend(rows, row);
	}
	return rows;
}

/*
 * The rows for the scripts of a listing.  They follow from the names of the
 * scripts alone.
 */
static List *
rows_of(const char *extension, const ScriptListing *listing)
{
	StringInfoData key;
	List	   *rows;

	if (listing->state == NULL)
		return ask_server(extension);
	du_cache_key(&key, "update paths");
	du_script_listing_depend(&key, listing);
	appendStringInfoString(&key, extension);
	rows = recall_rows(&key);
	if (rows == NIL)
	{
		rows = ask_server(extension);
		keep_rows(&key, rows);
	}
	return rows;
}

/* The same, for the scripts that are there now; of the listing. */
static const ServerPaths *
paths_of(const ExtensionFacts *extension)
{
	ScriptListing *listing = du_script_listing(extension->control->directory);
	MemoryContext context;
	ServerPaths *paths;
	List	   *rows;
	ListCell   *lc;

	foreach(lc, listing->paths)
	{
		paths = lfirst(lc);
		if (strcmp(paths->extension, extension->name) == 0)
			return paths;
	}

	context = MemoryContextSwitchTo(listing->context);
	rows = rows_of(extension->name, listing);
	paths = palloc(sizeof(ServerPaths));
	paths->extension = pstrdup(extension->name);
	paths->rows = rows;
	listing->paths = lappend(listing->paths, paths);
	MemoryContextSwitchTo(context);
	return paths;
}

/*
 * Adds to an extension's facts the versions that its files offer and the paths
 * from the installed one.  The control file must be readable.
 */
void
du_paths_read(ExtensionFacts *extension)
{
	const ServerPaths *paths = paths_of(extension);
	const char *last_source = "";
	ListCell   *lc;

	extension->paths = palloc0(Max(list_length(paths->rows), 1) * sizeof(UpdatePath));
	foreach(lc, paths->rows)
	{
		const ServerPath *row = lfirst(lc);

		if (strcmp(row->source, last_source) != 0)
			du_extension_offer(extension, row->source);
		last_source = row->source;
		du_extension_offer(extension, row->target);
		if (row->path != NULL && extension->installed != NULL &&
			strcmp(row->source, extension->installed) == 0)
			split_path(&extension->paths[extension->npaths++], row->target, row->path);
	}
}
