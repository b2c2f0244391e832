/*-------------------------------------------------------------------------
 *
 * step_trace.c
 *	  Follows an update script, or a check, while the server runs it.
 *
 * Two things can be seen only from hooks.  Where in the script the server is:
 * before release 18 it does not say in which line an error happened, so the
 * offset of each statement is noted when it has been analysed, before it is
 * planned.  And the end of a statement: a RESET, or a set_config() that is
 * none else, gives back the caller's own default, which any role can choose by
 * ALTER ROLE, so what was pinned is pinned again after each statement.  Whoever
 * tells people how far a script is hears of its statements.
 *
 * The hooks are put in place when the first upgrade of a session runs, and
 * look at one variable otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "catalog/namespace.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "parser/analyze.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/base.h"

static bool installed = false;
static post_parse_analyze_hook_type previous_analyze = NULL;
static ExecutorEnd_hook_type previous_executor_end = NULL;

static SettingsKeeper keeper;
static StatementListener listener;
static Oid	traced_extension = InvalidOid;
static const char *path_of_check = NULL;	/* set while a check runs */
static const char *script_text = NULL;	/* compared, never read */
static char *script_search_path = NULL; /* what the server has set for it */
static int	offset = -1;
static int	statement = 0;			/* of the script itself, counted from 1 */

/* True while a script of the traced extension runs, at any depth. */
static bool
in_script(void)
{
	return OidIsValid(traced_extension) && creating_extension &&
		CurrentExtensionObject == traced_extension;
}

/* True while code runs for which settings are kept. */
static bool
is_watched(void)
{
	return path_of_check != NULL || in_script();
}

/* Pins again what a statement has reset, after its end. */
static void
end_statement(void)
{
	if (!is_watched())
		return;
	keeper.pin_again(path_of_check ? path_of_check : script_search_path);
	if (in_script() && statement > 0)
		listener.hear(listener.arg, statement, offset);
}

/*
 * Keeps where a statement of the script itself begins.  One that holds another,
 * as CREATE VIEW does, is analysed twice.
 */
static void
begin_statement(int location)
{
	if (location != offset)
		statement++;
	offset = location;
	listener.hear(listener.arg, statement, offset);
}

/*
 * Keeps the offset of a statement when it is one of the script itself.  The
 * first statement that is analysed while the script runs shows which text
 * that is; statements of functions it calls come with texts of their own.
 */
static void
trace_analyze(ParseState *pstate, Query *query, JumbleState *jstate)
{
	if (previous_analyze != NULL)
		previous_analyze(pstate, query, jstate);
	du_lock_budget_note();
	if (!is_watched())
		return;
	keeper.check();
	if (!in_script())
		return;

	if (script_text == NULL)
	{
		script_text = pstate->p_sourcetext;
		script_search_path = MemoryContextStrdup(TopTransactionContext,
												 namespace_search_path);
	}
	if (script_text == pstate->p_sourcetext && query->stmt_location >= 0)
		begin_statement(query->stmt_location);
}

static void
trace_utility(const UtilityCall *call)
{
	du_hooks_pass_on(call);
	du_lock_budget_note();
	end_statement();
}

static void
trace_executor_end(QueryDesc *query)
{
	if (previous_executor_end != NULL)
		previous_executor_end(query);
	else
		standard_ExecutorEnd(query);
	end_statement();
}

static void
install_hooks(void)
{
	if (installed)
		return;
	du_hooks_add_utility(trace_utility);
	previous_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = trace_analyze;
	previous_executor_end = ExecutorEnd_hook;
	ExecutorEnd_hook = trace_executor_end;
	installed = true;
}

/*
 * Begins to follow the next script of an extension.
 */
void
du_trace_start(Oid extension, const SettingsKeeper *settings, const StatementListener *hearer)
{
	install_hooks();
	keeper = *settings;
	listener = *hearer;
	statement = 0;
	traced_extension = extension;
	script_text = NULL;
	script_search_path = NULL;
	offset = -1;
}

/*
 * Begins to follow a check, which runs with this search_path.
 */
void
du_trace_start_check(const char *search_path, const SettingsKeeper *settings)
{
	install_hooks();
	keeper = *settings;
	path_of_check = search_path;
}

/*
 * Ends it; the offset stays known.  May be called more than once.
 */
void
du_trace_stop(void)
{
	traced_extension = InvalidOid;
	path_of_check = NULL;
	script_text = NULL;
	script_search_path = NULL;
}

/*
 * Byte offset, in the text as run, of the last statement that was begun; -1
 * when none was seen.
 */
int
du_trace_offset(void)
{
	return offset;
}
