/*-------------------------------------------------------------------------
 *
 * script_scan.c
 *	  What an update script says it does.
 *
 * The text is parsed by the server's own grammar, and what follows from the
 * parse tree is added up statement by statement (script_statement.c).
 *
 * What follows from the text alone is kept for whoever looks at the same text
 * later.  Which functions are the server's own, this database says each time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/internal.h"

#include "catalog/namespace.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "mb/pg_wchar.h"
#include "parser/parser.h"
#include "utils/memutils.h"

#include "base/base.h"

/*
 * Parses the text; NIL and a problem when it is no SQL.  The raw parser only
 * allocates memory, so no subtransaction is needed to survive its errors;
 * those that are not about the text are passed on.
 */
static List *
parse_text(const char *text, const char **problem)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *volatile statements = NIL;

	PG_TRY();
	{
		statements = raw_parser(text, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		ErrorData  *edata;
		int			category;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(edata->sqlerrcode);
		if (category != ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION &&
			category != ERRCODE_DATA_EXCEPTION &&
			category != ERRCODE_FEATURE_NOT_SUPPORTED)
			PG_RE_THROW();
		FlushErrorState();
		*problem = edata->message;
	}
	PG_END_TRY();
	return statements;
}

/*
 * Parses the text; gives back why it does not parse, palloc'd, or NULL.
 */
static const char *
scan_text(ScriptScan *scan)
{
	UpdateScript *script = scan->script;
	MemoryContext scan_context = AllocSetContextCreate(CurrentMemoryContext,
													   "documentdb_upgrade script",
													   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(scan_context);
	const char *problem = NULL;
	List	   *statements = parse_text(script->text, &problem);
	ListCell   *lc;

	MemoryContextSwitchTo(old_context);
	if (problem != NULL)
		problem = pstrdup(problem);
	foreach(lc, statements)
	{
		const Node *stmt = lfirst_node(RawStmt, lc)->stmt;

		script->nstatements++;
		script->kinds |= du_script_statement_scan(scan, stmt);
		script->objects = du_script_objects_add(script->objects, stmt);
		if (script->forbidden == NULL)
			script->forbidden = du_script_forbidden_name(stmt);
	}
	MemoryContextDelete(scan_context);
	return problem;
}

/* Everything that the outcome depends on. */
static void
make_key(StringInfo key, const char *text)
{
	du_cache_key(key, "what a script says");
	du_cache_put_int(key, GetDatabaseEncoding());
	du_cache_put_int(key, standard_conforming_strings);
	du_cache_put_int(key, backslash_quote);
	appendStringInfoString(key, du_digest_bytes(text, strlen(text)));
}

static void
keep(const StringInfoData *key, const ScriptScan *scan)
{
	const UpdateScript *script = scan->script;
	StringInfoData value;
	ListCell   *lc;

	initStringInfo(&value);
	du_cache_put_int(&value, script->nstatements);
	du_cache_put_int(&value, script->kinds);
	du_cache_put_text(&value, script->forbidden);
	du_cache_put_int(&value, list_length(scan->called));
	foreach(lc, scan->called)
		du_cache_put_text(&value, lfirst(lc));
	du_cache_put_int(&value, list_length(script->relations));
	foreach(lc, script->relations)
	{
		const ScriptRelation *relation = lfirst(lc);

		du_cache_put_text(&value, relation->schema);
		du_cache_put_text(&value, relation->name);
		du_cache_put_int(&value, relation->mode);
	}
	du_cache_put_int(&value, list_length(script->objects));
	foreach(lc, script->objects)
		du_script_object_keep(&value, lfirst(lc));
	du_cache_keep(key, value.data, value.len);
	pfree(value.data);
}

/* Takes what was kept; false when nothing was. */
static bool
recall(const StringInfoData *key, ScriptScan *scan)
{
	UpdateScript *script = scan->script;
	size_t		length;
	const char *value = du_cache_find(key, &length);
	int			n;

	if (value == NULL)
		return false;
	script->nstatements = du_cache_take_int(&value);
	script->kinds = du_cache_take_int(&value);
	script->forbidden = du_cache_take_text(&value);
	for (n = du_cache_take_int(&value); n > 0; n--)
		scan->called = lappend(scan->called, unconstify(char *, du_cache_take_text(&value)));
	for (n = du_cache_take_int(&value); n > 0; n--)
	{
		ScriptRelation *relation = palloc(sizeof(ScriptRelation));

		relation->schema = du_cache_take_text(&value);
		relation->name = du_cache_take_text(&value);
		relation->mode = du_cache_take_int(&value);
		script->relations = lappend(script->relations, relation);
	}
	for (n = du_cache_take_int(&value); n > 0; n--)
		script->objects = lappend(script->objects, du_script_object_recall(&value));
	return true;
}

/* True for the name of a function of the server. */
static bool
is_server_function(const char *name)
{
	return FuncnameGetCandidates(list_make2(makeString("pg_catalog"), makeString(pstrdup(name))),
								 -1, NIL, false, false, false, true) != NULL;
}

/*
 * Notes what the script's text says.  A text that does not parse becomes the
 * script's problem.
 */
void
du_script_scan(UpdateScript *script)
{
	ScriptScan	scan = {script, NIL};
	StringInfoData key;
	ListCell   *lc;

	make_key(&key, script->text);
	if (!recall(&key, &scan))
	{
		const char *problem = scan_text(&scan);

		/* The server will say so too, at its own time and in its own words. */
		if (problem != NULL)
		{
			script->kinds |= SCRIPT_OPAQUE;
			script->problem = psprintf("The script \"%s\" does not parse: %s.", script->path, problem);
		}
		else
			keep(&key, &scan);
	}
	pfree(key.data);
	foreach(lc, scan.called)
	{
		if (!is_server_function(lfirst(lc)))
			script->kinds |= SCRIPT_OPAQUE;
	}
}
