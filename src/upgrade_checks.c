/*-------------------------------------------------------------------------
 *
 * upgrade_checks.c
 *	  Pre- and post-checks of an upgrade.
 *
 * A check is a function without arguments that returns boolean, named in
 * table checks.  It runs in the upgrade's own transaction, as its own owner,
 * and only true lets the upgrade go on.  It may write to try things out: a
 * subtransaction around it is rolled back, which also drops the settings and
 * deferred triggers that its owner could leave for us.  It is called without
 * a query around it, so that no planner hook comes in between.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "upgrade_checks.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "execution_context.h"

typedef struct Check
{
	const char *name;
	const char *function;
	Oid			oid;			/* InvalidOid when there is no such function */
} Check;

/* The enabled checks of a kind, by name. */
static List *
read_checks(const char *kind)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	List	   *checks = NIL;
	int			rows;

	values[0] = CStringGetTextDatum(kind);
	rows = du_query("SELECT c.name, c.function,"
					" pg_catalog.to_regprocedure(c.function)::pg_catalog.oid::pg_catalog.int8"
					" FROM documentdb_upgrade.checks c"
					" WHERE c.kind = $1 AND c.enabled ORDER BY c.name",
					1, types, values);
	for (int i = 0; i < rows; i++)
	{
		Check	   *check = palloc(sizeof(Check));

		check->name = du_query_text(i, 1);
		check->function = du_query_text(i, 2);
		check->oid = (Oid) du_query_int(i, 3);
		checks = lappend(checks, check);
	}
	SPI_freetuptable(SPI_tuptable);
	return checks;
}

/* The owner of a check's function; raises when it cannot serve as a check. */
static Oid
check_owner(const Check *check)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(check->oid));
	Form_pg_proc form;
	Oid			owner;
	bool		fits;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function \"%s\" of check \"%s\" does not exist",
						check->function, check->name),
				 errhint("Correct or disable the check in documentdb_upgrade.checks.")));
	form = (Form_pg_proc) GETSTRUCT(tuple);
	owner = form->proowner;
	fits = form->prokind == PROKIND_FUNCTION && !form->proretset &&
		form->prorettype == BOOLOID && form->pronargs == 0;
	ReleaseSysCache(tuple);

	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("function \"%s\" of check \"%s\" is not a function without arguments that returns boolean",
						check->function, check->name)));
	return owner;
}

/*
 * Calls the function of a check; what it returned goes to *isnull and the
 * result.
 */
static bool
call_function(const Check *check, Oid owner, bool *isnull)
{
	FmgrInfo	flinfo;

	LOCAL_FCINFO(call, 0);
	Oid			save_userid;
	int			save_security;
	Datum		result;

	GetUserIdAndSecContext(&save_userid, &save_security);
	SetUserIdAndSecContext(owner, save_security | SECURITY_LOCAL_USERID_CHANGE);
	PushActiveSnapshot(GetTransactionSnapshot());

	fmgr_info(check->oid, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, 0, InvalidOid, NULL, NULL);
	result = FunctionCallInvoke(call);
	*isnull = call->isnull;

	PopActiveSnapshot();
	SetUserIdAndSecContext(save_userid, save_security);
	return !*isnull && DatumGetBool(result);
}

/*
 * Calls a check and takes back what it did.
 */
static bool
call_check(const Check *check, Oid function_owner, bool *isnull)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
	volatile bool met = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		met = call_function(check, function_owner, isnull);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	if (error != NULL)
		ReThrowError(error);
	return met;
}

/*
 * Runs all enabled checks of a kind ("pre" or "post").  Raises 55000 for one
 * that does not return true, and passes on what a check itself raises.
 */
void
du_checks_run(const char *kind)
{
	ListCell   *lc;

	foreach(lc, read_checks(kind))
	{
		const Check *check = lfirst(lc);
		Oid			owner = check_owner(check);
		bool		isnull;

		if (!call_check(check, owner, &isnull))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("%s-check \"%s\" is not met", kind, check->name),
					 errdetail("Function \"%s\" returned %s.", check->function,
							   isnull ? "null" : "false"),
					 errhint("The upgrade was rolled back. Clear the cause, or disable the check in documentdb_upgrade.checks.")));
	}
}
