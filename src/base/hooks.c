/*-------------------------------------------------------------------------
 *
 * hooks.c
 *	  One place in the server's chains of hooks for all parts of this library.
 *
 * The server has one hook for utility statements and one for access to objects,
 * in a chain with those of other libraries.  What wants to see them adds itself
 * here: the chains are entered once, by the first that does, and left by
 * nobody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#define MAX_PARTS 4				/* of each kind */

static UtilityPart utility_parts[MAX_PARTS];
static int	nutility_parts = 0;
static ProcessUtility_hook_type previous_utility = NULL;

static AccessPart access_parts[MAX_PARTS];
static int	naccess_parts = 0;
static object_access_hook_type previous_access = NULL;

/*
 * Has the parts inside a part, the others' hooks and at last the server itself
 * run a statement.  To be called exactly once by each part.
 */
void
du_hooks_pass_on(const UtilityCall *call)
{
	UtilityCall inner = *call;
	ProcessUtility_hook_type next = previous_utility ? previous_utility : standard_ProcessUtility;

	if (inner.parts_left > 0)
		utility_parts[--inner.parts_left] (&inner);
	else
		next(call->pstmt, call->query_string, call->read_only_tree, call->context,
			 call->params, call->query_env, call->dest, call->qc);
}

static void
enter_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
			  ProcessUtilityContext context, ParamListInfo params,
			  QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *qc)
{
	UtilityCall call = {pstmt, query_string, read_only_tree, context,
	params, query_env, dest, qc, nutility_parts};

	du_hooks_pass_on(&call);
}

/* After the others, whose judgement of an access may end it. */
static void
enter_access(ObjectAccessType access, Oid classid, Oid objid, int subid, void *arg)
{
	if (previous_access != NULL)
		previous_access(access, classid, objid, subid, arg);
	for (int i = 0; i < naccess_parts; i++)
		access_parts[i] (access, classid, objid, subid);
}

/*
 * Adds a part that sees each utility statement before and after those added
 * so far.
 */
void
du_hooks_add_utility(UtilityPart part)
{
	Assert(nutility_parts < MAX_PARTS);
	if (nutility_parts == 0)
	{
		previous_utility = ProcessUtility_hook;
		ProcessUtility_hook = enter_utility;
	}
	utility_parts[nutility_parts++] = part;
}

/*
 * Adds a part that sees each access to an object, after those added so far.
 */
void
du_hooks_add_access(AccessPart part)
{
	Assert(naccess_parts < MAX_PARTS);
	if (naccess_parts == 0)
	{
		previous_access = object_access_hook;
		object_access_hook = enter_access;
	}
	access_parts[naccess_parts++] = part;
}
