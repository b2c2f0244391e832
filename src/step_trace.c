/*-------------------------------------------------------------------------
 *
 * step_trace.c
 *	  Where in an update script the server is.
 *
 * Before release 18 the server does not say in which line of a script an
 * error happened.  The utility and executor hooks see each statement of the
 * script with its offset; the last one seen is kept.  The hooks are put in
 * place when the first upgrade of a session runs, and look at one flag
 * otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "step_trace.h"

#include "commands/extension.h"
#include "executor/executor.h"
#include "tcop/utility.h"

static bool installed = false;
static ProcessUtility_hook_type previous_utility = NULL;
static ExecutorStart_hook_type previous_executor_start = NULL;

static Oid	traced_extension = InvalidOid;
static const char *script_text = NULL;	/* compared, never read */
static int	offset = -1;

/*
 * Keeps the offset of a statement when it is one of the script itself.  The
 * first statement seen while the script runs shows which text that is;
 * statements of functions it calls come with texts of their own.
 */
static void
note(const char *source, int location)
{
	if (!OidIsValid(traced_extension) || !creating_extension ||
		CurrentExtensionObject != traced_extension)
		return;
	if (script_text == NULL)
		script_text = source;
	if (script_text == source && location >= 0)
		offset = location;
}

static void
trace_utility(PlannedStmt *pstmt, const char *query_string,
			  bool read_only_tree, ProcessUtilityContext context,
			  ParamListInfo params, QueryEnvironment *query_env,
			  DestReceiver *dest, QueryCompletion *qc)
{
	note(query_string, pstmt->stmt_location);
	if (previous_utility != NULL)
		previous_utility(pstmt, query_string, read_only_tree, context, params,
						 query_env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context,
								params, query_env, dest, qc);
}

static void
trace_executor_start(QueryDesc *query, int eflags)
{
	note(query->sourceText, query->plannedstmt->stmt_location);
	if (previous_executor_start != NULL)
		previous_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

/*
 * Begins to follow the next script of an extension.
 */
void
du_trace_start(Oid extension)
{
	if (!installed)
	{
		previous_utility = ProcessUtility_hook;
		ProcessUtility_hook = trace_utility;
		previous_executor_start = ExecutorStart_hook;
		ExecutorStart_hook = trace_executor_start;
		installed = true;
	}
	traced_extension = extension;
	script_text = NULL;
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
