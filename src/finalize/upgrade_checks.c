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
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

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

/* True when the main extension has all that a check requires. */
static bool
applies(ArrayType *requirements)
{
	Oid			extension = get_extension_oid(du_main_extension(), true);
	Datum	   *required;
	bool	   *nulls;
	int			nrequired;

	deconstruct_array(requirements, TEXTOID, -1, false, TYPALIGN_INT, &required, &nulls, &nrequired);
	for (int i = 0; i < nrequired; i++)
	{
		if (nulls[i] || !OidIsValid(extension) || !is_met(extension, required[i]))
			return false;
	}
	return true;
}

/*
 * check_applies(requires text[]) returns boolean
 *
 * A null requires nothing.
 */
Datum
documentdb_upgrade_check_applies(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_ARGISNULL(0) || applies(PG_GETARG_ARRAYTYPE_P(0)));
}

/* True for the row of an enabled check of that kind that applies here. */
static bool
is_wanted(const TableScan *checks, const char *kind)
{
	bool		isnull;
	Datum		requirements;

	if (!DatumGetBool(du_scan_value(checks, "enabled", &isnull)) || !du_scan_has_text(checks, "kind", kind))
		return false;
	requirements = du_scan_value(checks, "requires", &isnull);
	return isnull || applies(DatumGetArrayTypeP(requirements));
}

/* The function of that name and arguments, InvalidOid when there is none. */
static Oid
find_function(const char *name)
{
	LOCAL_FCINFO(call, 1);
	Datum		function;

	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = CStringGetTextDatum(name);
	call->args[0].isnull = false;
	function = to_regprocedure(call);
	return call->isnull ? InvalidOid : DatumGetObjectId(function);
}

static int
compare_checks(const ListCell *a, const ListCell *b)
{
	const char *left = ((const Check *) lfirst(a))->name;
	const char *right = ((const Check *) lfirst(b))->name;

	return varstr_cmp(left, strlen(left), right, strlen(right), DEFAULT_COLLATION_OID);
}

/*
 * The enabled checks of a kind ("pre" or "post") that apply here, by name,
 * palloc'd.  Read by a scan: mostly there are none, and to plan a query takes
 * longer.  Where there are some, one query is run: they will ask by queries, and
 * a library that refuses those is to do so here, not in a check.  SPI must be
 * connected.
 */
List *
du_checks_find(const char *kind)
{
	List	   *checks = NIL;
	TableScan	scan;

	du_scan_begin(&scan, "documentdb_upgrade", "checks");
	while (du_scan_next(&scan))
	{
		Check	   *check;

		if (!is_wanted(&scan, kind))
			continue;
		check = palloc0(sizeof(Check));
		check->name = du_scan_text(&scan, "name");
		check->function = du_scan_text(&scan, "function");
		check->oid = find_function(check->function);
		checks = lappend(checks, check);
	}
	du_scan_end(&scan, NoLock);
	list_sort(checks, compare_checks);
	if (checks != NIL)
	{
		(void) du_query("SELECT 1", 0, NULL, NULL);
		SPI_freetuptable(SPI_tuptable);
	}
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
 * Runs the checks of a kind that were found.  Raises 55000 for one that does not
 * return true, and passes on what a check itself raises.
 */
void
du_checks_run(const char *kind, List *checks)
{
	ListCell   *lc;

	foreach(lc, checks)
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
