/*-------------------------------------------------------------------------
 *
 * canonical_type.c
 *	  What is known of a type in order to hash its values.
 *
 * A row type is taken apart once per call site: its columns are sorted by
 * name, each type gets a form and a tag, and the digest of names and tags is
 * what every row's digest begins with.  Tags hold names and no OIDs, so that
 * they are the same on another server; types that two servers could give
 * different bytes for have no form, and are refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "checksum/internal.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define CACHED_LABELS	64

typedef struct TypeDependency
{
	TypeCacheEntry *entry;
	uint64		identifier;
	struct TypeDependency *next;
} TypeDependency;

typedef struct EnumLabels
{
	Oid			values[CACHED_LABELS];
	uint8		lengths[CACHED_LABELS];
	NameData	names[CACHED_LABELS];
} EnumLabels;

/* For the error about a column that cannot be hashed. */
typedef struct ColumnInRow
{
	const CanonicalRow *row;
	const char *column;
} ColumnInRow;

static uint64 catalogue_generation = 0;

static CanonicalType *make_type(CanonicalTypes *types, Oid type, int32 typmod,
								const ColumnInRow *place);

static void
note_catalogue_change(Datum argument, int cache, uint32 hash)
{
	catalogue_generation++;
}

static uint64
current_generation(void)
{
	return catalogue_generation + du_text_types_generation();
}

/*
 * Knows nothing yet; lives in a context of its own under the parent.
 */
CanonicalTypes *
du_types_create(MemoryContext parent)
{
	static bool registered = false;
	CanonicalTypes *types = MemoryContextAllocZero(parent, sizeof(CanonicalTypes));

	if (!registered)
	{
		CacheRegisterSyscacheCallback(TYPEOID, note_catalogue_change, (Datum) 0);
		CacheRegisterSyscacheCallback(ENUMOID, note_catalogue_change, (Datum) 0);
		registered = true;
	}
	types->context = AllocSetContextCreate(parent, "row checksum types", ALLOCSET_SMALL_SIZES);
	types->generation = current_generation();
	return types;
}

/*
 * False when a type has changed that something here depends on, or may have.
 */
bool
du_types_are_current(const CanonicalTypes *types)
{
	if (types->generation != current_generation())
		return false;
	for (const TypeDependency *d = types->dependencies; d != NULL; d = d->next)
	{
		if (d->entry->tupDesc_identifier != d->identifier)
			return false;
	}
	return true;
}

void
du_types_forget(CanonicalTypes *types)
{
	types->rows = NULL;
	types->dependencies = NULL;
	MemoryContextReset(types->context);
	types->generation = current_generation();
}

static void
depend_on(CanonicalTypes *types, Oid type)
{
	TypeDependency *dependency = palloc(sizeof(TypeDependency));

	dependency->entry = lookup_type_cache(type, TYPECACHE_TUPDESC);
	dependency->identifier = dependency->entry->tupDesc_identifier;
	dependency->next = types->dependencies;
	types->dependencies = dependency;
}

static void
refuse(Oid type, const ColumnInRow *place)
{
	const char *name = format_type_be(type);

	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 place->row->type == RECORDOID ?
			 errmsg("cannot compute a checksum of column \"%s\" of type %s",
					place->column, name) :
			 errmsg("cannot compute a checksum of column \"%s\" of type %s in rows of type %s",
					place->column, name, format_type_be(place->row->type)),
			 errdetail("It is not known which form of such values is the same on every server."),
			 errhint("If the text form is, add the type's name to \"%s\" on both servers.",
					 du_text_types_setting())));
}

/*
 * Adds a name or tag with its length, so that no two lists look alike.
 */
static void
append_counted(StringInfo text, const char *part)
{
	appendStringInfo(text, "%zu:%s", strlen(part), part);
}

static int
compare_columns(const void *a, const void *b, void *argument)
{
	TupleDesc	descriptor = argument;
	int			left = ((const CanonicalColumn *) a)->attribute;
	int			right = ((const CanonicalColumn *) b)->attribute;
	int			order = strcmp(NameStr(TupleDescAttr(descriptor, left)->attname),
							   NameStr(TupleDescAttr(descriptor, right)->attname));

	return order != 0 ? order : left - right;
}

static void
find_columns(CanonicalRow *row)
{
	int			natts = Max(row->descriptor->natts, 1);

	row->columns = palloc0(natts * sizeof(CanonicalColumn));
	row->attributes = palloc(natts * sizeof(int));
	row->all_values = palloc0(natts * sizeof(Datum));
	row->all_nulls = palloc0(natts * sizeof(bool));
	for (int i = 0; i < row->descriptor->natts; i++)
	{
		if (TupleDescAttr(row->descriptor, i)->attisdropped)
			continue;
		row->attributes[row->ncolumns] = i;
		row->columns[row->ncolumns].place = row->ncolumns;
		row->columns[row->ncolumns++].attribute = i;
	}
	qsort_arg(row->columns, row->ncolumns, sizeof(CanonicalColumn), compare_columns, row->descriptor);
}

static CanonicalRow *
make_row(CanonicalTypes *types, Oid type, int32 typmod)
{
	CanonicalRow *row = palloc0(sizeof(CanonicalRow));
	StringInfoData tag;

	check_stack_depth();
	if (type != RECORDOID)
		depend_on(types, type);
	row->type = type;
	row->typmod = typmod;
	row->descriptor = lookup_rowtype_tupdesc_copy(type, typmod);
	find_columns(row);

	initStringInfo(&tag);
	row->is_flat = true;
	for (int i = 0; i < row->ncolumns; i++)
	{
		CanonicalColumn *column = &row->columns[i];
		Form_pg_attribute attribute = TupleDescAttr(row->descriptor, column->attribute);
		ColumnInRow place = {row, NameStr(attribute->attname)};

		column->type = make_type(types, attribute->atttypid, attribute->atttypmod, &place);
		column->form = column->type->form;
		row->is_flat &= column->form < FORM_ARRAY;
		row->fixed_length += Max(column->type->length, 0);
		append_counted(&tag, NameStr(attribute->attname));
		append_counted(&tag, column->type->tag);
	}
	row->tag = tag.data;
	row->header = du_digest128(tag.data, tag.len);

	row->next = types->rows;
	types->rows = row;
	return row;
}

/*
 * What is known of a row type: remembered, or found out.  Raises 0A000 when a
 * column has a type that cannot be hashed.
 */
CanonicalRow *
du_types_row(CanonicalTypes *types, Oid type, int32 typmod)
{
	MemoryContext caller;
	CanonicalRow *row;

	for (row = types->rows; row != NULL; row = row->next)
	{
		if (row->type == type && row->typmod == typmod)
			return row;
	}
	caller = MemoryContextSwitchTo(types->context);
	row = make_row(types, type, typmod);
	MemoryContextSwitchTo(caller);
	return row;
}

static void
prepare_output(CanonicalTypes *types, CanonicalType *type)
{
	Oid			function;
	bool		is_varlena;

	getTypeOutputInfo(type->oid, &function, &is_varlena);
	fmgr_info_cxt(function, &type->output, types->context);
}

static void
make_array(CanonicalTypes *types, CanonicalType *type, Oid element, const ColumnInRow *place)
{
	type->form = FORM_ARRAY;
	type->element = make_type(types, element, -1, place);
	if (type->oid == INT2VECTOROID || type->oid == OIDVECTOROID)
		type->tag = pstrdup(type->oid == INT2VECTOROID ? "int2vector" : "oidvector");
	else
		type->tag = psprintf("[]%s", type->element->tag);
}

static void
make_range(CanonicalTypes *types, CanonicalType *type, const char *name, const ColumnInRow *place)
{
	type->form = FORM_RANGE;
	type->range = lookup_type_cache(type->oid, TYPECACHE_RANGE_INFO);
	type->element = make_type(types, type->range->rngelemtype->type_id, -1, place);
	type->tag = psprintf("range %s %s", name, type->element->tag);
}

/* Multiranges exist since 14. */
#if PG_VERSION_NUM >= 140000
static void
make_multirange(CanonicalTypes *types, CanonicalType *type, const ColumnInRow *place)
{
	type->form = FORM_MULTIRANGE;
	type->element = make_type(types, get_multirange_range(type->oid), -1, place);
	type->range = type->element->range;
	type->tag = psprintf("{}%s", type->element->tag);
}
#endif

static void
make_enum(CanonicalType *type, const char *name)
{
	type->form = FORM_ENUM;
	type->labels = palloc0(sizeof(EnumLabels));
	type->tag = psprintf("enum %s", name);
}

static void
make_composite(CanonicalTypes *types, CanonicalType *type)
{
	type->form = FORM_ROW;
	type->row = du_types_row(types, type->oid, -1);
	type->tag = psprintf("(%s)", type->row->tag);
}

/*
 * A type of an extension, known to us or vouched for by the setting.
 */
static void
make_foreign(CanonicalTypes *types, CanonicalType *type, const char *name, const ColumnInRow *place)
{
	Oid			owner = getExtensionOfObject(TypeRelationId, type->oid);
	const char *extension = OidIsValid(owner) ? get_extension_name(owner) : NULL;

	if (extension != NULL && du_forms_of_extension(extension, name, &type->form))
		type->tag = psprintf("%s:%s", extension, name);
	else if (du_text_types_list(name))
	{
		type->form = FORM_STABLE_TEXT;
		type->tag = psprintf("text of %s", name);
	}
	else
		refuse(type->oid, place);
}

static void
make_base(CanonicalTypes *types, CanonicalType *type, const char *name, const ColumnInRow *place)
{
	if (type->oid == RECORDOID)
	{
		type->form = FORM_RECORD;
		type->tag = pstrdup(name);
	}
	else if (du_forms_of_builtin(type->oid, &type->form))
		type->tag = pstrdup(name);
	else
		make_foreign(types, type, name, place);

	if (type->form == FORM_TEXT || type->form == FORM_STABLE_TEXT || type->form == FORM_XML)
		prepare_output(types, type);
}

static CanonicalType *
make_type(CanonicalTypes *types, Oid oid, int32 typmod, const ColumnInRow *place)
{
	CanonicalType *type = palloc0(sizeof(CanonicalType));
	HeapTuple	tuple;
	Form_pg_type row;
	Oid			element;

	check_stack_depth();
	type->oid = getBaseTypeAndTypmod(oid, &typmod);
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type->oid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type->oid);
	row = (Form_pg_type) GETSTRUCT(tuple);
	type->length = row->typlen;
	type->by_value = row->typbyval;
	type->alignment = row->typalign;

	element = get_element_type(type->oid);
	if (OidIsValid(element))
		make_array(types, type, element, place);
	else if (row->typtype == TYPTYPE_RANGE)
		make_range(types, type, NameStr(row->typname), place);
#if PG_VERSION_NUM >= 140000
	else if (row->typtype == TYPTYPE_MULTIRANGE)
		make_multirange(types, type, place);
#endif
	else if (row->typtype == TYPTYPE_ENUM)
		make_enum(type, NameStr(row->typname));
	else if (row->typtype == TYPTYPE_COMPOSITE)
		make_composite(types, type);
	else
		make_base(types, type, NameStr(row->typname), place);

	ReleaseSysCache(tuple);
	return type;
}

/*
 * The label of an enum's value, remembered as long as the type is.
 */
const char *
du_types_enum_label(CanonicalType *type, Oid value, size_t *length)
{
	int			slot = value % CACHED_LABELS;
	EnumLabels *labels = type->labels;
	HeapTuple	tuple;

	if (labels->values[slot] != value)
	{
		tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
		if (!HeapTupleIsValid(tuple))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid internal value for enum: %u", value)));
		labels->names[slot] = ((Form_pg_enum) GETSTRUCT(tuple))->enumlabel;
		labels->lengths[slot] = strlen(NameStr(labels->names[slot]));
		labels->values[slot] = value;
		ReleaseSysCache(tuple);
	}
	*length = labels->lengths[slot];
	return NameStr(labels->names[slot]);
}
