/*-------------------------------------------------------------------------
 *
 * watched_catalogs.c
 *	  Which rows of which catalogues are about which objects.
 *
 * A row is an object, or a part of one: a column's default is a part of the
 * column, an operator of an operator family is a part of the family.  Left
 * out is what follows from other rows (dependencies) and what is no definition
 * (statistics, comments, large objects).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_conversion.h"
#include "catalog/pg_database.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_parameter_acl.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_namespace.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_range.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_tablespace.h"
#include "catalog/pg_transform.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_config_map.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_ts_parser.h"
#include "catalog/pg_ts_template.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/dbcommands.h"
#include "utils/builtins.h"

/* Toast tables and their indexes. */
static bool
is_derived_relation(HeapTuple row, TupleDesc desc)
{
	return ((Form_pg_class) GETSTRUCT(row))->relnamespace == PG_TOAST_NAMESPACE;
}

static bool
is_array(Form_pg_type type)
{
	return OidIsValid(type->typelem) && type->typcategory == TYPCATEGORY_ARRAY;
}

/* Row types, which come with a relation, and array types. */
static bool
is_derived_type(HeapTuple row, TupleDesc desc)
{
	Form_pg_type type = (Form_pg_type) GETSTRUCT(row);

	return type->typtype == TYPTYPE_COMPOSITE || is_array(type);
}

/* Triggers of foreign keys. */
static bool
is_derived_trigger(HeapTuple row, TupleDesc desc)
{
	return ((Form_pg_trigger) GETSTRUCT(row))->tgisinternal;
}

/* System columns. */
static bool
is_derived_column(HeapTuple row, TupleDesc desc)
{
	return ((Form_pg_attribute) GETSTRUCT(row))->attnum < 0;
}

/* Dropped columns. */
static bool
is_dropped_column(HeapTuple row, TupleDesc desc)
{
	return ((Form_pg_attribute) GETSTRUCT(row))->attisdropped;
}

static const char *
role_name(Oid role)
{
	const char *name = du_dropped_role_name(role);

	return name != NULL ? name : "a dropped role";
}

static char *
describe_membership(HeapTuple row, TupleDesc desc)
{
	Form_pg_auth_members membership = (Form_pg_auth_members) GETSTRUCT(row);

	return psprintf("%s in %s", role_name(membership->member), role_name(membership->roleid));
}

static char *
describe_setting(HeapTuple row, TupleDesc desc)
{
	Form_pg_db_role_setting setting = (Form_pg_db_role_setting) GETSTRUCT(row);
	char	   *database = OidIsValid(setting->setdatabase) ? get_database_name(setting->setdatabase) : NULL;

	return psprintf("of role %s in database %s",
					OidIsValid(setting->setrole) ? role_name(setting->setrole) : "any",
					database ? quote_identifier(database) : "any");
}

static char *
describe_parameter(HeapTuple row, TupleDesc desc)
{
	bool		isnull;

	return TextDatumGetCString(heap_getattr(row, Anum_pg_parameter_acl_parname, desc, &isnull));
}

#define OBJECT(class, acl) \
	{class, class, 1, InvalidAttrNumber, false, acl, NULL, NULL, NULL, NULL}
#define DERIVED_OBJECT(class, acl, is_derived) \
	{class, class, 1, InvalidAttrNumber, false, acl, is_derived, NULL, NULL, NULL}
#define PART(catalogue, class, id, subid) \
	{catalogue, class, id, subid, true, InvalidAttrNumber, NULL, NULL, NULL, NULL}

/* Every catalogue with an OID of its own has it in its first column. */
const WatchedCatalog du_watched[] =
{
	DERIVED_OBJECT(RelationRelationId, Anum_pg_class_relacl, is_derived_relation),
	{AttributeRelationId, RelationRelationId, Anum_pg_attribute_attrelid, Anum_pg_attribute_attnum,
	false, Anum_pg_attribute_attacl, is_derived_column, is_dropped_column, NULL, NULL},
	DERIVED_OBJECT(TypeRelationId, Anum_pg_type_typacl, is_derived_type),
	DERIVED_OBJECT(TriggerRelationId, InvalidAttrNumber, is_derived_trigger),
	OBJECT(ProcedureRelationId, Anum_pg_proc_proacl),
	OBJECT(NamespaceRelationId, Anum_pg_namespace_nspacl),
	OBJECT(LanguageRelationId, Anum_pg_language_lanacl),
	OBJECT(ForeignDataWrapperRelationId, Anum_pg_foreign_data_wrapper_fdwacl),
	OBJECT(ForeignServerRelationId, Anum_pg_foreign_server_srvacl),
	OBJECT(DatabaseRelationId, Anum_pg_database_datacl),
	OBJECT(TableSpaceRelationId, Anum_pg_tablespace_spcacl),
	{ParameterAclRelationId, ParameterAclRelationId, 1, InvalidAttrNumber, false,
	Anum_pg_parameter_acl_paracl, NULL, NULL, "parameter ACL", describe_parameter},
	OBJECT(AccessMethodRelationId, InvalidAttrNumber),
	OBJECT(AuthIdRelationId, InvalidAttrNumber),
	OBJECT(CastRelationId, InvalidAttrNumber),
	OBJECT(CollationRelationId, InvalidAttrNumber),
	OBJECT(ConstraintRelationId, InvalidAttrNumber),
	OBJECT(ConversionRelationId, InvalidAttrNumber),
	OBJECT(DefaultAclRelationId, Anum_pg_default_acl_defaclacl),
	OBJECT(EventTriggerRelationId, InvalidAttrNumber),
	OBJECT(ExtensionRelationId, InvalidAttrNumber),
	OBJECT(OperatorClassRelationId, InvalidAttrNumber),
	OBJECT(OperatorFamilyRelationId, InvalidAttrNumber),
	OBJECT(OperatorRelationId, InvalidAttrNumber),
	OBJECT(PolicyRelationId, InvalidAttrNumber),
	OBJECT(PublicationRelationId, InvalidAttrNumber),
	OBJECT(StatisticExtRelationId, InvalidAttrNumber),
	OBJECT(TransformRelationId, InvalidAttrNumber),
	OBJECT(TSConfigRelationId, InvalidAttrNumber),
	OBJECT(TSDictionaryRelationId, InvalidAttrNumber),
	OBJECT(TSParserRelationId, InvalidAttrNumber),
	OBJECT(TSTemplateRelationId, InvalidAttrNumber),
	OBJECT(UserMappingRelationId, InvalidAttrNumber),
	PART(AttrDefaultRelationId, RelationRelationId, Anum_pg_attrdef_adrelid, Anum_pg_attrdef_adnum),
	PART(AggregateRelationId, ProcedureRelationId, Anum_pg_aggregate_aggfnoid, InvalidAttrNumber),
	PART(IndexRelationId, RelationRelationId, Anum_pg_index_indexrelid, InvalidAttrNumber),
	PART(SequenceRelationId, RelationRelationId, Anum_pg_sequence_seqrelid, InvalidAttrNumber),
	PART(InheritsRelationId, RelationRelationId, Anum_pg_inherits_inhrelid, InvalidAttrNumber),
	PART(PartitionedRelationId, RelationRelationId, Anum_pg_partitioned_table_partrelid, InvalidAttrNumber),
	PART(RewriteRelationId, RelationRelationId, Anum_pg_rewrite_ev_class, InvalidAttrNumber),
	PART(ForeignTableRelationId, RelationRelationId, Anum_pg_foreign_table_ftrelid, InvalidAttrNumber),
	PART(RangeRelationId, TypeRelationId, Anum_pg_range_rngtypid, InvalidAttrNumber),
	PART(EnumRelationId, TypeRelationId, Anum_pg_enum_enumtypid, InvalidAttrNumber),
	PART(AccessMethodOperatorRelationId, OperatorFamilyRelationId, Anum_pg_amop_amopfamily, InvalidAttrNumber),
	PART(AccessMethodProcedureRelationId, OperatorFamilyRelationId, Anum_pg_amproc_amprocfamily, InvalidAttrNumber),
	PART(TSConfigMapRelationId, TSConfigRelationId, Anum_pg_ts_config_map_mapcfg, InvalidAttrNumber),
	PART(PublicationRelRelationId, PublicationRelationId, Anum_pg_publication_rel_prpubid, InvalidAttrNumber),
	PART(PublicationNamespaceRelationId, PublicationRelationId, Anum_pg_publication_namespace_pnpubid, InvalidAttrNumber),
	{AuthMemRelationId, AuthMemRelationId, Anum_pg_auth_members_roleid, Anum_pg_auth_members_member,
	false, InvalidAttrNumber, NULL, NULL, "role membership", describe_membership},
	{DbRoleSettingRelationId, DbRoleSettingRelationId, Anum_pg_db_role_setting_setdatabase,
	Anum_pg_db_role_setting_setrole, false, InvalidAttrNumber, NULL, NULL, "settings", describe_setting},
};

const int	du_watched_count = lengthof(du_watched);

/*
 * Which object, or part of one, a row is about.
 */
ObjectAddress
du_watched_identify(const WatchedCatalog *catalog, HeapTuple row, TupleDesc desc)
{
	ObjectAddress object;
	bool		isnull;
	Datum		part;

	/* A hash key: no byte of it may be left to chance. */
	memset(&object, 0, sizeof(object));
	object.classId = catalog->classid;
	object.objectId = DatumGetObjectId(heap_getattr(row, catalog->id, desc, &isnull));
	if (catalog->subid == InvalidAttrNumber)
		return object;
	part = heap_getattr(row, catalog->subid, desc, &isnull);
	object.objectSubId = TupleDescAttr(desc, catalog->subid - 1)->attlen == sizeof(int16) ?
		DatumGetInt16(part) : DatumGetInt32(part);
	return object;
}

/*
 * True for columns that say what other rows say better, or that change by
 * themselves.
 */
bool
du_watched_is_bookkeeping(const WatchedCatalog *catalog, AttrNumber column)
{
	if (catalog->catalogue == TypeRelationId)
		return column == Anum_pg_type_typarray || column == Anum_pg_type_typrelid ||
			column == Anum_pg_type_oid;
	if (catalog->catalogue != RelationRelationId)
		return catalog->catalogue == catalog->classid && column == catalog->id;
	switch (column)
	{
		case Anum_pg_class_oid:
		case Anum_pg_class_reltype:
		case Anum_pg_class_relpages:
		case Anum_pg_class_reltuples:
		case Anum_pg_class_relallvisible:
#if PG_VERSION_NUM >= 180000
			/* 18 counts frozen pages too. */
		case Anum_pg_class_relallfrozen:
#endif
		case Anum_pg_class_relfrozenxid:
		case Anum_pg_class_relminmxid:
		case Anum_pg_class_relnatts:
		case Anum_pg_class_relchecks:
		case Anum_pg_class_relhasindex:
		case Anum_pg_class_relhasrules:
		case Anum_pg_class_relhastriggers:
		case Anum_pg_class_relhassubclass:
		case Anum_pg_class_reltoastrelid:
			return true;
		default:
			return false;
	}
}

/*
 * True for the column that says where a relation's rows are.
 */
bool
du_watched_is_storage(const WatchedCatalog *catalog, AttrNumber column)
{
	return catalog->catalogue == RelationRelationId &&
		column == Anum_pg_class_relfilenode;
}

/*
 * The column in which settings of the object are kept, an array of texts
 * name=value; InvalidAttrNumber where there is none.
 */
AttrNumber
du_watched_settings(const WatchedCatalog *catalog)
{
	switch (catalog->catalogue)
	{
		case ProcedureRelationId:
			return Anum_pg_proc_proconfig;
		case RelationRelationId:
			return Anum_pg_class_reloptions;
		case AttributeRelationId:
			return Anum_pg_attribute_attoptions;
		default:
			return InvalidAttrNumber;
	}
}

/* What a column says of an object, for people. */
typedef struct ColumnWords
{
	Oid			catalogue;
	AttrNumber	column;
	const char *words;
} ColumnWords;

static const ColumnWords column_words[] =
{
	{ExtensionRelationId, Anum_pg_extension_extversion, NULL},
	{ExtensionRelationId, Anum_pg_extension_extconfig, NULL},
	{ExtensionRelationId, Anum_pg_extension_extcondition, NULL},
	{ProcedureRelationId, Anum_pg_proc_proname, "name"},
	{ProcedureRelationId, Anum_pg_proc_pronamespace, "schema"},
	{ProcedureRelationId, Anum_pg_proc_prolang, "language"},
	{ProcedureRelationId, Anum_pg_proc_procost, "cost"},
	{ProcedureRelationId, Anum_pg_proc_prorows, "rows"},
	{ProcedureRelationId, Anum_pg_proc_prosupport, "support function"},
	{ProcedureRelationId, Anum_pg_proc_prosecdef, "security"},
	{ProcedureRelationId, Anum_pg_proc_proleakproof, "leakproof"},
	{ProcedureRelationId, Anum_pg_proc_proisstrict, "strict"},
	{ProcedureRelationId, Anum_pg_proc_proretset, "result type"},
	{ProcedureRelationId, Anum_pg_proc_provolatile, "volatility"},
	{ProcedureRelationId, Anum_pg_proc_proparallel, "parallel safety"},
	{ProcedureRelationId, Anum_pg_proc_pronargs, "arguments"},
	{ProcedureRelationId, Anum_pg_proc_pronargdefaults, "argument defaults"},
	{ProcedureRelationId, Anum_pg_proc_prorettype, "result type"},
	{ProcedureRelationId, Anum_pg_proc_proargtypes, "arguments"},
	{ProcedureRelationId, Anum_pg_proc_proallargtypes, "arguments"},
	{ProcedureRelationId, Anum_pg_proc_proargmodes, "arguments"},
	{ProcedureRelationId, Anum_pg_proc_proargnames, "argument names"},
	{ProcedureRelationId, Anum_pg_proc_proargdefaults, "argument defaults"},
	{ProcedureRelationId, Anum_pg_proc_prosrc, "body"},
	{ProcedureRelationId, Anum_pg_proc_prosqlbody, "body"},
	{ProcedureRelationId, Anum_pg_proc_probin, "library"},
	{ProcedureRelationId, Anum_pg_proc_proconfig, "settings"},
	{RelationRelationId, Anum_pg_class_relname, "name"},
	{RelationRelationId, Anum_pg_class_relnamespace, "schema"},
	{RelationRelationId, Anum_pg_class_reltablespace, "tablespace"},
	{RelationRelationId, Anum_pg_class_relpersistence, "persistence"},
	{RelationRelationId, Anum_pg_class_relrowsecurity, "row security"},
	{RelationRelationId, Anum_pg_class_relforcerowsecurity, "row security"},
	{RelationRelationId, Anum_pg_class_relreplident, "replica identity"},
	{RelationRelationId, Anum_pg_class_reloptions, "settings"},
	{AttributeRelationId, Anum_pg_attribute_attname, "name"},
	{AttributeRelationId, Anum_pg_attribute_atttypid, "type"},
	{AttributeRelationId, Anum_pg_attribute_attlen, "type"},
	{AttributeRelationId, Anum_pg_attribute_attbyval, "type"},
	{AttributeRelationId, Anum_pg_attribute_attalign, "type"},
	{AttributeRelationId, Anum_pg_attribute_atttypmod, "type"},
	{AttributeRelationId, Anum_pg_attribute_attndims, "type"},
	{AttributeRelationId, Anum_pg_attribute_attcollation, "collation"},
	{AttributeRelationId, Anum_pg_attribute_attstorage, "storage of values"},
	{AttributeRelationId, Anum_pg_attribute_attcompression, "compression"},
	{AttributeRelationId, Anum_pg_attribute_attnotnull, "not null"},
	{AttributeRelationId, Anum_pg_attribute_atthasdef, "default"},
	{AttributeRelationId, Anum_pg_attribute_attidentity, "identity"},
	{AttributeRelationId, Anum_pg_attribute_attgenerated, "default"},
	{AttributeRelationId, Anum_pg_attribute_attstattarget, "statistics target"},
	{AttributeRelationId, Anum_pg_attribute_attoptions, "settings"},
};

/*
 * What a column of a catalogue says of an object: a word for people, or the
 * column's name; NULL where every update changes it.
 */
const char *
du_watched_column_words(const WatchedCatalog *catalog, AttrNumber column, TupleDesc desc)
{
	for (int i = 0; i < lengthof(column_words); i++)
	{
		if (column_words[i].catalogue == catalog->catalogue && column_words[i].column == column)
			return column_words[i].words;
	}
	return pstrdup(NameStr(TupleDescAttr(desc, column - 1)->attname));
}

/*
 * The same of the rows of a catalogue that are about parts of objects.
 */
const char *
du_watched_part_words(Oid catalogue)
{
	switch (catalogue)
	{
		case AttrDefaultRelationId:
			return "default";
		case RewriteRelationId:
			return "query or rules";
		case EnumRelationId:
			return "values";
		case InheritsRelationId:
			return "parent";
		case AccessMethodOperatorRelationId:
			return "operators";
		case AccessMethodProcedureRelationId:
			return "support functions";
		case PublicationRelRelationId:
		case PublicationNamespaceRelationId:
			return "tables";
		default:
			return "definition";
	}
}

/*
 * True for a catalogue whose rows are nothing but privileges.
 */
bool
du_watched_is_privileges(const WatchedCatalog *catalog)
{
	return catalog->catalogue == DefaultAclRelationId ||
		catalog->catalogue == ParameterAclRelationId;
}

/*
 * The kind of object that default privileges are for; false where they add to
 * others: those within a schema.
 */
static bool
default_acl_type(Form_pg_default_acl row, ObjectType *type)
{
	if (OidIsValid(row->defaclnamespace))
		return false;
	switch (row->defaclobjtype)
	{
		case DEFACLOBJ_RELATION:
			*type = OBJECT_TABLE;
			return true;
		case DEFACLOBJ_SEQUENCE:
			*type = OBJECT_SEQUENCE;
			return true;
		case DEFACLOBJ_FUNCTION:
			*type = OBJECT_FUNCTION;
			return true;
		case DEFACLOBJ_TYPE:
			*type = OBJECT_TYPE;
			return true;
		case DEFACLOBJ_NAMESPACE:
			*type = OBJECT_SCHEMA;
			return true;
		default:
			return false;
	}
}

/* The same of relations; false where none can be granted. */
static bool
relation_acl_type(Form_pg_class row, ObjectType *type)
{
	if (row->relkind == RELKIND_INDEX || row->relkind == RELKIND_PARTITIONED_INDEX ||
		row->relkind == RELKIND_TOASTVALUE || row->relkind == RELKIND_COMPOSITE_TYPE)
		return false;
	*type = row->relkind == RELKIND_SEQUENCE ? OBJECT_SEQUENCE : OBJECT_TABLE;
	return true;
}

/*
 * The kind of object whose usual privileges apply to a row without any; false
 * where nobody has some unless they are granted.
 */
bool
du_watched_acl_type(const WatchedCatalog *catalog, HeapTuple row, TupleDesc desc,
					ObjectType *type)
{
	switch (catalog->catalogue)
	{
		case RelationRelationId:
			return relation_acl_type((Form_pg_class) GETSTRUCT(row), type);
		case ProcedureRelationId:
			*type = OBJECT_FUNCTION;
			return true;
		case TypeRelationId:
			*type = OBJECT_TYPE;
			return !is_array((Form_pg_type) GETSTRUCT(row));
		case NamespaceRelationId:
			*type = OBJECT_SCHEMA;
			return true;
		case LanguageRelationId:
			*type = OBJECT_LANGUAGE;
			return true;
		case ForeignDataWrapperRelationId:
			*type = OBJECT_FDW;
			return true;
		case ForeignServerRelationId:
			*type = OBJECT_FOREIGN_SERVER;
			return true;
		case DatabaseRelationId:
			*type = OBJECT_DATABASE;
			return true;
		case TableSpaceRelationId:
			*type = OBJECT_TABLESPACE;
			return true;
		case ParameterAclRelationId:
			*type = OBJECT_PARAMETER_ACL;
			return true;
		case DefaultAclRelationId:
			return default_acl_type((Form_pg_default_acl) GETSTRUCT(row), type);
		default:
			return false;
	}
}
