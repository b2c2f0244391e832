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

#include "canonical_value.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/rangetypes.h"

#include "canonical_scalar.h"

/* 16 moved these macros into a header of their own. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Multiranges exist since 14. */
#if PG_VERSION_NUM >= 140000
#include "utils/multirangetypes.h"
#endif

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
 * Adds the values of a row in the order of the columns' names.  They are given
 * as the descriptor has them.
 *
 * This is where the time goes, so the most common forms are written here,
 * through a pointer of our own: there always is room for all columns of fixed
 * length.
 */
void
du_value_put_row(CanonicalTypes *types, CanonicalBuffer *buffer,
				 const CanonicalRow *row, const Datum *values, const bool *nulls)
{
	size_t		start = start_nulls(buffer, row->ncolumns);
	char	   *next;

	buffer_reserve(buffer, row->fixed_length);
	next = buffer->data + buffer->used;
	for (int i = 0; i < row->ncolumns; i++)
	{
		const CanonicalColumn *column = &row->columns[i];
		Datum		value = values[column->attribute];

		if (nulls[column->attribute])
		{
			note_null(buffer, start, i);
			continue;
		}
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
			default:
				buffer->used = next - buffer->data;
				if (column->form == FORM_STRING && !VARATT_IS_EXTERNAL(DatumGetPointer(value)) &&
					!VARATT_IS_4B_C(DatumGetPointer(value)))
					buffer_put_string(buffer, VARDATA_ANY(DatumGetPointer(value)),
									  VARSIZE_ANY_EXHDR(DatumGetPointer(value)));
				else
					put_value(types, buffer, column->type, value);
				buffer_reserve(buffer, row->fixed_length);
				next = buffer->data + buffer->used;
				break;
		}
	}
	buffer->used = next - buffer->data;
}

static void
put_tuple(CanonicalTypes *types, CanonicalBuffer *buffer, const CanonicalRow *row, HeapTupleHeader header)
{
	int			natts = Max(row->descriptor->natts, 1);
	Datum	   *values = palloc(natts * sizeof(Datum));
	bool	   *nulls = palloc(natts * sizeof(bool));
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, row->descriptor, values, nulls);
	du_value_put_row(types, buffer, row, values, nulls);
	pfree(values);
	pfree(nulls);
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
	put_tuple(types, buffer, row, header);
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
