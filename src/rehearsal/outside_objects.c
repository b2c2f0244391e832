/*-------------------------------------------------------------------------
 *
 * outside_objects.c
 *	  Which objects are not part of the extensions that are upgraded.
 *
 * Members are read when a run begins, for a script may take one out of its
 * extension before it drops it.  What belongs to a member (its columns,
 * indexes, constraints, triggers, the sequence of a column) depends on it
 * automatically or internally, and what the run itself has made is nobody
 * else's.  What is left is of users, or of other extensions.
 *
 * Roles, databases, settings and the like are in no extension and are judged
 * by other means (see step_risk.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_parameter_acl.h"
#include "catalog/pg_publication_namespace.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_tablespace.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/rel.h"

/* More owners than that nobody has: a column default of a partition's column. */
#define MAX_DEPTH	8

typedef struct InsideKey
{
	Oid			classid;
	Oid			objid;
} InsideKey;

static HTAB *inside = NULL;		/* NULL: nobody watches */
static List *own_schemas = NIL; /* that CREATE EXTENSION has made */

static void
add_inside(Oid classid, Oid objid)
{
	InsideKey	key = {classid, objid};

	(void) hash_search(inside, &key, HASH_ENTER, NULL);
}

static bool
is_inside(Oid classid, Oid objid)
{
	InsideKey	key = {classid, objid};

	return hash_search(inside, &key, HASH_FIND, NULL) != NULL;
}

static void
add_members(Oid extension)
{
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

		if (depend->deptype == DEPENDENCY_EXTENSION)
			add_inside(depend->classid, depend->objid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* The memory is about to go, perhaps with the session. */
static void
forget(void *arg)
{
	if (inside == arg)
		inside = NULL;
}

/*
 * Begins a run: reads what belongs to the managed set now.  Ends with
 * du_outside_unwatch(), at the latest with the current memory context.
 */
void
du_outside_watch(const UpgradeFacts *facts)
{
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	HASHCTL		ctl = {0};

	ctl.keysize = ctl.entrysize = sizeof(InsideKey);
	ctl.hcxt = CurrentMemoryContext;
	inside = hash_create("documentdb_upgrade members", 1024, &ctl,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	callback->func = forget;
	callback->arg = inside;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	own_schemas = NIL;

	for (int i = 0; i < facts->nextensions; i++)
	{
		const ExtensionFacts *extension = &facts->extensions[i];

		if (!OidIsValid(extension->oid))
			continue;
		add_inside(ExtensionRelationId, extension->oid);
		add_members(extension->oid);

		/*
		 * A schema that CREATE EXTENSION has made is no member.  Users may
		 * have made it too, and put something in it.
		 */
		if (extension->schema >= FirstNormalObjectId &&
			!is_inside(NamespaceRelationId, extension->schema))
		{
			add_inside(NamespaceRelationId, extension->schema);
			own_schemas = lappend_oid(own_schemas, extension->schema);
		}
	}
}

/*
 * Ends it.  May be called more than once.
 */
void
du_outside_unwatch(void)
{
	inside = NULL;
}

/*
 * Says that the run has made an object itself.
 */
void
du_outside_add_made(const ObjectAddress *object)
{
	if (inside != NULL && object->objectSubId == 0)
		add_inside(object->classId, object->objectId);
}

/* True for what is shared by all databases, or is nothing but default privileges. */
static bool
is_in_no_extension(Oid classid)
{
	return classid == AuthIdRelationId || classid == AuthMemRelationId ||
		classid == DatabaseRelationId || classid == DbRoleSettingRelationId ||
		classid == TableSpaceRelationId || classid == ParameterAclRelationId ||
		classid == DefaultAclRelationId;
}

/* True for an object that is inside, or that belongs to one that is. */
static bool
belongs(Oid classid, Oid objid, int depth)
{
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;
	bool		result = false;

	if (is_inside(classid, objid))
		return true;

	/* A publication's list names the table of somebody else. */
	if (depth >= MAX_DEPTH || classid == PublicationRelRelationId ||
		classid == PublicationNamespaceRelationId)
		return false;
	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(classid));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(objid));
	scan = systable_beginscan(rel, DependDependerIndexId, true, NULL, 2, keys);
	while (!result && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		if ((depend->deptype == DEPENDENCY_AUTO || depend->deptype == DEPENDENCY_INTERNAL) &&
			!(depend->refclassid == classid && depend->refobjid == objid))
			result = belongs(depend->refclassid, depend->refobjid, depth + 1);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* The schema of an object, or of the table that it is on; InvalidOid: in none. */
static Oid
schema_of(Oid classid, Oid objid, int depth)
{
	ObjectAddress object;
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;
	Oid			schema = InvalidOid;

	ObjectAddressSet(object, classid, objid);
	if (is_objectclass_supported(classid) &&
		get_object_attnum_namespace(classid) != InvalidAttrNumber)
		return get_object_namespace(&object);
	if (depth >= MAX_DEPTH)
		return InvalidOid;
	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(classid));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(objid));
	scan = systable_beginscan(rel, DependDependerIndexId, true, NULL, 2, keys);
	while (!OidIsValid(schema) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		if (depend->deptype == DEPENDENCY_AUTO || depend->deptype == DEPENDENCY_INTERNAL)
			schema = schema_of(depend->refclassid, depend->refobjid, depth + 1);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return schema;
}

/*
 * Whose an object is, which must still exist.  PLACE_INSIDE when nobody watches.
 */
ObjectPlace
du_outside_place(Oid classid, Oid objid)
{
	Oid			schema;

	if (is_in_no_extension(classid))
		return PLACE_NOWHERE;
	if (inside == NULL || belongs(classid, objid, 0))
		return PLACE_INSIDE;
	schema = schema_of(classid, objid, 0);
	return OidIsValid(schema) && is_inside(NamespaceRelationId, schema) &&
		!list_member_oid(own_schemas, schema) ? PLACE_MEMBER_SCHEMA : PLACE_OUTSIDE;
}
