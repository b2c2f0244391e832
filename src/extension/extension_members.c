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

#define NEIGHBOURHOOD	64		/* of OIDs that are read together */

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

/* The library in a row of pg_proc, palloc'd; NULL where it is no C function. */
static char *
library_in(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		probin;

	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang != ClanguageId)
		return NULL;
	probin = heap_getattr(tuple, Anum_pg_proc_probin, desc, &isnull);
	return isnull ? NULL : TextDatumGetCString(probin);
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

/* A function, and its place among the members. */
typedef struct MemberFunction
{
	Oid			oid;
	int			place;
} MemberFunction;

static int
compare_functions(const void *a, const void *b)
{
	Oid			left = ((const MemberFunction *) a)->oid;
	Oid			right = ((const MemberFunction *) b)->oid;

	return (left > right) - (left < right);
}

/* A library, and the place of the first function that is in it. */
typedef struct FoundLibrary
{
	char	   *name;
	int			place;
} FoundLibrary;

static int
compare_places(const ListCell *a, const ListCell *b)
{
	return ((FoundLibrary *) lfirst(a))->place - ((FoundLibrary *) lfirst(b))->place;
}

static List *
add_library(List *found, char *name, int place)
{
	FoundLibrary *library;
	ListCell   *lc;

	foreach(lc, found)
	{
		library = lfirst(lc);
		if (strcmp(library->name, name) == 0)
		{
			library->place = Min(library->place, place);
			pfree(name);
			return found;
		}
	}
	library = palloc(sizeof(FoundLibrary));
	library->name = name;
	library->place = place;
	return lappend(found, library);
}

/* Adds the libraries of functions whose OIDs lie close together, in order. */
static List *
add_libraries(List *found, Relation rel, const MemberFunction *functions, int n)
{
	SysScanDesc scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;
	int			next = 0;

	ScanKeyInit(&keys[0], Anum_pg_proc_oid, BTGreaterEqualStrategyNumber, F_OIDGE,
				ObjectIdGetDatum(functions[0].oid));
	ScanKeyInit(&keys[1], Anum_pg_proc_oid, BTLessEqualStrategyNumber, F_OIDLE,
				ObjectIdGetDatum(functions[n - 1].oid));
	scan = systable_beginscan(rel, ProcedureOidIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			oid = ((Form_pg_proc) GETSTRUCT(tuple))->oid;
		char	   *library;

		while (next < n && functions[next].oid < oid)
			next++;
		if (next == n || functions[next].oid != oid)
			continue;
		library = library_in(tuple, RelationGetDescr(rel));
		if (library != NULL)
			found = add_library(found, library, functions[next].place);
	}
	systable_endscan(scan);
	return found;
}

/*
 * The libraries that functions of an extension are in, in the order in which
 * those name them first.  An extension has hundreds of functions that were made
 * one after the other, so they are read in the order of their OIDs: to look each
 * of them up takes many times as long in a new session.
 */
static List *
libraries_of_functions(Oid extension)
{
	List	   *oids = members(extension, ProcedureRelationId);
	int			n = list_length(oids);
	MemberFunction *functions = palloc(Max(n, 1) * sizeof(MemberFunction));
	Relation	rel = table_open(ProcedureRelationId, AccessShareLock);
	List	   *found = NIL;
	List	   *names = NIL;
	int			first = 0;
	ListCell   *lc;

	foreach(lc, oids)
	{
		functions[foreach_current_index(lc)].oid = lfirst_oid(lc);
		functions[foreach_current_index(lc)].place = foreach_current_index(lc);
	}
	qsort(functions, n, sizeof(MemberFunction), compare_functions);
	for (int i = 1; i <= n; i++)
	{
		if (i < n && functions[i].oid - functions[i - 1].oid <= NEIGHBOURHOOD)
			continue;
		found = add_libraries(found, rel, &functions[first], i - first);
		first = i;
	}
	table_close(rel, AccessShareLock);
	list_sort(found, compare_places);
	foreach(lc, found)
		names = lappend(names, ((FoundLibrary *) lfirst(lc))->name);
	return names;
}

static List *
library_names(const ExtensionFacts *extension)
{
	List	   *names = libraries_of_functions(extension->oid);

	if (extension->control->module_pathname != NULL)
		names = add_name(names, pstrdup(extension->control->module_pathname));
	return names;
}

/*
 * The libraries that the extension's functions use, and the one that its
 * control file names, as they are spelled there.  They are of the time when
 * these facts were first asked for them.
 */
List *
du_members_library_names(const ExtensionFacts *extension)
{
	LibraryNames *libraries = extension->libraries;
	MemoryContext context;

	if (libraries == NULL)
		return library_names(extension);
	if (!libraries->known)
	{
		context = MemoryContextSwitchTo(libraries->context);
		libraries->names = library_names(extension);
		libraries->known = true;
		MemoryContextSwitchTo(context);
	}
	return libraries->names;
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
