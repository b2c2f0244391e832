/*-------------------------------------------------------------------------
 *
 * step_trace.c
 *	  Follows an update script while the server runs it.
 *
 * Two things can be seen only from hooks.  Where in the script the server is:
 * before release 18 it does not say in which line an error happened, so the
 * offset of each statement is noted when it has been analysed, before it is
 * planned.  And a RESET: it gives back the caller's own default, which any
 * role can choose by ALTER ROLE, so what was pinned is pinned again after it.
 *
 * The hooks are put in place when the first upgrade of a session runs, and
 * look at one variable otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "step_trace.h"

#include "catalog/namespace.h"
#include "commands/extension.h"
#include "parser/analyze.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "lock_budget.h"

static bool installed = false;
static ProcessUtility_hook_type previous_utility = NULL;
static post_parse_analyze_hook_type previous_analyze = NULL;

static Oid	traced_extension = InvalidOid;
static void (*pin_settings_again) (void) = NULL;
static const char *script_text = NULL;	/* compared, never read */
static char *script_search_path = NULL; /* what the server has set for it */
static int	offset = -1;

/* True while a script of the traced extension runs, at any depth. */
static bool
in_script(void)
{
	return OidIsValid(traced_extension) && creating_extension &&
		CurrentExtensionObject == traced_extension;
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
	if (!in_script())
		return;

	if (script_text == NULL)
	{
		script_text = pstate->p_sourcetext;
		script_search_path = MemoryContextStrdup(TopTransactionContext,
												 namespace_search_path);
	}
	if (script_text == pstate->p_sourcetext && query->stmt_location >= 0)
		offset = query->stmt_location;
}

/* True for a statement that gives settings their session default. */
static bool
is_reset(const Node *stmt)
{
	VariableSetKind kind;

	if (!IsA(stmt, VariableSetStmt))
		return false;
	kind = ((const VariableSetStmt *) stmt)->kind;
	return kind == VAR_RESET || kind == VAR_RESET_ALL || kind == VAR_SET_DEFAULT;
}

static void
trace_utility(PlannedStmt *pstmt, const char *query_string,
			  bool read_only_tree, ProcessUtilityContext context,
			  ParamListInfo params, QueryEnvironment *query_env,
			  DestReceiver *dest, QueryCompletion *qc)
{
	bool		resets = in_script() && is_reset(pstmt->utilityStmt);

	if (previous_utility != NULL)
		previous_utility(pstmt, query_string, read_only_tree, context, params,
						 query_env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context,
								params, query_env, dest, qc);

	du_lock_budget_note();
	if (resets)
	{
		pin_settings_again();
		if (script_search_path != NULL)
			(void) set_config_option("search_path", script_search_path,
									 PGC_SUSET, PGC_S_SESSION,
									 GUC_ACTION_SET, true, 0, false);
	}
}

/*
 * Begins to follow the next script of an extension; pin_settings is called
 * after each RESET in it.
 */
void
du_trace_start(Oid extension, void (*pin_settings) (void))
{
	if (!installed)
	{
		previous_utility = ProcessUtility_hook;
		ProcessUtility_hook = trace_utility;
		previous_analyze = post_parse_analyze_hook;
		post_parse_analyze_hook = trace_analyze;
		installed = true;
	}
	traced_extension = extension;
	pin_settings_again = pin_settings;
	script_text = NULL;
	script_search_path = NULL;
	offset = -1;
}

/*
 * Ends it; the offset stays known.  May be called more than once.
 */
void
du_trace_stop(void)
{
	traced_extension = InvalidOid;
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
