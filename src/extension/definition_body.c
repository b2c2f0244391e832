/*-------------------------------------------------------------------------
 *
 * definition_body.c
 *	  What the catalogue says of an object, as a text to digest.
 *
 * The text names other objects and never has their OIDs, so that it is the same
 * after a dump and restore.  Digests of it are stored: what it says of an object
 * must stay what it is.  Values are written one below the other, and a null is
 * left out, as concat_ws() does; the kinds that few extensions have are written
 * by a function in SQL for the same reader (other_definitions()).
 *
 * Names are written as the search_path has them, and expressions as the settings
 * have them: both are pinned by who calls.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

/* Values with a separator between them. */
typedef struct Body
{
	StringInfoData text;
	char		separator;
	bool		begun;
} Body;

static void
begin_body(Body *body, char separator)
{
	initStringInfo(&body->text);
	body->separator = separator;
	body->begun = false;
}

/* Adds a value; a null leaves no trace. */
static void
add_text(Body *body, const char *value)
{
	if (value == NULL)
		return;
	if (body->begun)
		appendStringInfoChar(&body->text, body->separator);
	body->begun = true;
	appendStringInfoString(&body->text, value);
}

static void
add_bool(Body *body, bool value)
{
	add_text(body, value ? "t" : "f");
}

static void
add_int(Body *body, int value)
{
	add_text(body, psprintf("%d", value));
}

/* A value of type "char". */
static void
add_char(Body *body, char value)
{
	add_text(body, psprintf("%.1s", &value));
}

/* An OID as one of the reg types writes it. */
static void
add_reg(Body *body, PGFunction output, Oid value)
{
	add_text(body, DatumGetCString(DirectFunctionCall1(output, ObjectIdGetDatum(value))));
}

static void
add_type(Body *body, Oid type)
{
	add_text(body, format_type_extended(type, -1, FORMAT_TYPE_ALLOW_INVALID));
}

/* A schema and a name in it. */
static void
add_qualified(Body *body, Oid schema, Name name)
{
	const char *written = DatumGetCString(DirectFunctionCall1(regnamespaceout, ObjectIdGetDatum(schema)));

	/* The schema is quoted twice, as ever. */
	add_text(body, psprintf("%s.%s", quote_identifier(written), quote_identifier(NameStr(*name))));
}

static void
add_family(Body *body, Oid family)
{
	HeapTuple	tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(family));

	if (!HeapTupleIsValid(tuple))
		return;
	add_qualified(body, ((Form_pg_opfamily) GETSTRUCT(tuple))->opfnamespace,
				  &((Form_pg_opfamily) GETSTRUCT(tuple))->opfname);
	ReleaseSysCache(tuple);
}

/* A column of type text; nothing, or the word given, for a null. */
static void
add_column(Body *body, int cache, HeapTuple tuple, AttrNumber column, const char *prefix, const char *otherwise)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(cache, tuple, column, &isnull);

	if (isnull)
		add_text(body, otherwise);
	else
		add_text(body, psprintf("%s%s", prefix, TextDatumGetCString(value)));
}

/* In the order of the database. */
static int
compare_lines(const ListCell *a, const ListCell *b)
{
	const char *left = lfirst(a);
	const char *right = lfirst(b);

	return varstr_cmp(left, strlen(left), right, strlen(right), DEFAULT_COLLATION_OID);
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* Several as one value, in their order; none are no value. */
static void
add_lines(Body *body, List *lines, list_sort_comparator order, char separator)
{
	Body		joined;
	ListCell   *lc;

	if (lines == NIL)
		return;
	begin_body(&joined, separator);
	list_sort(lines, order);
	foreach(lc, lines)
		add_text(&joined, lfirst(lc));
	add_text(body, joined.text.data);
}

/* A configuration table and its condition. */
typedef struct ConfigurationTable
{
	const char *name;
	const char *condition;
} ConfigurationTable;

static int
compare_tables(const ListCell *a, const ListCell *b)
{
	const char *left = ((const ConfigurationTable *) lfirst(a))->name;
	const char *right = ((const ConfigurationTable *) lfirst(b))->name;

	return varstr_cmp(left, strlen(left), right, strlen(right), DEFAULT_COLLATION_OID);
}

/* The configuration tables of an extension, by name. */
static List *
configuration_tables(HeapTuple tuple, TupleDesc desc)
{
	List	   *list = NIL;
	bool		isnull;
	Datum		tables = heap_getattr(tuple, Anum_pg_extension_extconfig, desc, &isnull);
	Datum		conditions;
	Datum	   *table;
	Datum	   *condition;
	bool	   *is_null;
	int			ntables;
	int			nconditions = 0;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(tables), OIDOID, sizeof(Oid), true, TYPALIGN_INT,
					  &table, NULL, &ntables);
	conditions = heap_getattr(tuple, Anum_pg_extension_extcondition, desc, &isnull);
	if (!isnull)
		deconstruct_array(DatumGetArrayTypeP(conditions), TEXTOID, -1, false, TYPALIGN_INT,
						  &condition, &is_null, &nconditions);
	for (int i = 0; i < ntables; i++)
	{
		ConfigurationTable *entry = palloc(sizeof(ConfigurationTable));

		entry->name = DatumGetCString(DirectFunctionCall1(regclassout, table[i]));
		entry->condition = i < nconditions && !is_null[i] ? TextDatumGetCString(condition[i]) : "";
		list = lappend(list, entry);
	}
	list_sort(list, compare_tables);
	return list;
}

/* Them with their conditions, a line each. */
static void
add_configuration(Body *body, HeapTuple tuple, TupleDesc desc)
{
	List	   *tables = configuration_tables(tuple, desc);
	Body		lines;
	ListCell   *lc;

	if (tables == NIL)
		return;
	begin_body(&lines, '\n');
	foreach(lc, tables)
	{
		const ConfigurationTable *table = lfirst(lc);

		add_text(&lines, psprintf("%s %s", table->name, table->condition));
	}
	add_text(body, lines.text.data);
}

/* Names of the extensions that one requires. */
static List *
required_names(Oid extension)
{
	List	   *names = NIL;
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(ExtensionRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, DependDependerIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		char	   *name;

		if (depend->refclassid != ExtensionRelationId || depend->deptype != DEPENDENCY_NORMAL)
			continue;
		name = get_extension_name(depend->refobjid);
		if (name != NULL)
			names = lappend(names, name);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return names;
}

/* What an extension says beside its version. */
static void
describe_extension(Body *body, HeapTuple tuple, TupleDesc desc)
{
	Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);

	add_reg(body, regnamespaceout, form->extnamespace);
	add_bool(body, form->extrelocatable);
	add_configuration(body, tuple, desc);
	add_lines(body, required_names(form->oid), compare_names, ' ');
}

static void
describe_aggregate(Body *body, Form_pg_proc function)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function->oid));
	Form_pg_aggregate form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", function->oid);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	add_char(body, form->aggkind);
	add_int(body, form->aggnumdirectargs);
	add_reg(body, regprocout, form->aggtransfn);
	add_reg(body, regprocout, form->aggfinalfn);
	add_reg(body, regprocout, form->aggcombinefn);
	add_reg(body, regprocout, form->aggserialfn);
	add_reg(body, regprocout, form->aggdeserialfn);
	add_reg(body, regprocout, form->aggmtransfn);
	add_reg(body, regprocout, form->aggminvtransfn);
	add_reg(body, regprocout, form->aggmfinalfn);
	add_bool(body, form->aggfinalextra);
	add_bool(body, form->aggmfinalextra);
	add_char(body, form->aggfinalmodify);
	add_char(body, form->aggmfinalmodify);
	add_reg(body, regoperatorout, form->aggsortop);
	add_type(body, form->aggtranstype);
	add_int(body, form->aggtransspace);
	add_type(body, form->aggmtranstype);
	add_int(body, form->aggmtransspace);
	add_column(body, AGGFNOID, tuple, Anum_pg_aggregate_agginitval, "", "(none)");
	add_column(body, AGGFNOID, tuple, Anum_pg_aggregate_aggminitval, "", "(none)");
	add_text(body, TextDatumGetCString(DirectFunctionCall1(pg_get_function_result, ObjectIdGetDatum(function->oid))));
	add_char(body, function->proparallel);
	add_bool(body, function->proisstrict);
	add_char(body, function->provolatile);
	ReleaseSysCache(tuple);
}

static void
describe_function(Body *body, HeapTuple tuple, TupleDesc desc)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);

	if (form->prokind == PROKIND_AGGREGATE)
		describe_aggregate(body, form);
	else
		add_text(body, TextDatumGetCString(DirectFunctionCall1(pg_get_functiondef, ObjectIdGetDatum(form->oid))));
}

static void
describe_operator(Body *body, HeapTuple tuple, TupleDesc desc)
{
	Form_pg_operator form = (Form_pg_operator) GETSTRUCT(tuple);

	add_reg(body, regprocout, form->oprcode);
	add_type(body, form->oprresult);
	add_reg(body, regoperatorout, form->oprcom);
	add_reg(body, regoperatorout, form->oprnegate);
	add_reg(body, regprocout, form->oprrest);
	add_reg(body, regprocout, form->oprjoin);
	add_bool(body, form->oprcanmerge);
	add_bool(body, form->oprcanhash);
}

static void
describe_operator_class(Body *body, HeapTuple tuple, TupleDesc desc)
{
	Form_pg_opclass form = (Form_pg_opclass) GETSTRUCT(tuple);

	add_bool(body, form->opcdefault);
	add_type(body, form->opcintype);
	if (OidIsValid(form->opckeytype))
		add_type(body, form->opckeytype);
	add_family(body, form->opcfamily);
}

/* The operators and functions of a family, a line each. */
static void
describe_operator_family(Body *body, HeapTuple tuple, TupleDesc desc)
{
	Datum		family = ObjectIdGetDatum(((Form_pg_opfamily) GETSTRUCT(tuple))->oid);
	CatCList   *operators = SearchSysCacheList1(AMOPSTRATEGY, family);
	CatCList   *functions = SearchSysCacheList1(AMPROCNUM, family);
	List	   *lines = NIL;
	Body		line;

	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop form = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		begin_body(&line, ' ');
		add_text(&line, "operator");
		add_int(&line, form->amopstrategy);
		add_reg(&line, regoperatorout, form->amopopr);
		add_char(&line, form->amoppurpose);
		add_family(&line, form->amopsortfamily);
		lines = lappend(lines, line.text.data);
	}
	add_lines(body, lines, compare_lines, '\n');

	lines = NIL;
	for (int i = 0; i < functions->n_members; i++)
	{
		Form_pg_amproc form = (Form_pg_amproc) GETSTRUCT(&functions->members[i]->tuple);

		begin_body(&line, ' ');
		add_text(&line, "function");
		add_int(&line, form->amprocnum);
		add_type(&line, form->amproclefttype);
		add_type(&line, form->amprocrighttype);
		add_reg(&line, regprocedureout, form->amproc);
		lines = lappend(lines, line.text.data);
	}
	add_lines(body, lines, compare_lines, '\n');
	ReleaseSysCacheList(functions);
	ReleaseSysCacheList(operators);
}

static void
describe_cast(Body *body, HeapTuple tuple, TupleDesc desc)
{
	Form_pg_cast form = (Form_pg_cast) GETSTRUCT(tuple);

	add_char(body, form->castcontext);
	add_char(body, form->castmethod);
	if (OidIsValid(form->castfunc))
		add_reg(body, regprocedureout, form->castfunc);
}

/* What every type has; the rest follows from other_definitions(). */
static void
describe_type(Body *body, HeapTuple tuple, TupleDesc desc)
{
	Form_pg_type form = (Form_pg_type) GETSTRUCT(tuple);

	add_char(body, form->typtype);
	add_int(body, form->typlen);
	add_bool(body, form->typbyval);
	add_char(body, form->typcategory);
	add_bool(body, form->typispreferred);
	add_bool(body, form->typisdefined);
	add_char(body, form->typdelim);
	add_char(body, form->typalign);
	add_char(body, form->typstorage);
	add_bool(body, form->typnotnull);
	add_int(body, form->typndims);
	add_text(body, format_type_extended(form->typbasetype, form->typtypmod,
										FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_ALLOW_INVALID));
	add_type(body, form->typelem);
	add_reg(body, regprocout, form->typinput);
	add_reg(body, regprocout, form->typoutput);
	add_reg(body, regprocout, form->typreceive);
	add_reg(body, regprocout, form->typsend);
	add_reg(body, regprocout, form->typmodin);
	add_reg(body, regprocout, form->typmodout);
	add_reg(body, regprocout, form->typanalyze);
	add_reg(body, regprocout, form->typsubscript);
	add_reg(body, regcollationout, form->typcollation);
	add_column(body, TYPEOID, tuple, Anum_pg_type_typdefault, "default ", NULL);
}

/* Its name and privileges are all that a schema has. */
static void
describe_schema(Body *body, HeapTuple tuple, TupleDesc desc)
{
}

typedef struct DescribedKind
{
	Oid			classid;
	void		(*describe) (Body *body, HeapTuple tuple, TupleDesc desc);
} DescribedKind;

static const DescribedKind kinds[] =
{
	{ExtensionRelationId, describe_extension},
	{ProcedureRelationId, describe_function},
	{OperatorRelationId, describe_operator},
	{OperatorClassRelationId, describe_operator_class},
	{OperatorFamilyRelationId, describe_operator_family},
	{CastRelationId, describe_cast},
	{TypeRelationId, describe_type},
	{NamespaceRelationId, describe_schema},
};

static const DescribedKind *
find_kind(Oid classid)
{
	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (kinds[i].classid == classid)
			return &kinds[i];
	}
	return NULL;
}

/*
 * True for the kinds that are described here.
 */
bool
du_definition_is_described(Oid classid)
{
	return find_kind(classid) != NULL;
}

/*
 * The text for an object of these kinds, palloc'd; NULL for another kind.
 */
char *
du_definition_body(Oid classid, HeapTuple tuple, TupleDesc desc)
{
	const DescribedKind *kind = find_kind(classid);
	Body		body;

	if (kind == NULL)
		return NULL;
	begin_body(&body, '\n');
	kind->describe(&body, tuple, desc);
	return body.text.data;
}
