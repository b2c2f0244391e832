/*-------------------------------------------------------------------------
 *
 * object_privileges.c
 *	  The privileges that a catalogue row grants.
 *
 * As texts, the way aclitem is written, so that two rows can be compared item
 * by item.  A row without any grants what is usual for its kind of object.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_parameter_acl.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
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
List *
du_privileges_usual(const WatchedCatalog *catalog, HeapTuple row, TupleDesc desc)
{
	ObjectType	type;

	if (!du_watched_acl_type(catalog, row, desc, &type))
		return NIL;
	return items_of(acldefault(type, owner_of(catalog, row, desc)));
}

/*
 * Those that a row grants, palloc'd.
 */
List *
du_privileges_of(const WatchedCatalog *catalog, HeapTuple row, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(row, catalog->acl, desc, &isnull);

	return isnull ? du_privileges_usual(catalog, row, desc) : items_of(DatumGetAclPCopy(value));
}

/*
 * Those of a that b lacks, palloc'd.
 */
List *
du_privileges_without(List *a, List *b)
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
