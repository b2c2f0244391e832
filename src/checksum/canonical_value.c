/*-------------------------------------------------------------------------
 *
 * canonical_value.c
 *	  Canonical bytes of rows and of all that is in them.
 *
 * A row, an array and a range each are a list of values: one bit per value
 * that says whether it is NULL, and the bytes of those that are not.  What
 * belongs to the form and not to the storage comes before it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "checksum/internal.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/rangetypes.h"

/* 16 moved these macros into a header of their own. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Multiranges exist since 14. */
#if PG_VERSION_NUM >= 140000
#include "utils/multirangetypes.h"
#endif

/* So many are taken apart on the stack. */
#define FEW_COLUMNS			64

/* Flags of a range. */
#define IS_EMPTY			0x01
#define LOWER_INFINITE		0x02
#define LOWER_INCLUSIVE		0x04
#define UPPER_INFINITE		0x08
#define UPPER_INCLUSIVE		0x10

static void put_value(CanonicalTypes *types, CanonicalBuffer *buffer, CanonicalType *type, Datum value);

/*
 * Makes room for the bits of a list, all zero, and gives back where they are.
 */
static size_t
start_nulls(CanonicalBuffer *buffer, size_t nvalues)
{
	size_t		start = buffer->used;
	size_t		length = (nvalues + 7) / 8;

	buffer_reserve(buffer, length);
	memset(buffer->data + start, 0, length);
	buffer->used += length;
	return start;
}

static inline void
note_null(CanonicalBuffer *buffer, size_t start, size_t i)
{
	buffer->data[start + i / 8] |= (char) (1 << (i % 8));
}

/*
 * Adds a value whose form has no fixed length.  The common ones are stored in
 * place and read there.
 */
static inline void
put_variable(CanonicalTypes *types, CanonicalBuffer *buffer, const CanonicalColumn *column, Datum value)
{
	const char *pointer = DatumGetPointer(value);

	if ((column->form == FORM_STRING || column->form == FORM_NUMERIC) &&
		!VARATT_IS_EXTERNAL(pointer) && !VARATT_IS_4B_C(pointer))
	{
		if (column->form == FORM_STRING)
			buffer_put_string(buffer, VARDATA_ANY(pointer), VARSIZE_ANY_EXHDR(pointer));
		else
			du_numeric_put(buffer, VARDATA_ANY(pointer), VARSIZE_ANY_EXHDR(pointer));
	}
	else
		put_value(types, buffer, column->type, value);
}

/* The values of a row: given for columns by place, or else by attribute. */
typedef struct RowValues
{
	const NullableDatum *given;
	const Datum *values;
	const bool *nulls;
} RowValues;

/*
 * Adds the values of a row in the order of the columns' names.
 *
 * This is where the time goes, so the most common forms are written here,
 * through a pointer of our own: there always is room for all columns of fixed
 * length.  Each caller has a copy of its own of this, for its kind of values.
 */
static pg_attribute_always_inline void
put_columns(CanonicalTypes *types, CanonicalBuffer *buffer, const CanonicalRow *row, RowValues from)
{
	size_t		start = start_nulls(buffer, row->ncolumns);
	char	   *next;

	buffer_reserve(buffer, row->fixed_length);
	next = buffer->data + buffer->used;
	for (int i = 0; i < row->ncolumns; i++)
	{
		const CanonicalColumn *column = &row->columns[i];
		Datum		value;

		if (from.given != NULL ? from.given[column->place].isnull : from.nulls[column->attribute])
		{
			note_null(buffer, start, i);
			continue;
		}
		value = from.given != NULL ? from.given[column->place].value : from.values[column->attribute];
		switch (column->form)
		{
			case FORM_1_BYTE:
				*next++ = DatumGetChar(value);
				break;
			case FORM_4_BYTES:
				next = store32(next, DatumGetUInt32(value));
				break;
			case FORM_8_BYTES:
				next = store64(next, (uint64) DatumGetInt64(value));
				break;
			case FORM_FLOAT8:
				next = store64(next, float8_bits(DatumGetFloat8(value)));
				break;
			default:
				buffer->used = next - buffer->data;
				put_variable(types, buffer, column, value);
				buffer_reserve(buffer, row->fixed_length);
				next = buffer->data + buffer->used;
				break;
		}
	}
	buffer->used = next - buffer->data;
}

/*
 * Adds the values of a row, given in the order of the table.
 */
void
du_value_put_row(CanonicalTypes *types, CanonicalBuffer *buffer,
				 const CanonicalRow *row, const NullableDatum *values)
{
	RowValues	from = {.given = values};

	put_columns(types, buffer, row, from);
}

/* Takes a row apart, into the room that its type has for that. */
static void
deform(const CanonicalRow *row, HeapTupleHeader header)
{
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, row->descriptor, row->all_values, row->all_nulls);
}

/*
 * The same of one whose values may have a row of the same type in them, which
 * needs that room too.
 */
static void
put_copied(CanonicalTypes *types, CanonicalBuffer *buffer, const CanonicalRow *row)
{
	NullableDatum few[FEW_COLUMNS];
	NullableDatum *values = few;

	if (row->ncolumns > FEW_COLUMNS)
		values = palloc(row->ncolumns * sizeof(NullableDatum));
	for (int i = 0; i < row->ncolumns; i++)
	{
		values[i].value = row->all_values[row->attributes[i]];
		values[i].isnull = row->all_nulls[row->attributes[i]];
	}
	du_value_put_row(types, buffer, row, values);
	if (values != few)
		pfree(values);
}

/*
 * Adds the values of a row that has been put together.
 */
void
du_value_put_tuple(CanonicalTypes *types, CanonicalBuffer *buffer,
				   const CanonicalRow *row, HeapTupleHeader header)
{
	deform(row, header);
	if (row->is_flat)
	{
		RowValues	from = {.values = row->all_values,.nulls = row->all_nulls};

		put_columns(types, buffer, row, from);
	}
	else
		put_copied(types, buffer, row);
}

/*
 * A row within a row.  One whose type the column does not say begins with the
 * digest of its own names and types.
 */
static void
put_composite(CanonicalTypes *types, CanonicalBuffer *buffer, CanonicalType *type, Datum value)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	const CanonicalRow *row = type->row;

	if (type->form == FORM_RECORD)
	{
		row = du_types_row(types, HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
		buffer_put64(buffer, row->header.low);
		buffer_put64(buffer, row->header.high);
	}
	du_value_put_tuple(types, buffer, row, header);
	if ((Pointer) header != DatumGetPointer(value))
		pfree(header);
}

/*
 * Dimensions and bounds, then the elements.  Whether the array has room for
 * NULLs is a matter of its past.
 */
static void
put_array(CanonicalTypes *types, CanonicalBuffer *buffer, CanonicalType *type, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	CanonicalType *element = type->element;
	int			ndims = ARR_NDIM(array);
	int			nelements = ArrayGetNItems(ndims, ARR_DIMS(array));
	const bits8 *present = ARR_NULLBITMAP(array);
	char	   *data = ARR_DATA_PTR(array);
	size_t		start;

	buffer_put8(buffer, (uint8) ndims);
	for (int i = 0; i < ndims; i++)
	{
		buffer_put32(buffer, (uint32) ARR_DIMS(array)[i]);
		buffer_put32(buffer, (uint32) ARR_LBOUND(array)[i]);
	}

	start = start_nulls(buffer, nelements);
	for (int i = 0; i < nelements; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (present != NULL && (present[i / 8] & (1 << (i % 8))) == 0)
		{
			note_null(buffer, start, i);
			continue;
		}
		put_value(types, buffer, element, fetch_att(data, element->by_value, element->length));
		data = att_addlength_pointer(data, element->length, data);
		data = (char *) att_align_nominal(data, element->alignment);
	}
	if ((Pointer) array != DatumGetPointer(value))
		pfree(array);
}

static void
put_range_itself(CanonicalTypes *types, CanonicalBuffer *buffer, CanonicalType *type, const RangeType *range)
{
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;

	range_deserialize(type->range, range, &lower, &upper, &empty);
	if (empty)
	{
		buffer_put8(buffer, IS_EMPTY);
		return;
	}
	buffer_put8(buffer,
				(lower.infinite ? LOWER_INFINITE : 0) | (lower.inclusive ? LOWER_INCLUSIVE : 0) |
				(upper.infinite ? UPPER_INFINITE : 0) | (upper.inclusive ? UPPER_INCLUSIVE : 0));
	if (!lower.infinite)
		put_value(types, buffer, type->element, lower.val);
	if (!upper.infinite)
		put_value(types, buffer, type->element, upper.val);
}

static void
put_range(CanonicalTypes *types, CanonicalBuffer *buffer, CanonicalType *type, Datum value)
{
	RangeType  *range = DatumGetRangeTypeP(value);

	put_range_itself(types, buffer, type, range);
	if ((Pointer) range != DatumGetPointer(value))
		pfree(range);
}

#if PG_VERSION_NUM >= 140000
static void
put_multirange(CanonicalTypes *types, CanonicalBuffer *buffer, CanonicalType *type, Datum value)
{
	MultirangeType *multirange = DatumGetMultirangeTypeP(value);
	RangeType **ranges;
	int32		nranges;

	multirange_deserialize(type->range, multirange, &nranges, &ranges);
	buffer_put32(buffer, (uint32) nranges);
	for (int i = 0; i < nranges; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_range_itself(types, buffer, type->element, ranges[i]);
	}
	if ((Pointer) multirange != DatumGetPointer(value))
		pfree(multirange);
}
#endif

/*
 * Adds one value that is not NULL.
 */
static void
put_value(CanonicalTypes *types, CanonicalBuffer *buffer, CanonicalType *type, Datum value)
{
	switch (type->form)
	{
		case FORM_ARRAY:
			check_stack_depth();
			put_array(types, buffer, type, value);
			break;
		case FORM_RANGE:
			check_stack_depth();
			put_range(types, buffer, type, value);
			break;
#if PG_VERSION_NUM >= 140000
		case FORM_MULTIRANGE:
			check_stack_depth();
			put_multirange(types, buffer, type, value);
			break;
#endif
		case FORM_ROW:
		case FORM_RECORD:
			check_stack_depth();
			put_composite(types, buffer, type, value);
			break;
		default:
			du_scalar_put(buffer, type, value);
			break;
	}
}
