/*-------------------------------------------------------------------------
 *
 * object_change.c
 *	  What has happened to one object, by its row before and after.
 *
 * Rows are compared column by column and privileges item by item, as texts, the
 * way aclitem is written; a row without any grants what is usual for its kind of
 * object.  Columns are called by a word for people where there is one.  Of an object that comes and goes with another only privileges are its
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
#include "catalog/pg_type.h"
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
	char	   *words = OidOutputFunctionCall(F_ACLITEMOUT, PointerGetDatum(item));
	const char *grantee = name_of_dropped(item->ai_grantee);
	const char *grantor = name_of_dropped(item->ai_grantor);

	if (grantor != NULL)
	{
		words[strlen(words) - strlen(psprintf("%u", item->ai_grantor))] = '\0';
		words = psprintf("%s%s", words, grantor);
	}
	if (grantee != NULL)
		words = psprintf("%s%s", grantee, words + strlen(psprintf("%u", item->ai_grantee)));
	return words;
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
 * The texts of a that b lacks, palloc'd.
 */
static List *
texts_without(List *a, List *b)
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

/* Notes in a change what was granted and revoked. */
static void
set_privileges(CatalogChange *change, List *before, List *after)
{
	change->privileges = after;
	change->granted = texts_without(after, before);
	change->revoked = texts_without(before, after);
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
	change->usual = usual_privileges(catalog, entry->before ? entry->before : entry->after, desc);
	/* An owner takes along what comes with the object. */
	if (change->dependent && change->action == CHANGE_CHANGED &&
		heap_attisnull(entry->before, catalog->acl, desc) &&
		heap_attisnull(entry->after, catalog->acl, desc))
		return;
	if (entry->after == NULL && !du_watched_is_privileges(catalog))
		change->privileges = privileges_of(catalog, entry->before, desc);
	else
		set_privileges(change,
								 entry->before != NULL ? privileges_of(catalog, entry->before, desc) :
								 usual_privileges(catalog, entry->after, desc),
								 entry->after != NULL ? privileges_of(catalog, entry->after, desc) :
								 usual_privileges(catalog, entry->before, desc));
}

/*
 * The settings that a row has, as name=value, palloc'd: those of a function, the
 * storage parameters of a relation, the options of a column.
 */
static List *
settings_of(const WatchedCatalog *catalog, HeapTuple row, TupleDesc desc)
{
	AttrNumber	column = du_watched_settings(catalog);
	List	   *settings = NIL;
	bool		isnull;
	Datum		value;
	Datum	   *items;
	int			nitems;

	if (column == InvalidAttrNumber)
		return NIL;
	value = heap_getattr(row, column, desc, &isnull);
	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &items, NULL, &nitems);
	for (int i = 0; i < nitems; i++)
		settings = lappend(settings, TextDatumGetCString(items[i]));
	return settings;
}

static char *
name_of_setting(const char *setting)
{
	return pnstrdup(setting, strcspn(setting, "="));
}

/* Notes which settings an object has no longer; another value is a change. */
static void
set_settings(CatalogChange *change, List *before, List *after)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, after)
		names = lappend(names, name_of_setting(lfirst(lc)));
	change->settings = after;
	change->lost = NIL;
	foreach(lc, before)
	{
		if (texts_without(list_make1(name_of_setting(lfirst(lc))), names) != NIL)
			change->lost = lappend(change->lost, lfirst(lc));
	}
}

/* The column of the owner, InvalidAttrNumber where there is none. */
static AttrNumber
owner_column(const WatchedCatalog *catalog)
{
	return catalog->classid == catalog->catalogue && is_objectclass_supported(catalog->classid) ?
		get_object_attnum_owner(catalog->classid) : InvalidAttrNumber;
}

/* Notes what of a definition has changed, once. */
static void
add_detail(CatalogChange *change, const char *words)
{
	List	   *detail = list_make1(unconstify(char *, words));

	if (words == NULL)
		return;
	change->details = list_concat(change->details, texts_without(detail, change->details));
}

/* Finds out in which way two versions of a row differ. */
static void
compare_rows(const WatchedCatalog *catalog, HeapTuple row_before, HeapTuple row_after,
			 TupleDesc desc, CatalogChange *change)
{
	AttrNumber	owner = owner_column(catalog);

	for (int n = 1; n <= desc->natts; n++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, n - 1);
		bool		null_before;
		bool		null_after;
		Datum		before = heap_getattr(row_before, n, desc, &null_before);
		Datum		after = heap_getattr(row_after, n, desc, &null_after);

		if (du_watched_is_bookkeeping(catalog, n) ||
			(null_before && null_after) ||
			(null_before == null_after &&
			 datumIsEqual(before, after, column->attbyval, column->attlen)))
			continue;
		if (n == catalog->acl)
			continue;			/* has been compared item by item */
		if (n == owner)
			change->owner = true;
		else if (du_watched_is_storage(catalog, n))
			change->rewritten = true;
		else
		{
			change->definition = true;
			add_detail(change, du_watched_column_words(catalog, n, desc));
		}
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

/* Notes the rows of a that are not in b. */
static void
add_other_parts(CatalogChange *change, const List *a, const List *b)
{
	const ListCell *la;
	const ListCell *lb;

	foreach(la, a)
	{
		HeapTuple	row = lfirst(la);
		bool		found = false;

		foreach(lb, b)
			found |= is_same_row(row, lfirst(lb));
		if (found)
			continue;
		change->definition = true;
		add_detail(change, du_watched_part_words(row->t_tableOid));
	}
}

/*
 * Finds out whether the rows about an object's parts are not written anew as
 * they were.
 */
static void
compare_parts(const TouchedObject *entry, CatalogChange *change)
{
	add_other_parts(change, entry->parts_after, entry->parts_before);
	add_other_parts(change, entry->parts_before, entry->parts_after);
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

/* Whose the object is, or was when it was dropped; what is new is the upgrade's. */
static ObjectPlace
place_of(const TouchedObject *entry)
{
	const DroppedObject *gone;

	if (entry->catalog != NULL && entry->before == NULL)
		return PLACE_INSIDE;
	gone = du_dropped_find(entry->object.classId, entry->object.objectId, entry->object.objectSubId);
	if (gone == NULL && entry->object.objectSubId != 0)
		gone = du_dropped_find(entry->object.classId, entry->object.objectId, 0);
	return gone != NULL ? gone->place :
		du_outside_place(entry->object.classId, entry->object.objectId);
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
	compare_parts(entry, change);
	change->place = place_of(entry);
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
		compare_rows(entry->catalog, entry->before, entry->after, desc, change);
	compare_privileges(entry, desc, change);
	set_settings(change,
				 change->action == CHANGE_CHANGED ? settings_of(entry->catalog, entry->before, desc) : NIL,
				 settings_of(entry->catalog, entry->after ? entry->after : entry->before, desc));
	change->catalog = entry->catalog;
	change->row = entry->after ? entry->after : entry->before;

	if (is_worth_keeping(entry, change))
		name_object(entry, desc, change);
	else
		change = NULL;
	table_close(rel, AccessShareLock);
	return change;
}

/*
 * The revoked privileges that somebody had granted, palloc'd.
 */
List *
du_change_lost_privileges(const CatalogChange *change)
{
	return texts_without(change->revoked, change->usual);
}

/*
 * In which ways an object has changed, as words for people, palloc'd.
 */
List *
du_change_words(const CatalogChange *change)
{
	List	   *words = NIL;

	if (change->recreated)
		words = lappend(words, "recreated");
	else if (change->definition)
		words = lappend(words, "definition");
	if (change->owner)
		words = lappend(words, "owner");
	if (change->rewritten)
		words = lappend(words, "storage");
	if (change->granted != NIL || change->revoked != NIL)
		words = lappend(words, "privileges");
	return words;
}

/*
 * Makes one change of two: the object was dropped and made anew under its name.
 */
CatalogChange *
du_change_merge(CatalogChange *removed, CatalogChange *added)
{
	set_privileges(added, removed->privileges, added->privileges);
	set_settings(added, removed->settings, added->settings);
	if (removed->row != NULL && added->row != NULL && removed->catalog == added->catalog)
	{
		Relation	rel = table_open(added->catalog->catalogue, AccessShareLock);

		added->details = NIL;
		compare_rows(added->catalog, removed->row, added->row, RelationGetDescr(rel), added);
		added->rewritten = false;
		table_close(rel, AccessShareLock);
	}
	added->action = CHANGE_CHANGED;
	added->recreated = true;
	added->usual = removed->usual;
	added->place = removed->place;
	added->replaced = removed->object;
	return added;
}
