/*-------------------------------------------------------------------------
 *
 * execution_context.c
 *	  As whom, and with which settings, our own code runs.
 *
 * A plain role with EXECUTE on one function must get a true answer, and must
 * get nothing else.  So the functions switch to the owner of this extension
 * and pin the search_path before they look at anything, and switch back when
 * they are done; on an error the (sub)transaction's abort restores both.
 * The restricted security mode is not used, because it breaks temporary
 * tables and PREPARE in update scripts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* The last query that failed was refused: by whoever keeps queries out. */
static bool query_refused = false;

typedef struct SavedPlan
{
	const char *sql;			/* hash key */
	SPIPlanPtr	plan;
} SavedPlan;

/*
 * This extension's OID, or InvalidOid in a database without it.  From the table: the
 * cache that 18 has hears of a replayed drop only when everybody can see that already.
 */
Oid
du_context_own_extension(void)
{
	Oid			extension = InvalidOid;
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("documentdb_upgrade"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		extension = ((Form_pg_extension) GETSTRUCT(tuple))->oid;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return extension;
}

/*
 * The owner of this extension: the role that our own code runs as.
 */
static Oid
context_own_owner(void)
{
	Oid			extension = du_context_own_extension();
	Oid			owner = InvalidOid;
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	if (!OidIsValid(extension))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"documentdb_upgrade\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION documentdb_upgrade;")));

	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	if (!OidIsValid(owner))
		elog(ERROR, "extension with OID %u vanished", extension);
	return owner;
}

/*
 * True when a role may execute a routine of that name in our schema.  Reads the
 * catalogue alone: a library may refuse what is asked for in queries, and the
 * update after them.
 */
bool
du_context_may_execute(Oid role, const char *name)
{
	CatCList   *routines = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	Oid			schema = get_namespace_oid("documentdb_upgrade", true);
	bool		may = false;

	for (int i = 0; i < routines->n_members; i++)
	{
		Form_pg_proc routine = (Form_pg_proc) GETSTRUCT(&routines->members[i]->tuple);

		may |= routine->pronamespace == schema &&
			du_function_aclcheck(routine->oid, role, ACL_EXECUTE) == ACLCHECK_OK;
	}
	ReleaseCatCacheList(routines);
	return may;
}

/*
 * True when a role may finalize by the procedure and not by the function, so
 * that it is to be told of that one.
 */
bool
du_context_has_procedure_alone(Oid role)
{
	return du_context_may_execute(role, "run_finalize_to") && !du_context_may_execute(role, "finalize_to");
}

/*
 * Sets a setting for the duration of the innermost context.
 */
void
du_context_set(const char *name, const char *value)
{
	(void) set_config_option(name, value,
							 PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Becomes the owner of this extension, with pinned settings for name lookup
 * and string syntax.
 */
void
du_context_enter(ExecutionContext *context)
{
	Oid			owner = context_own_owner();

	GetUserIdAndSecContext(&context->caller, &context->caller_security);
	context->guc_nestlevel = NewGUCNestLevel();
	SetUserIdAndSecContext(owner,
						   context->caller_security | SECURITY_LOCAL_USERID_CHANGE);
	du_context_set("search_path", "pg_catalog, pg_temp");

	/* Scripts are parsed to see what they do, and our own queries too. */
	du_context_set("standard_conforming_strings", "on");
	du_context_set("backslash_quote", "safe_encoding");
}

/*
 * Becomes the caller again, with the settings of the context until
 * du_context_leave().
 */
void
du_context_leave_role(const ExecutionContext *context)
{
	SetUserIdAndSecContext(context->caller, context->caller_security);
}

/*
 * Becomes the caller again, with the caller's settings.
 */
void
du_context_leave(const ExecutionContext *context)
{
	AtEOXact_GUC(true, context->guc_nestlevel);
	SetUserIdAndSecContext(context->caller, context->caller_security);
}

/*
 * The saved plan of a statement.  Statements are constants of this library,
 * so their addresses identify them; planning the few that look at locks and
 * sessions costs more than running them.
 */
static SPIPlanPtr
saved_plan(const char *sql, int nargs, Oid *types)
{
	static HTAB *plans = NULL;
	SavedPlan  *entry;
	SPIPlanPtr	plan;
	bool		found;

	if (plans == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(const char *);
		ctl.entrysize = sizeof(SavedPlan);
		plans = hash_create("documentdb_upgrade statements", 32, &ctl,
							HASH_ELEM | HASH_BLOBS);
	}
	entry = hash_search(plans, &sql, HASH_FIND, NULL);
	if (entry != NULL)
		return entry->plan;

	plan = SPI_prepare_cursor(sql, nargs, types, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "could not prepare a statement: %s",
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	entry = hash_search(plans, &sql, HASH_ENTER, &found);
	entry->plan = plan;
	return plan;
}

/*
 * Runs one constant SQL statement through the connected SPI and gives back
 * the number of rows it returned or changed.  Names in sql must be qualified
 * or in pg_catalog.  Each statement takes a fresh snapshot, so what it sees
 * is of after any lock that was waited for.  The current memory context
 * stays what it was, so that the accessors below give values in the caller's
 * context.
 */
int
du_query(const char *sql, int nargs, Oid *types, Datum *values)
{
	MemoryContext context = CurrentMemoryContext;
	int			rc = 0;

	query_refused = false;
	PG_TRY();
	{
		rc = SPI_execute_plan(saved_plan(sql, nargs, types), values, NULL, false, 0);
	}
	PG_CATCH();
	{
		int			code = geterrcode();

		query_refused = code == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE ||
			code == ERRCODE_FEATURE_NOT_SUPPORTED;
		PG_RE_THROW();
	}
	PG_END_TRY();

	/* SPI leaves its own context current, which ends with the connection. */
	MemoryContextSwitchTo(context);
	if (rc < 0)
		elog(ERROR, "query failed: %s", SPI_result_code_string(rc));
	return (int) SPI_processed;
}

/*
 * True when the last du_query() has failed in the way of a library that keeps
 * every query out until its extension is updated: none of our own queries
 * raises such codes by itself.
 */
bool
du_query_was_refused(void)
{
	return query_refused;
}

/*
 * True when a table of ours has no row now: cheaper to see than to plan the
 * query that would say so.
 */
bool
du_table_is_empty(const char *name)
{
	TableScan	scan;
	bool		empty;

	du_scan_begin(&scan, "documentdb_upgrade", name);
	empty = !du_scan_next(&scan);
	du_scan_end(&scan, NoLock);
	return empty;
}

/*
 * Runs one utility statement through the connected SPI.
 */
void
du_execute(const char *sql)
{
	MemoryContext context = CurrentMemoryContext;
	int			rc = SPI_execute(sql, false, 0);

	MemoryContextSwitchTo(context);
	if (rc < 0)
		elog(ERROR, "statement failed: %s", SPI_result_code_string(rc));
}

/*
 * A list of OIDs as a parameter of type oid[].
 */
Datum
du_oid_array(const List *oids)
{
	Datum	   *elements = palloc(Max(list_length(oids), 1) * sizeof(Datum));
	const ListCell *lc;
	int			n = 0;

	foreach(lc, oids)
		elements[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(elements, n, OIDOID, sizeof(Oid),
										   true, TYPALIGN_INT));
}

/*
 * A value of the last result as palloc'd text, NULL for a null.
 */
char *
du_query_text(int row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

Datum
du_query_datum(int row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 column, isnull);
}

/* Zero for a null; the column must be a bigint. */
int64
du_query_int(int row, int column)
{
	bool		isnull;
	Datum		value = du_query_datum(row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

/* Zero for a null; the column must be a double precision. */
double
du_query_double(int row, int column)
{
	bool		isnull;
	Datum		value = du_query_datum(row, column, &isnull);

	return isnull ? 0 : DatumGetFloat8(value);
}
