/*-------------------------------------------------------------------------
 *
 * standing_objects.c
 *	  Whether anything can stand on what the scripts of an upgrade drop.
 *
 * Most scripts drop nothing that an object of somebody else stands on.  That is
 * seen from pg_depend alone, in much less time than it takes to plan the query
 * that says what stands on what (standing_on()): where nothing is found here,
 * nothing would be found there.  The converse does not hold.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "extension/extension.h"
#include "plan/plan.h"

/* An object of the managed set: a member, or a part of one. */
typedef struct InsideObject
{
	Oid			classid;		/* these two are the hash key */
	Oid			object;
	bool		reached;		/* from what a script names */
} InsideObject;

typedef struct Search
{
	HTAB	   *inside;
	Relation	depend;
	List	   *reached;		/* of InsideObject; what depends on them is to be
								 * looked at */
} Search;

static InsideObject *
find_inside(const Search *search, Oid classid, Oid object, HASHACTION action)
{
	Oid			key[2] = {classid, object};
	bool		found;
	InsideObject *entry = hash_search(search->inside, key, action, &found);

	if (entry != NULL && !found)
		entry->reached = false;
	return entry;
}

static void
reach(Search *search, InsideObject *entry)
{
	if (entry->reached)
		return;
	entry->reached = true;
	search->reached = lappend(search->reached, entry);
}

/* Starts a scan over one side of pg_depend. */
static SysScanDesc
scan_dependencies(const Search *search, bool of_referenced, Oid classid, Oid object)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], of_referenced ? Anum_pg_depend_refclassid : Anum_pg_depend_classid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(classid));
	ScanKeyInit(&keys[1], of_referenced ? Anum_pg_depend_refobjid : Anum_pg_depend_objid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
	return systable_beginscan(search->depend, of_referenced ? DependReferenceIndexId : DependDependerIndexId,
							  true, NULL, 2, keys);
}

/*
 * True for a relation that belongs to another: partitions and sequences belong
 * to a table too, and are objects for themselves.
 */
static bool
is_part_of_relation(Oid relation)
{
	char		kind = get_rel_relkind(relation);

	return kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX || kind == RELKIND_TOASTVALUE;
}

/*
 * True for an object that comes and goes with one inside: the rule of a view,
 * the default of a column, an index, the type of rows.
 */
static bool
is_part(const Search *search, Oid classid, Oid object)
{
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	if (classid == RelationRelationId && !is_part_of_relation(object))
		return false;
	scan = scan_dependencies(search, false, classid, object);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		found = (depend->deptype == DEPENDENCY_INTERNAL || depend->deptype == DEPENDENCY_AUTO) &&
			find_inside(search, depend->refclassid, depend->refobjid, HASH_FIND) != NULL;
	}
	systable_endscan(scan);
	return found;
}

/*
 * True when something outside depends on an object; what is inside is reached
 * from it.
 */
static bool
carries_outside(Search *search, const InsideObject *base)
{
	SysScanDesc scan = scan_dependencies(search, true, base->classid, base->object);
	HeapTuple	tuple;
	bool		outside = false;

	while (!outside && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		InsideObject *entry = find_inside(search, depend->classid, depend->objid, HASH_FIND);

		/* Entries of an operator family go with it, and nothing depends on them. */
		if (depend->deptype == DEPENDENCY_EXTENSION || depend->classid == ExtensionRelationId ||
			depend->classid == AccessMethodOperatorRelationId ||
			depend->classid == AccessMethodProcedureRelationId)
			continue;
		if (entry == NULL && is_part(search, depend->classid, depend->objid))
			entry = find_inside(search, depend->classid, depend->objid, HASH_ENTER);
		if (entry == NULL)
			outside = true;
		else
			reach(search, entry);
	}
	systable_endscan(scan);
	return outside;
}

/* True when a script names an object of that name to drop or replace it. */
static bool
is_named(const UpgradePlan *plan, Oid classid, Oid object)
{
	AttrNumber	column = is_objectclass_supported(classid) ? get_object_attnum_name(classid) : InvalidAttrNumber;
	Relation	rel;
	HeapTuple	tuple;
	bool		isnull;
	bool		named = false;

	if (column == InvalidAttrNumber)
		return false;
	rel = table_open(classid, AccessShareLock);
	tuple = get_catalog_object_by_oid(rel, get_object_attnum_oid(classid), object);
	if (HeapTupleIsValid(tuple))
	{
		Datum		name = heap_getattr(tuple, column, RelationGetDescr(rel), &isnull);

		named = !isnull && du_plan_names_object(plan, NameStr(*DatumGetName(name)));
		heap_freetuple(tuple);
	}
	table_close(rel, AccessShareLock);
	return named;
}

/* Notes the members of an extension, and reaches those that scripts name. */
static void
add_members(Search *search, Oid extension, const UpgradePlan *plan)
{
	ListCell   *lc;

	foreach(lc, du_members_of(extension))
	{
		const ObjectAddress *member = lfirst(lc);
		InsideObject *entry = find_inside(search, member->classId, member->objectId, HASH_ENTER);

		if (is_named(plan, member->classId, member->objectId))
			reach(search, entry);
	}
}

/*
 * False when nothing outside the managed set stands on what the scripts, which
 * must have been read, name to drop, change or replace.  Reads catalogues alone.
 */
bool
du_outside_may_stand(const UpgradeFacts *facts, const UpgradePlan *plan)
{
	HASHCTL		ctl = {0};
	Search		search = {0};
	bool		outside = false;
	ListCell   *lc;

	if (!du_plan_names_object(plan, NULL))
		return false;
	ctl.keysize = 2 * sizeof(Oid);
	ctl.entrysize = sizeof(InsideObject);
	ctl.hcxt = CurrentMemoryContext;
	search.inside = hash_create("documentdb_upgrade members", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	search.depend = table_open(DependRelationId, AccessShareLock);
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (OidIsValid(facts->extensions[i].oid))
			add_members(&search, facts->extensions[i].oid, plan);
	}
	foreach(lc, search.reached)
	{
		/* The list grows while it is gone through. */
		if ((outside = carries_outside(&search, lfirst(lc))))
			break;
	}
	table_close(search.depend, AccessShareLock);
	hash_destroy(search.inside);
	return outside;
}
