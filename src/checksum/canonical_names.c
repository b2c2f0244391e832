/*-------------------------------------------------------------------------
 *
 * canonical_names.c
 *	  Names of catalogue objects that mean the same on every server.
 *
 * OIDs differ from server to server, so values of regclass and its kin are
 * known by name.  The types' own output leaves out the schema where the
 * search_path finds the object without it; here the schema is always there.
 * An OID that stands for nothing is its number, as in the types' output.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "checksum/internal.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static char *
qualified(Oid namespace, const char *name)
{
	char	   *schema = get_namespace_name(namespace);

	return quote_qualified_identifier(schema ? schema : "", name);
}

static void
append_type(StringInfo text, Oid type)
{
	if (OidIsValid(type))
		appendStringInfoString(text, format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY));
	else
		appendStringInfoString(text, "NONE");
}

static char *
relation_name(Oid object)
{
	char	   *name = get_rel_name(object);

	return name ? qualified(get_rel_namespace(object), name) : NULL;
}

static char *
function_name(HeapTuple tuple, bool with_arguments)
{
	Form_pg_proc function = (Form_pg_proc) GETSTRUCT(tuple);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, qualified(function->pronamespace, NameStr(function->proname)));
	if (!with_arguments)
		return text.data;

	appendStringInfoChar(&text, '(');
	for (int i = 0; i < function->pronargs; i++)
	{
		if (i > 0)
			appendStringInfoChar(&text, ',');
		append_type(&text, function->proargtypes.values[i]);
	}
	appendStringInfoChar(&text, ')');
	return text.data;
}

static char *
operator_name(HeapTuple tuple, bool with_arguments)
{
	Form_pg_operator op = (Form_pg_operator) GETSTRUCT(tuple);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%s.%s", quote_identifier(get_namespace_name(op->oprnamespace)),
					 NameStr(op->oprname));
	if (!with_arguments)
		return text.data;

	appendStringInfoChar(&text, '(');
	append_type(&text, op->oprleft);
	appendStringInfoChar(&text, ',');
	append_type(&text, op->oprright);
	appendStringInfoChar(&text, ')');
	return text.data;
}

static char *
name_of_tuple(Oid regtype, HeapTuple tuple)
{
	switch (regtype)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
			return function_name(tuple, regtype == REGPROCEDUREOID);
		case REGOPEROID:
		case REGOPERATOROID:
			return operator_name(tuple, regtype == REGOPERATOROID);
		case REGCONFIGOID:
			return qualified(((Form_pg_ts_config) GETSTRUCT(tuple))->cfgnamespace,
							 NameStr(((Form_pg_ts_config) GETSTRUCT(tuple))->cfgname));
		case REGDICTIONARYOID:
			return qualified(((Form_pg_ts_dict) GETSTRUCT(tuple))->dictnamespace,
							 NameStr(((Form_pg_ts_dict) GETSTRUCT(tuple))->dictname));
		case REGCOLLATIONOID:
			return qualified(((Form_pg_collation) GETSTRUCT(tuple))->collnamespace,
							 NameStr(((Form_pg_collation) GETSTRUCT(tuple))->collname));
		default:
			elog(ERROR, "no names are known for values of type %u", regtype);
			return NULL;
	}
}

static int
cache_of(Oid regtype)
{
	switch (regtype)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
			return PROCOID;
		case REGOPEROID:
		case REGOPERATOROID:
			return OPEROID;
		case REGCONFIGOID:
			return TSCONFIGOID;
		case REGDICTIONARYOID:
			return TSDICTOID;
		default:
			return COLLOID;
	}
}

static char *
name_from_cache(Oid regtype, Oid object)
{
	HeapTuple	tuple = SearchSysCache1(cache_of(regtype), ObjectIdGetDatum(object));
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	name = name_of_tuple(regtype, tuple);
	ReleaseSysCache(tuple);
	return name;
}

static char *
existing_name(Oid regtype, Oid object)
{
	switch (regtype)
	{
		case REGCLASSOID:
			return relation_name(object);
		case REGTYPEOID:
			if (!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(object)))
				return NULL;
			return format_type_extended(object, -1, FORMAT_TYPE_FORCE_QUALIFY);
		case REGROLEOID:
			return GetUserNameFromId(object, true);
		case REGNAMESPACEOID:
			return get_namespace_name(object);
		default:
			return name_from_cache(regtype, object);
	}
}

/*
 * The name of what a value of regclass or of one of its kin stands for, in the
 * current memory context.
 */
char *
du_names_object(Oid regtype, Oid object)
{
	char	   *name;

	if (!OidIsValid(object))
		return pstrdup("-");
	name = existing_name(regtype, object);
	return name ? name : psprintf("%u", object);
}

/*
 * The name of a role, in the current memory context.
 */
char *
du_names_role(Oid role)
{
	return du_names_object(REGROLEOID, role);
}
