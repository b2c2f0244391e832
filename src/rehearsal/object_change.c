/*-------------------------------------------------------------------------
 *
 * object_change.c
 *	  What has happened to one object, by its row before and after.
 *
 * Rows are compared column by column and privileges item by item, as texts, the
 * way aclitem is written; a row without any grants what is usual for its kind of
 * object.  Of an object that comes and goes with another only privileges are its
 * own: a grant on a column of a new table, or on the type of its rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_parameter_acl.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/*
 * The name that a role had, in place of its OID, which is all that the server
 * still knows of it; NULL for others.
 */
static const char *
name_of_dropped(Oid role)
{
	if (role == ACL_ID_PUBLIC || SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
		return NULL;
	return du_dropped_role_name(role);
}

/* An item as a text: grantee=letters/grantor. */
static char *
item_text(const AclItem *item)
{
	char	   *text = OidOutputFunctionCall(F_ACLITEMOUT, PointerGetDatum(item));
	const char *grantee = name_of_dropped(item->ai_grantee);
	const char *grantor = name_of_dropped(item->ai_grantor);

	if (grantor != NULL)
	{
		text[		strlen(text) - strlen(psprintf("%u", item->ai_grantor))] = '\0';
		text = psprintf("%s%s", text, grantor);
	}
	if (grantee != NULL)
		text = psprintf("%s%s", grantee, text +strlen(psprintf("%u", item->ai_grantee)));
	return text;
}

/* The items of an access control list, as texts. */
static List *
items_of(const Acl *acl)
{
	List	   *items = NIL;

	for (int i = 0; i < ACL_NUM(acl); i++)
		items = lappend(items, item_text(&ACL_DAT(acl)[i]));
	return items;
}

/* The owner whose usual privileges apply. */
static Oid
owner_of(const WatchedCatalog *catalog, HeapTuple row, TupleDesc desc)
{
	AttrNumber	column;
	bool		isnull;

	if (catalog->catalogue == ParameterAclRelationId)
		return BOOTSTRAP_SUPERUSERID;
	column = catalog->catalogue == DefaultAclRelationId ? Anum_pg_default_acl_defaclrole :
		get_object_attnum_owner(catalog->classid);
	return DatumGetObjectId(heap_getattr(row, column, desc, &isnull));
}

/*
 * Those that an object has when none are written down, palloc'd.
 */
static List *
usual_privileges(const WatchedCatalog *catalog, HeapTuple row, TupleDesc desc)
{
	ObjectType	type;

	if (!du_watched_acl_type(catalog, row, desc, &type))
		return NIL;
	return items_of(acldefault(type, owner_of(catalog, row, desc)));
}

/*
 * Those that a row grants, palloc'd.
 */
static List *
privileges_of(const WatchedCatalog *catalog, HeapTuple row, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(row, catalog->acl, desc, &isnull);

	return isnull ? usual_privileges(catalog, row, desc) : items_of(DatumGetAclPCopy(value));
}

/*
 * Those of a that b lacks, palloc'd.
 */
static List *
privileges_without(List *a, List *b)
{
	List	   *result = NIL;
	ListCell   *la;
	ListCell   *lb;

	foreach(la, a)
	{
		bool		found = false;

		foreach(lb, b)
			found |= strcmp(lfirst(la), lfirst(lb)) == 0;
		if (!found)
			result = lappend(result, lfirst(la));
	}
	return result;
}

/*
 * Notes in a change what was granted and revoked.
 */
void
du_change_set_privileges(CatalogChange *change, List *before, List *after)
{
	change->privileges = after;
	change->granted = privileges_without(after, before);
	change->revoked = privileges_without(before, after);
}

/*
 * What is new starts with the privileges that are usual.  What is removed has
 * no privileges to lose, except that a row of default privileges is nothing
 * else.
 */
static void
compare_privileges(const TouchedObject *entry, TupleDesc desc, CatalogChange *change)
{
	const WatchedCatalog *catalog = entry->catalog;

	if (catalog->acl == InvalidAttrNumber)
		return;
	/* An owner takes along what comes with the object. */
	if (change->dependent && change->action == CHANGE_CHANGED &&
		heap_attisnull(entry->before, catalog->acl, desc) &&
		heap_attisnull(entry->after, catalog->acl, desc))
		return;
	if (entry->after == NULL && !du_watched_is_privileges(catalog))
		change->privileges = privileges_of(catalog, entry->before, desc);
	else
		du_change_set_privileges(change,
								 entry->before != NULL ? privileges_of(catalog, entry->before, desc) :
								 usual_privileges(catalog, entry->after, desc),
								 entry->after != NULL ? privileges_of(catalog, entry->after, desc) :
								 usual_privileges(catalog, entry->before, desc));
}

/* Finds out in which way the two versions of a row differ. */
static void
compare_rows(const TouchedObject *entry, TupleDesc desc, CatalogChange *change)
{
	AttrNumber	owner = entry->catalog->classid == entry->catalog->catalogue &&
	is_objectclass_supported(entry->catalog->classid) ?
	get_object_attnum_owner(entry->catalog->classid) : InvalidAttrNumber;

	for (int n = 1; n <= desc->natts; n++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, n - 1);
		bool		null_before;
		bool		null_after;
		Datum		before = heap_getattr(entry->before, n, desc, &null_before);
		Datum		after = heap_getattr(entry->after, n, desc, &null_after);

		if (du_watched_is_bookkeeping(entry->catalog, n) ||
			(null_before && null_after) ||
			(null_before == null_after &&
			 datumIsEqual(before, after, column->attbyval, column->attlen)))
			continue;
		if (n == entry->catalog->acl)
			continue;			/* has been compared item by item */
		if (n == owner)
			change->owner = true;
		else if (du_watched_is_storage(entry->catalog, n))
			change->rewritten = true;
		else
			change->definition = true;
	}
}

/*
 * Names a column by its relation, which has been dropped: the server says that
 * of the relation alone.
 */
static void
name_dropped_column(const TouchedObject *entry, CatalogChange *change)
{
	const DroppedObject *relation = du_dropped_find(entry->object.classId, entry->object.objectId, 0);
	Form_pg_attribute column = (Form_pg_attribute) GETSTRUCT(entry->before);

	if (relation == NULL || relation->kind == NULL || relation->identity == NULL)
		return;
	change->kind = psprintf("%s column", relation->kind);
	change->identity = psprintf("%s.%s", relation->identity,
								quote_identifier(NameStr(column->attname)));
}

/* Names the object of a change. */
static void
name_object(const TouchedObject *entry, TupleDesc desc, CatalogChange *change)
{
	const DroppedObject *gone = NULL;

	if (change->action == CHANGE_REMOVED)
		gone = du_dropped_find(entry->object.classId, entry->object.objectId,
							   entry->object.objectSubId);

	if (entry->catalog != NULL && entry->catalog->describe != NULL)
	{
		change->kind = entry->catalog->kind;
		change->identity = entry->catalog->describe(entry->after ? entry->after : entry->before, desc);
	}
	else if (gone != NULL)
	{
		change->kind = gone->kind;
		change->identity = gone->identity;
	}
	else if (change->action == CHANGE_REMOVED && entry->catalog != NULL &&
			 entry->catalog->catalogue == AttributeRelationId)
		name_dropped_column(entry, change);
	else if (change->action != CHANGE_REMOVED && is_objectclass_supported(entry->object.classId))
	{
		change->kind = getObjectTypeDescription(&entry->object, true);
		change->identity = getObjectIdentity(&entry->object, true);
	}
	if (change->kind == NULL)
		change->kind = "object";
	if (change->identity == NULL)
		change->identity = psprintf("%u/%u/%d", entry->object.classId,
									entry->object.objectId, entry->object.objectSubId);
}

/* True for objects that come and go with others. */
static bool
is_derived(const TouchedObject *entry, TupleDesc desc)
{
	return entry->catalog->is_derived != NULL &&
		entry->catalog->is_derived(entry->after ? entry->after : entry->before, desc);
}

/* True for two rows that say the same. */
static bool
is_same_row(HeapTuple a, HeapTuple b)
{
	return a->t_tableOid == b->t_tableOid && a->t_len == b->t_len &&
		a->t_data->t_hoff == b->t_data->t_hoff &&
		memcmp((char *) a->t_data + a->t_data->t_hoff,
			   (char *) b->t_data + b->t_data->t_hoff,
			   a->t_len - a->t_data->t_hoff) == 0;
}

/*
 * True when the rows about an object's parts are not written anew as they
 * were.
 */
static bool
parts_differ(const TouchedObject *entry)
{
	ListCell   *la;
	ListCell   *lb;

	if (list_length(entry->parts_before) != list_length(entry->parts_after))
		return true;
	foreach(la, entry->parts_after)
	{
		bool		found = false;

		foreach(lb, entry->parts_before)
			found |= is_same_row(lfirst(la), lfirst(lb));
		if (!found)
			return true;
	}
	return false;
}

/* True for what is of interest in any case, or may be in the end. */
static bool
is_worth_keeping(const TouchedObject *entry, const CatalogChange *change)
{
	if (change->dependent && change->action != CHANGE_CHANGED)
		return entry->catalog->acl != InvalidAttrNumber;
	return change->definition || change->owner || change->rewritten ||
		change->granted != NIL || change->revoked != NIL;
}

/*
 * The change of one object, with its name; NULL when nothing of interest has
 * changed.  with_relation: its relation is itself new or gone.  What comes and
 * goes with another object is marked as dependent, and counts only if it has
 * granted or revoked something.
 */
CatalogChange *
du_change_conclude(const TouchedObject *entry, bool with_relation)
{
	CatalogChange *change = palloc0(sizeof(CatalogChange));
	Relation	rel;
	TupleDesc	desc;

	change->object = entry->object;
	change->action = CHANGE_CHANGED;
	change->definition = parts_differ(entry);
	if (entry->catalog == NULL)
	{
		if (!change->definition || with_relation)
			return NULL;
		name_object(entry, NULL, change);
		return change;
	}

	rel = table_open(entry->catalog->catalogue, AccessShareLock);
	desc = RelationGetDescr(rel);
	change->dependent = with_relation || is_derived(entry, desc);
	if (entry->before == NULL || entry->after == NULL)
	{
		change->action = entry->before == NULL ? CHANGE_ADDED : CHANGE_REMOVED;
		change->definition = !change->dependent;
	}
	else if (!change->dependent)
		compare_rows(entry, desc, change);
	compare_privileges(entry, desc, change);

	if (is_worth_keeping(entry, change))
		name_object(entry, desc, change);
	else
		change = NULL;
	table_close(rel, AccessShareLock);
	return change;
}
