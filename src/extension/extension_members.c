/*-------------------------------------------------------------------------
 *
 * extension_members.c
 *	  What belongs to an extension: libraries, tables, schemas.
 *
 * Read from pg_depend by catalogue scans, for the same reason as in
 * managed_set.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/base.h"

/*
 * The extension's members as a list of ObjectAddress, palloc'd.
 */
List *
du_members_of(Oid extension)
{
	List	   *addresses = NIL;
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(ExtensionRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress *address;

		if (depend->deptype != DEPENDENCY_EXTENSION)
			continue;
		address = palloc(sizeof(ObjectAddress));
		ObjectAddressSubSet(*address, depend->classid, depend->objid, depend->objsubid);
		addresses = lappend(addresses, address);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return addresses;
}

/*
 * OIDs of the extension's members in one catalogue.
 */
static List *
members(Oid extension, Oid catalogue)
{
	List	   *oids = NIL;
	ListCell   *lc;

	foreach(lc, du_members_of(extension))
	{
		const ObjectAddress *address = lfirst(lc);

		if (address->classId == catalogue)
			oids = lappend_oid(oids, address->objectId);
	}
	return oids;
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* Adds a name that the list does not have yet. */
static List *
add_name(List *names, char *name)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return names;
	}
	return lappend(names, name);
}

/*
 * The library of a C function as pg_proc names it, NULL for another kind.
 */
char *
du_members_library_of(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	char	   *library = NULL;
	bool		isnull;
	Datum		probin;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
	{
		probin = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &isnull);
		if (!isnull)
			library = TextDatumGetCString(probin);
	}
	ReleaseSysCache(tuple);
	return library;
}

/*
 * The libraries that the extension's functions use, and the one that its
 * control file names, as they are spelled there.
 */
List *
du_members_library_names(const ExtensionFacts *extension)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, members(extension->oid, ProcedureRelationId))
	{
		char	   *library = du_members_library_of(lfirst_oid(lc));

		if (library != NULL)
			names = add_name(names, library);
	}
	if (extension->control->module_pathname != NULL)
		names = add_name(names, pstrdup(extension->control->module_pathname));
	return names;
}

/*
 * OIDs of the extension's functions in a library, as pg_proc spells it.
 */
List *
du_members_functions_in(const ExtensionFacts *extension, const char *library)
{
	List	   *functions = NIL;
	ListCell   *lc;

	foreach(lc, members(extension->oid, ProcedureRelationId))
	{
		char	   *spelled = du_members_library_of(lfirst_oid(lc));

		if (spelled != NULL && strcmp(spelled, library) == 0)
			functions = lappend_oid(functions, lfirst_oid(lc));
	}
	return functions;
}

/*
 * Their files; sorted, without those that do not exist.
 */
List *
du_members_libraries(const ExtensionFacts *extension)
{
	List	   *libraries = NIL;
	ListCell   *lc;

	foreach(lc, du_members_library_names(extension))
	{
		char	   *path = du_control_library_path(lfirst(lc));

		if (path != NULL)
			libraries = add_name(libraries, path);
	}
	list_sort(libraries, compare_names);
	return libraries;
}

/*
 * OIDs of the relations of an extension that can hold rows or locks: tables,
 * partitioned tables, materialized views, foreign tables.
 */
static List *
members_tables(Oid extension)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, members(extension, RelationRelationId))
	{
		char		relkind = get_rel_relkind(lfirst_oid(lc));

		if (relkind == RELKIND_RELATION ||
			relkind == RELKIND_PARTITIONED_TABLE ||
			relkind == RELKIND_MATVIEW ||
			relkind == RELKIND_FOREIGN_TABLE)
			tables = lappend_oid(tables, lfirst_oid(lc));
	}
	return tables;
}

/*
 * Makes every session, and every standby, forget what it has cached of the
 * extension's tables.  Extensions that gate features on the version in the
 * catalogue (DocumentDB does) drop their copy on this signal.
 */
void
du_members_invalidate_tables(Oid extension)
{
	ListCell   *lc;

	foreach(lc, members_tables(extension))
		CacheInvalidateRelcacheByRelid(lfirst_oid(lc));
	CommandCounterIncrement();
}

/*
 * Names of the extension's schemas, its own and its members, that a role
 * cannot use; sorted.
 */
List *
du_members_schemas_without_usage(const ExtensionFacts *extension, Oid role)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, lappend_oid(members(extension->oid, NamespaceRelationId),
							extension->schema))
	{
		char	   *name = get_namespace_name(lfirst_oid(lc));

		if (name != NULL &&
			du_namespace_aclcheck(lfirst_oid(lc), role, ACL_USAGE) != ACLCHECK_OK)
			names = add_name(names, name);
	}
	list_sort(names, compare_names);
	return names;
}
