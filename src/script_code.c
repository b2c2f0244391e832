/*-------------------------------------------------------------------------
 *
 * script_code.c
 *	  The code that a statement of a script runs.
 *
 * DO blocks, calls of functions and what such statements read are noted with
 * the script, for those who estimate what it may touch.  The routines that a
 * script makes are noted too, because a later statement may call them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "script_code.h"

#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"

/*
 * True for a function of the server.  Names without a schema mean those
 * first, because pg_catalog stands before the script's own search_path.
 */
static bool
is_server_function(const List *name)
{
	if (list_length(name) > 1 && strcmp(strVal(linitial(name)), "pg_catalog") != 0)
		return false;
	return FuncnameGetCandidates(list_make2(makeString("pg_catalog"), llast(name)),
								 -1, NIL, false, false, false, true) != NULL;
}

/*
 * True when a statement calls a function other than the server's.
 */
bool
du_script_runs_code(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) && !is_server_function(((FuncCall *) node)->funcname))
		return true;
	return raw_expression_tree_walker(node, du_script_runs_code, context);
}

/* A dotted name of which the last two members count. */
static ScriptName *
make_name(const List *names)
{
	ScriptName *result = palloc0(sizeof(ScriptName));
	int			n = list_length(names);

	if (n > 1)
		result->schema = pstrdup(strVal(list_nth(names, n - 2)));
	result->name = pstrdup(strVal(llast(names)));
	return result;
}

/* Notes calls and relations below a node. */
static bool
note_below(Node *node, void *context)
{
	ScriptCode *code = context;

	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) && !is_server_function(((FuncCall *) node)->funcname))
		code->calls = lappend(code->calls, make_name(((FuncCall *) node)->funcname));
	else if (IsA(node, RangeVar))
	{
		const RangeVar *rv = (const RangeVar *) node;
		ScriptName *read = palloc0(sizeof(ScriptName));

		read->schema = rv->schemaname ? pstrdup(rv->schemaname) : NULL;
		read->name = pstrdup(rv->relname);
		code->reads = lappend(code->reads, read);
	}
	return raw_expression_tree_walker(node, note_below, context);
}

/*
 * Notes what a statement runs that is opaque.
 */
void
du_script_note_code(ScriptCode *code, const Node *stmt)
{
	ListCell   *lc;

	switch (nodeTag(stmt))
	{
		case T_DoStmt:
			foreach(lc, ((const DoStmt *) stmt)->args)
			{
				DefElem    *option = lfirst_node(DefElem, lc);

				if (strcmp(option->defname, "as") == 0)
					code->blocks = lappend(code->blocks, pstrdup(strVal(option->arg)));
			}
			break;
		case T_CallStmt:
			note_below((Node *) ((const CallStmt *) stmt)->funccall, code);
			break;
		case T_CreateTableAsStmt:
			note_below(((const CreateTableAsStmt *) stmt)->query, code);
			break;
		case T_RefreshMatViewStmt:
			break;
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			note_below(unconstify(Node *, stmt), code);
			break;
		default:
			code->unknown = true;
			break;
	}
}

/*
 * Notes a routine that the script makes, with its text where that says what
 * it does.
 */
void
du_script_note_routine(ScriptCode *code, const CreateFunctionStmt *stmt)
{
	ScriptRoutine *routine = palloc0(sizeof(ScriptRoutine));
	const ScriptName *name = make_name(stmt->funcname);
	const char *language = NULL;
	const char *body = NULL;
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "language") == 0)
			language = strVal(option->arg);
		else if (strcmp(option->defname, "as") == 0)
			body = strVal(linitial((List *) option->arg));
	}
	routine->name = *name;
	if (stmt->sql_body != NULL)
		routine->body = "";
	else if (language != NULL && body != NULL &&
			 (pg_strcasecmp(language, "sql") == 0 || pg_strcasecmp(language, "plpgsql") == 0))
		routine->body = pstrdup(body);
	code->routines = lappend(code->routines, routine);
}
