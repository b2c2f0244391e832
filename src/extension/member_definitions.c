/*-------------------------------------------------------------------------
 *
 * member_definitions.c
 *	  The members of an extension: a digest of the definition of each.
 *
 * Every finalize digests all members in its own transaction, so this reads the
 * catalogue tuple by tuple: a query over all kinds takes many times as long to
 * plan as to run.  What makes up a definition is for definition_body.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/base.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_member_definitions);

/* A catalogue whose members are digested. */
typedef struct MemberCatalog
{
	Relation	rel;
	AttrNumber	oid;
	AttrNumber	owner;			/* InvalidAttrNumber: there is none */
	AttrNumber	acl;			/* the same */
	List	   *others;			/* OtherBody, of members that SQL describes */
} MemberCatalog;

typedef struct OtherBody
{
	Oid			object;
	char	   *body;
} OtherBody;

/* The name of each privilege, in the order of its bit. */
static const char *const privilege_names[] =
{
	"INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "EXECUTE",
	"USAGE", "CREATE", "TEMPORARY", "CONNECT", "SET", "ALTER SYSTEM", "MAINTAIN"
};

/* The name of a role for people, who may find it dropped. */
static const char *
role_name(Oid role)
{
	const char *name = GetUserNameFromId(role, true);

	return quote_identifier(name != NULL ? name : psprintf("unknown (OID=%u)", role));
}

/* Which privileges an object of a kind has when none are written down. */
static Acl *
usual_privileges(Oid classid, HeapTuple tuple, Oid owner)
{
	switch (classid)
	{
		case ProcedureRelationId:
			return acldefault(OBJECT_FUNCTION, owner);
		case TypeRelationId:
			return acldefault(OBJECT_TYPE, owner);
		case RelationRelationId:
			return acldefault(((Form_pg_class) GETSTRUCT(tuple))->relkind == RELKIND_SEQUENCE ?
							  OBJECT_SEQUENCE : OBJECT_TABLE, owner);
		case NamespaceRelationId:
			return acldefault(OBJECT_SCHEMA, owner);
		case LanguageRelationId:
			return acldefault(OBJECT_LANGUAGE, owner);
		case ForeignDataWrapperRelationId:
			return acldefault(OBJECT_FDW, owner);
		case ForeignServerRelationId:
			return acldefault(OBJECT_FOREIGN_SERVER, owner);
	}
	return NULL;
}

static int
compare_texts(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* The items of an access control list, one for each privilege, sorted. */
static List *
privilege_items(const Acl *acl)
{
	List	   *items = NIL;

	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		const AclItem *item = &ACL_DAT(acl)[i];
		const char *grantee = item->ai_grantee == ACL_ID_PUBLIC ? "PUBLIC" : role_name(item->ai_grantee);

		for (int bit = 0; bit < lengthof(privilege_names); bit++)
		{
			if (ACLITEM_GET_PRIVS(*item) & (UINT64CONST(1) << bit))
				items = lappend(items, psprintf("%s=%s%s", grantee, privilege_names[bit],
												ACLITEM_GET_GOPTIONS(*item) & (UINT64CONST(1) << bit) ? "*" : ""));
		}
	}
	list_sort(items, compare_texts);
	return items;
}

/*
 * Owner and privileges in one line, palloc'd; empty for what has none.
 */
static char *
privileges_of(const MemberCatalog *catalog, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(catalog->rel);
	StringInfoData buf;
	bool		isnull;
	Oid			owner;
	const Acl  *acl = NULL;
	ListCell   *lc;

	initStringInfo(&buf);
	if (catalog->owner == InvalidAttrNumber)
		return buf.data;
	owner = DatumGetObjectId(heap_getattr(tuple, catalog->owner, desc, &isnull));
	appendStringInfo(&buf, "owner=%s", role_name(owner));
	if (catalog->acl == InvalidAttrNumber)
		return buf.data;
	{
		Datum		value = heap_getattr(tuple, catalog->acl, desc, &isnull);

		acl = isnull ? usual_privileges(RelationGetRelid(catalog->rel), tuple, owner) : DatumGetAclP(value);
	}
	foreach(lc, acl != NULL ? privilege_items(acl) : NIL)
		appendStringInfo(&buf, " %s", (char *) lfirst(lc));
	return buf.data;
}

/*
 * True for a type that says nothing which its relation or its element does not
 * say: since 17 row types and array types are members too.
 */
static bool
is_derived_type(Form_pg_type type)
{
	if (OidIsValid(type->typrelid) && get_rel_relkind(type->typrelid) != RELKIND_COMPOSITE_TYPE)
		return true;
	return OidIsValid(type->typelem) && get_array_type(type->typelem) == type->oid;
}

/* True for a type of which SQL has more to say. */
static bool
has_more(Oid classid, HeapTuple tuple)
{
	char		kind = classid == TypeRelationId ? ((Form_pg_type) GETSTRUCT(tuple))->typtype : '\0';

	return kind != '\0' && kind != TYPTYPE_BASE && kind != TYPTYPE_PSEUDO;
}

/* What SQL says of members of a catalogue.  SPI must be connected. */
static List *
read_others(Oid classid, List *objects)
{
	Oid			types[2] = {OIDOID, OIDARRAYOID};
	Datum		values[2];
	List	   *others = NIL;
	int			rows;

	values[0] = ObjectIdGetDatum(classid);
	values[1] = du_oid_array(objects);
	rows = du_query("SELECT o.objid::pg_catalog.int8, o.body"
					" FROM documentdb_upgrade_internal.other_definitions($1, $2) o", 2, types, values);
	for (int i = 0; i < rows; i++)
	{
		OtherBody  *other = palloc(sizeof(OtherBody));

		other->object = (Oid) du_query_int(i, 1);
		other->body = du_query_text(i, 2);
		others = lappend(others, other);
	}
	SPI_freetuptable(SPI_tuptable);
	return others;
}

static const char *
find_other(const MemberCatalog *catalog, Oid object)
{
	ListCell   *lc;

	foreach(lc, catalog->others)
	{
		const OtherBody *other = lfirst(lc);

		if (other->object == object)
			return other->body;
	}
	return NULL;
}

/* What is digested of a member, palloc'd. */
static const char *
body_of(const MemberCatalog *catalog, Oid object, HeapTuple tuple)
{
	const char *body = du_definition_body(RelationGetRelid(catalog->rel), tuple, RelationGetDescr(catalog->rel));
	const char *other = find_other(catalog, object);

	if (body == NULL)
		return other != NULL ? other : "";
	return other != NULL && other[0] != '\0' ? psprintf("%s\n%s", body, other) : body;
}

static char *
digest_of(const char *body)
{
	int			length = strlen(body);
	char	   *utf8 = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, body), length,
														  GetDatabaseEncoding(), PG_UTF8);

	return du_digest_bytes(utf8, utf8 == body ? length : strlen(utf8));
}

/* What is told of one member, in the context given; NULL when it is gone. */
static MemberDefinition *
define_member(const MemberCatalog *catalog, const ObjectAddress *member, HeapTuple tuple, MemoryContext context)
{
	char	   *identity = getObjectIdentity(member, true);
	MemberDefinition *definition;

	if (identity == NULL)
		return NULL;
	definition = MemoryContextAlloc(context, sizeof(MemberDefinition));
	definition->kind = MemoryContextStrdup(context, getObjectTypeDescription(member, true));
	definition->identity = MemoryContextStrdup(context, identity);
	definition->digest = MemoryContextStrdup(context, digest_of(body_of(catalog, member->objectId, tuple)));
	definition->privileges = MemoryContextStrdup(context, privileges_of(catalog, tuple));
	return definition;
}

/* The tuple of a member, a copy; NULL when there is none that counts. */
static HeapTuple
fetch_member(const MemberCatalog *catalog, Oid object)
{
	HeapTuple	tuple = get_catalog_object_by_oid(catalog->rel, catalog->oid, object);

	if (HeapTupleIsValid(tuple) && RelationGetRelid(catalog->rel) == TypeRelationId &&
		is_derived_type((Form_pg_type) GETSTRUCT(tuple)))
		return NULL;
	return tuple;
}

static void
open_catalog(MemberCatalog *catalog, Oid classid)
{
	catalog->rel = table_open(classid, AccessShareLock);
	catalog->oid = get_object_attnum_oid(classid);
	catalog->owner = get_object_attnum_owner(classid);
	catalog->acl = get_object_attnum_acl(classid);
	catalog->others = NIL;

	/* Who owns statistics has never been told. */
	if (classid == StatisticExtRelationId)
		catalog->owner = InvalidAttrNumber;
}

/* Adds the members in one catalogue, given by their OIDs. */
static List *
add_definitions(List *definitions, Oid classid, const List *objects)
{
	MemberCatalog catalog;
	MemoryContext context = CurrentMemoryContext;
	MemoryContext each;
	List	   *tuples = NIL;
	List	   *asked = NIL;
	const ListCell *lc;
	const ListCell *lt;

	if (!is_objectclass_supported(classid))
		return definitions;
	open_catalog(&catalog, classid);
	foreach(lc, objects)
	{
		HeapTuple	tuple = fetch_member(&catalog, lfirst_oid(lc));

		tuples = lappend(tuples, tuple);
		if (HeapTupleIsValid(tuple) && (!du_definition_is_described(classid) || has_more(classid, tuple)))
			asked = lappend_oid(asked, lfirst_oid(lc));
	}
	if (asked != NIL)
		catalog.others = read_others(classid, asked);

	each = AllocSetContextCreate(context, "documentdb_upgrade member", ALLOCSET_DEFAULT_SIZES);
	forboth(lc, objects, lt, tuples)
	{
		ObjectAddress member;
		MemberDefinition *definition;

		if (lfirst(lt) == NULL)
			continue;
		ObjectAddressSet(member, classid, lfirst_oid(lc));
		MemoryContextSwitchTo(each);
		definition = define_member(&catalog, &member, lfirst(lt), context);
		MemoryContextSwitchTo(context);
		MemoryContextReset(each);
		if (definition != NULL)
			definitions = lappend(definitions, definition);
	}
	MemoryContextDelete(each);
	table_close(catalog.rel, AccessShareLock);
	return definitions;
}

/* By catalogue, then by OID. */
static int
compare_members(const ListCell *a, const ListCell *b)
{
	const ObjectAddress *left = lfirst(a);
	const ObjectAddress *right = lfirst(b);

	if (left->classId != right->classId)
		return left->classId < right->classId ? -1 : 1;
	return left->objectId < right->objectId ? -1 : left->objectId > right->objectId;
}

/* All members of an extension, and itself first. */
static List *
define_members(Oid extension)
{
	List	   *definitions = add_definitions(NIL, ExtensionRelationId, list_make1_oid(extension));
	List	   *members = du_members_of(extension);
	List	   *objects = NIL;
	ListCell   *lc;

	list_sort(members, compare_members);
	foreach(lc, members)
	{
		const ObjectAddress *member = lfirst(lc);
		const ObjectAddress *next = lnext(members, lc) ? lfirst(lnext(members, lc)) : NULL;

		objects = lappend_oid(objects, member->objectId);
		if (next != NULL && next->classId == member->classId)
			continue;
		definitions = add_definitions(definitions, member->classId, objects);
		objects = NIL;
	}
	return definitions;
}

/* False where this extension's objects are still of 1.0.0. */
static bool
has_other_definitions(void)
{
	return FuncnameGetCandidates(list_make2(makeString("documentdb_upgrade_internal"),
											makeString("other_definitions")),
								 -1, NIL, false, false, false, true) != NULL;
}

/* The members as the function of 1.0.0, which is all SQL, gives them. */
static List *
ask_for_members(const char *extension)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	List	   *definitions = NIL;
	int			rows;

	values[0] = CStringGetTextDatum(extension);
	rows = du_query("SELECT d.kind, d.identity, d.digest, d.privileges"
					" FROM documentdb_upgrade.member_definitions($1) d", 1, types, values);
	for (int i = 0; i < rows; i++)
	{
		MemberDefinition *definition = palloc(sizeof(MemberDefinition));

		definition->kind = du_query_text(i, 1);
		definition->identity = du_query_text(i, 2);
		definition->digest = du_query_text(i, 3);
		definition->privileges = du_query_text(i, 4);
		definitions = lappend(definitions, definition);
	}
	SPI_freetuptable(SPI_tuptable);
	return definitions;
}

/*
 * The members of an extension as a list of MemberDefinition, palloc'd; NIL when it
 * is not installed.  SPI must be connected.
 */
List *
du_member_definitions(const char *extension)
{
	static const char *const settings[][2] =
	{
		{"search_path", "pg_catalog, pg_temp"},
		{"quote_all_identifiers", "off"},
		{"standard_conforming_strings", "on"},
		{"DateStyle", "ISO, YMD"},
		{"IntervalStyle", "postgres"},
		{"TimeZone", "UTC"},
		{"extra_float_digits", "1"},
		{"bytea_output", "hex"},
		{"xmloption", "content"},
	};
	Oid			oid = strlen(extension) < NAMEDATALEN ? get_extension_oid(extension, true) : InvalidOid;
	int			guc_nestlevel;
	List	   *definitions;

	if (!OidIsValid(oid))
		return NIL;
	if (!has_other_definitions())
		return ask_for_members(extension);

	/* What is written depends on these. */
	guc_nestlevel = NewGUCNestLevel();
	for (int i = 0; i < lengthof(settings); i++)
		du_context_set(settings[i][0], settings[i][1]);
	definitions = define_members(oid);
	AtEOXact_GUC(true, guc_nestlevel);
	return definitions;
}

/*
 * member_definitions(extension) returns setof (kind, identity, digest, privileges)
 */
Datum
documentdb_upgrade_member_definitions(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *definitions;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	MemoryContextSwitchTo(context);
	definitions = du_member_definitions(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	foreach(lc, definitions)
	{
		const MemberDefinition *definition = lfirst(lc);
		ResultRow	row = {0};

		du_row_add_text(&row, definition->kind);
		du_row_add_text(&row, definition->identity);
		du_row_add_text(&row, definition->digest);
		du_row_add_text(&row, definition->privileges);
		du_row_put(fcinfo, &row);
	}
	SPI_finish();
	return (Datum) 0;
}
