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
 * a query around it, so that no planner hook comes in between.  A check that
 * requires functions which the main extension does not have is not run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/base.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_check_applies);

typedef struct Check
{
	const char *name;
	const char *function;
	Oid			oid;			/* InvalidOid when there is no such function */
	Oid			owner;

	/* What it returned. */
	bool		met;
	bool		is_null;
} Check;

/* True when a function of that name and schema is a member of an extension. */
static bool
is_member(Oid extension, const char *schema, const char *name)
{
	Oid			namespace = get_namespace_oid(schema, true);
	CatCList   *functions = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	bool		found = false;

	for (int i = 0; i < functions->n_members && !found; i++)
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(&functions->members[i]->tuple);

		found = form->pronamespace == namespace &&
			getExtensionOfObject(ProcedureRelationId, form->oid) == extension;
	}
	ReleaseSysCacheList(functions);
	return found;
}

/* The same of a name as it is written. */
static bool
is_met(Oid extension, Datum requirement)
{
	Datum	   *names;
	int			nnames;

	deconstruct_array(DatumGetArrayTypeP(DirectFunctionCall2(parse_ident, requirement, BoolGetDatum(true))),
					  TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &nnames);
	return nnames > 1 && is_member(extension, TextDatumGetCString(names[0]), TextDatumGetCString(names[1]));
}

/*
 * check_applies(requires text[]) returns boolean
 *
 * A null requires nothing.
 */
Datum
documentdb_upgrade_check_applies(PG_FUNCTION_ARGS)
{
	Oid			extension;
	Datum	   *required;
	bool	   *nulls;
	int			nrequired;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(true);
	extension = get_extension_oid(du_main_extension(), true);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &required, &nulls, &nrequired);
	for (int i = 0; i < nrequired; i++)
	{
		if (nulls[i] || !OidIsValid(extension) || !is_met(extension, required[i]))
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}

/* The enabled checks of a kind that apply here, by name. */
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
					" WHERE c.kind = $1 AND c.enabled"
					" AND documentdb_upgrade_internal.check_applies(c.requires) ORDER BY c.name",
					1, types, values);
	for (int i = 0; i < rows; i++)
	{
		Check	   *check = palloc0(sizeof(Check));

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
 * Calls a check's function as its owner; notes what it returned.
 */
static void
call_check(void *arg)
{
	Check	   *check = arg;
	FmgrInfo	flinfo;
	Oid			save_userid;
	int			save_security;
	Datum		result;

	LOCAL_FCINFO(call, 0);

	GetUserIdAndSecContext(&save_userid, &save_security);
	SetUserIdAndSecContext(check->owner, save_security | SECURITY_LOCAL_USERID_CHANGE);
	PushActiveSnapshot(GetTransactionSnapshot());

	fmgr_info(check->oid, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, 0, InvalidOid, NULL, NULL);
	result = FunctionCallInvoke(call);
	check->is_null = call->isnull;
	check->met = !call->isnull && DatumGetBool(result);

	PopActiveSnapshot();
	SetUserIdAndSecContext(save_userid, save_security);
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
		Check	   *check = lfirst(lc);
		ErrorData  *error;

		check->owner = check_owner(check);
		du_trace_start_check("pg_catalog, pg_temp", &du_settings_keeper);
		error = du_subtransaction_run(call_check, check, SUBTRANSACTION_ROLL_BACK);
		du_trace_stop();
		if (error != NULL)
			ReThrowError(error);
		if (!check->met)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("%s-check \"%s\" is not met", kind, check->name),
					 errdetail("Function \"%s\" returned %s.", check->function,
							   check->is_null ? "null" : "false"),
					 errhint("The upgrade was rolled back. Clear the cause, or disable the check in documentdb_upgrade.checks.")));
	}
}
