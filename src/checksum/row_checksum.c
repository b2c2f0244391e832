/*-------------------------------------------------------------------------
 *
 * row_checksum.c
 *	  A checksum of rows that does not depend on their order.
 *
 * Each row's canonical bytes are hashed to 128 bits and the sum of the hashes
 * modulo 2^128 is the checksum: rows that are there twice count twice, and
 * parts of a table can be summed anywhere and in any order.  It finds what
 * went wrong by accident; it is no protection against somebody who looks for
 * collisions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "checksum/internal.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define ALGORITHM	"du1"

/* Of a checksum as text. */
#define HALF_DIGITS	16

/* Of columns_checksum: after the state and what says the row type. */
#define FIRST_COLUMN	2

/* What a call site keeps between rows. */
typedef struct RowHasher
{
	CanonicalTypes *types;
	CanonicalBuffer buffer;
	CanonicalRow *row;			/* that of the last value */
} RowHasher;

PG_FUNCTION_INFO_V1(documentdb_upgrade_row_checksum_add);
PG_FUNCTION_INFO_V1(documentdb_upgrade_columns_checksum_add);
PG_FUNCTION_INFO_V1(documentdb_upgrade_row_checksum_combine);
PG_FUNCTION_INFO_V1(documentdb_upgrade_row_checksum_serialize);
PG_FUNCTION_INFO_V1(documentdb_upgrade_row_checksum_deserialize);
PG_FUNCTION_INFO_V1(documentdb_upgrade_row_checksum_result);
PG_FUNCTION_INFO_V1(documentdb_upgrade_record_checksum);
PG_FUNCTION_INFO_V1(documentdb_upgrade_add_checksums);
PG_FUNCTION_INFO_V1(documentdb_upgrade_checksum_algorithm);

static RowHasher *
get_hasher(FmgrInfo *site)
{
	RowHasher  *hasher = site->fn_extra;

	if (hasher == NULL)
	{
		hasher = MemoryContextAllocZero(site->fn_mcxt, sizeof(RowHasher));
		hasher->types = du_types_create(site->fn_mcxt);
		du_buffer_init(&hasher->buffer, site->fn_mcxt);
		site->fn_extra = hasher;
	}
	else if (!du_types_are_current(hasher->types))
	{
		hasher->row = NULL;
		du_types_forget(hasher->types);
	}
	return hasher;
}

/*
 * What is known of a row type, which often is that of the row before.
 */
static CanonicalRow *
get_row_type(RowHasher *hasher, Oid type, int32 typmod)
{
	if (hasher->row == NULL || hasher->row->type != type || hasher->row->typmod != typmod)
		hasher->row = du_types_row(hasher->types, type, typmod);
	return hasher->row;
}

static CanonicalBuffer *
start_row(RowHasher *hasher, const CanonicalRow *row)
{
	CanonicalBuffer *buffer = &hasher->buffer;

	du_buffer_shrink(buffer);
	buffer_put64(buffer, row->header.low);
	buffer_put64(buffer, row->header.high);
	return buffer;
}

static Digest128
hash_row(FmgrInfo *site, HeapTupleHeader header)
{
	RowHasher  *hasher = get_hasher(site);
	CanonicalRow *row = get_row_type(hasher, HeapTupleHeaderGetTypeId(header),
									 HeapTupleHeaderGetTypMod(header));
	CanonicalBuffer *buffer = start_row(hasher, row);

	du_value_put_tuple(hasher->types, buffer, row, header);
	return du_digest128(buffer->data, buffer->used);
}

/*
 * The row type that columns are given for, after a look at whether they are
 * its columns.
 */
static CanonicalRow *
row_type_of_columns(FunctionCallInfo fcinfo, RowHasher *hasher)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	CanonicalRow *row;

	if (type == RECORDOID || !OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the first argument must be of the type of a table"),
				 errhint("Call columns_checksum(NULL::tablename, column, ...).")));
	row = get_row_type(hasher, type, -1);
	if (PG_NARGS() - FIRST_COLUMN != row->ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("there are %d columns given for type %s, which has %d",
						PG_NARGS() - FIRST_COLUMN, format_type_be(type), row->ncolumns)));
	for (int i = 0; i < row->ncolumns; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(row->descriptor, row->attributes[i]);

		if (get_fn_expr_argtype(fcinfo->flinfo, i + FIRST_COLUMN) != attribute->atttypid)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("the value given for column \"%s\" of type %s is not of its type",
							NameStr(attribute->attname), format_type_be(type)),
					 errhint("All columns are to be given, in the order of the table.")));
	}
	return row;
}

static Digest128
hash_columns(FunctionCallInfo fcinfo)
{
	RowHasher  *hasher = get_hasher(fcinfo->flinfo);
	CanonicalRow *row = hasher->row ? hasher->row : row_type_of_columns(fcinfo, hasher);
	CanonicalBuffer *buffer = start_row(hasher, row);

	du_value_put_row(hasher->types, buffer, row, &fcinfo->args[FIRST_COLUMN]);
	return du_digest128(buffer->data, buffer->used);
}

static void
add_digest(Digest128 * sum, Digest128 digest)
{
	sum->low += digest.low;
	sum->high += digest.high + (sum->low < digest.low ? 1 : 0);
}

static text *
digest_text(Digest128 digest)
{
	return cstring_to_text(psprintf("%08x%08x%08x%08x",
									(uint32) (digest.high >> 32), (uint32) digest.high,
									(uint32) (digest.low >> 32), (uint32) digest.low));
}

static Digest128 *
new_sum(FunctionCallInfo fcinfo)
{
	MemoryContext aggregate;

	if (!AggCheckCallContext(fcinfo, &aggregate))
		elog(ERROR, "aggregate function called in non-aggregate context");
	return MemoryContextAllocZero(aggregate, sizeof(Digest128));
}

/*
 * Transition: NULL is no row, as for other aggregates.
 */
Datum
documentdb_upgrade_row_checksum_add(PG_FUNCTION_ARGS)
{
	Digest128  *sum = PG_ARGISNULL(0) ? new_sum(fcinfo) : (Digest128 *) PG_GETARG_POINTER(0);

	if (!PG_ARGISNULL(1))
		add_digest(sum, hash_row(fcinfo->flinfo, PG_GETARG_HEAPTUPLEHEADER(1)));
	PG_RETURN_POINTER(sum);
}

/*
 * Transition for rows that are given column by column, which spares the server
 * to put them together.
 */
Datum
documentdb_upgrade_columns_checksum_add(PG_FUNCTION_ARGS)
{
	Digest128  *sum = PG_ARGISNULL(0) ? new_sum(fcinfo) : (Digest128 *) PG_GETARG_POINTER(0);

	add_digest(sum, hash_columns(fcinfo));
	PG_RETURN_POINTER(sum);
}

Datum
documentdb_upgrade_row_checksum_combine(PG_FUNCTION_ARGS)
{
	Digest128  *sum = PG_ARGISNULL(0) ? new_sum(fcinfo) : (Digest128 *) PG_GETARG_POINTER(0);

	if (!PG_ARGISNULL(1))
		add_digest(sum, *(Digest128 *) PG_GETARG_POINTER(1));
	PG_RETURN_POINTER(sum);
}

Datum
documentdb_upgrade_row_checksum_serialize(PG_FUNCTION_ARGS)
{
	Digest128  *sum = (Digest128 *) PG_GETARG_POINTER(0);
	StringInfoData bytes;

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "aggregate function called in non-aggregate context");
	pq_begintypsend(&bytes);
	pq_sendint64(&bytes, sum->high);
	pq_sendint64(&bytes, sum->low);
	PG_RETURN_BYTEA_P(pq_endtypsend(&bytes));
}

Datum
documentdb_upgrade_row_checksum_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *serialized = PG_GETARG_BYTEA_PP(0);
	Digest128  *sum = palloc(sizeof(Digest128));
	StringInfoData bytes;

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "aggregate function called in non-aggregate context");
	initStringInfo(&bytes);
	appendBinaryStringInfo(&bytes, VARDATA_ANY(serialized), VARSIZE_ANY_EXHDR(serialized));
	sum->high = pq_getmsgint64(&bytes);
	sum->low = pq_getmsgint64(&bytes);
	pq_getmsgend(&bytes);
	pfree(bytes.data);
	PG_RETURN_POINTER(sum);
}

Datum
documentdb_upgrade_row_checksum_result(PG_FUNCTION_ARGS)
{
	Digest128	none = {0, 0};

	PG_RETURN_TEXT_P(digest_text(PG_ARGISNULL(0) ? none : *(Digest128 *) PG_GETARG_POINTER(0)));
}

/*
 * The checksum of one row.
 */
Datum
documentdb_upgrade_record_checksum(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(digest_text(hash_row(fcinfo->flinfo, PG_GETARG_HEAPTUPLEHEADER(0))));
}

/*
 * The name of what is documented: another way to hash would have another name.
 */
Datum
documentdb_upgrade_checksum_algorithm(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(ALGORITHM));
}

static bool
parse_half(const char *digits, uint64 *half)
{
	*half = 0;
	for (int i = 0; i < HALF_DIGITS; i++)
	{
		char		c = digits[i];

		if (c >= '0' && c <= '9')
			*half = *half << 4 | (uint64) (c - '0');
		else if (c >= 'a' && c <= 'f')
			*half = *half << 4 | (uint64) (c - 'a' + 10);
		else
			return false;
	}
	return true;
}

static void
parse_checksum(const char *checksum, uint64 *high, uint64 *low)
{
	if (strlen(checksum) != 2 * HALF_DIGITS ||
		!parse_half(checksum, high) || !parse_half(checksum + HALF_DIGITS, low))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a checksum", checksum),
				 errdetail("A checksum has 32 hexadecimal digits in lower case.")));
}

/*
 * The checksum of two sets of rows together, from those of each.
 */
Datum
documentdb_upgrade_add_checksums(PG_FUNCTION_ARGS)
{
	uint64		high[2];
	uint64		low[2];

	for (int i = 0; i < 2; i++)
		parse_checksum(text_to_cstring(PG_GETARG_TEXT_PP(i)), &high[i], &low[i]);
	low[0] += low[1];
	high[0] += high[1] + (low[0] < low[1] ? 1 : 0);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%08x%08x%08x%08x",
											  (uint32) (high[0] >> 32), (uint32) high[0],
											  (uint32) (low[0] >> 32), (uint32) low[0])));
}
