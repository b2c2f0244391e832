/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share: canonical forms of values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CHECKSUM_INTERNAL_H
#define DU_CHECKSUM_INTERNAL_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "fmgr.h"
#include "port/pg_bswap.h"
#include "utils/typcache.h"
#include <math.h>

#include "checksum/checksum.h"

/* ----
 * canonical_buffer.c
 *
 * A growing buffer of bytes in one order, and 128-bit digests.
 * ----
 */

/* Byte strings that are longer go in as their digest. */
#define DU_LONGEST_INLINE	4096

typedef struct Digest128
{
	uint64		low;
	uint64		high;
}			Digest128;

extern void du_buffer_enlarge(CanonicalBuffer *buffer, size_t more);
extern void du_buffer_shrink(CanonicalBuffer *buffer);
extern void du_buffer_copy(char *to, const char *from, size_t length);
extern void du_buffer_put_long_string(CanonicalBuffer *buffer, const char *bytes, size_t length);
extern Digest128 du_digest128(const char *bytes, size_t length);

static inline void
buffer_reserve(CanonicalBuffer *buffer, size_t more)
{
	if (unlikely(buffer->size - buffer->used < more))
		du_buffer_enlarge(buffer, more);
}

static inline void
buffer_put(CanonicalBuffer *buffer, const void *bytes, size_t length)
{
	buffer_reserve(buffer, length);
	memcpy(buffer->data + buffer->used, bytes, length);
	buffer->used += length;
}

/*
 * Integers are stored with their lowest byte first.  Gives back where the next
 * one goes.
 */
static inline char *
store16(char *place, uint16 value)
{
#ifdef WORDS_BIGENDIAN
	value = pg_bswap16(value);
#endif
	memcpy(place, &value, sizeof(value));
	return place + sizeof(value);
}

static inline char *
store32(char *place, uint32 value)
{
#ifdef WORDS_BIGENDIAN
	value = pg_bswap32(value);
#endif
	memcpy(place, &value, sizeof(value));
	return place + sizeof(value);
}

static inline char *
store64(char *place, uint64 value)
{
#ifdef WORDS_BIGENDIAN
	value = pg_bswap64(value);
#endif
	memcpy(place, &value, sizeof(value));
	return place + sizeof(value);
}

static inline void
buffer_put8(CanonicalBuffer *buffer, uint8 value)
{
	buffer_reserve(buffer, sizeof(value));
	buffer->data[buffer->used++] = (char) value;
}

static inline void
buffer_put16(CanonicalBuffer *buffer, uint16 value)
{
	buffer_reserve(buffer, sizeof(value));
	buffer->used = store16(buffer->data + buffer->used, value) - buffer->data;
}

static inline void
buffer_put32(CanonicalBuffer *buffer, uint32 value)
{
	buffer_reserve(buffer, sizeof(value));
	buffer->used = store32(buffer->data + buffer->used, value) - buffer->data;
}

static inline void
buffer_put64(CanonicalBuffer *buffer, uint64 value)
{
	buffer_reserve(buffer, sizeof(value));
	buffer->used = store64(buffer->data + buffer->used, value) - buffer->data;
}

/*
 * What memcpy does.  Most strings are short, and for a length that it knows to
 * be bounded a compiler may put an instruction for blocks, which takes longer to
 * start than to copy them.
 */
static inline void
copy_bytes(char *to, const char *from, size_t length)
{
	if (length > 32)
		du_buffer_copy(to, from, length);
	else if (length >= 16)
	{
		memcpy(to, from, 16);
		memcpy(to + length - 16, from + length - 16, 16);
	}
	else if (length >= 8)
	{
		memcpy(to, from, 8);
		memcpy(to + length - 8, from + length - 8, 8);
	}
	else if (length >= 4)
	{
		memcpy(to, from, 4);
		memcpy(to + length - 4, from + length - 4, 4);
	}
	else if (length > 0)
	{
		to[0] = from[0];
		to[length / 2] = from[length / 2];
		to[length - 1] = from[length - 1];
	}
}

/*
 * A byte string with its length before it.
 */
static inline void
buffer_put_string(CanonicalBuffer *buffer, const char *bytes, size_t length)
{
	if (unlikely(length > DU_LONGEST_INLINE))
	{
		du_buffer_put_long_string(buffer, bytes, length);
		return;
	}
	buffer_reserve(buffer, sizeof(uint32) + length);
	copy_bytes(store32(buffer->data + buffer->used, (uint32) length), bytes, length);
	buffer->used += sizeof(uint32) + length;
}

/* ----
 * canonical_type.c
 *
 * What is known of a type in order to hash its values.
 * ----
 */

/* How values of a type become bytes. */
typedef enum CanonicalForm
{
	/* scalars with one form everywhere */
	FORM_1_BYTE,
	FORM_2_BYTES,
	FORM_4_BYTES,
	FORM_8_BYTES,
	FORM_FLOAT4,
	FORM_FLOAT8,
	FORM_FIXED,					/* by reference, bytes as they are */
	FORM_STRING,				/* varlena, bytes as they are */
	FORM_NAME,
	FORM_CSTRING,
	FORM_NUMERIC,
	FORM_INTERVAL,
	FORM_TIMETZ,
	FORM_TID,
	FORM_INET,
	FORM_BITS,
	FORM_FLOATS,				/* geometry of a fixed number of floats */
	FORM_PATH,
	FORM_POLYGON,
	FORM_JSONB,
	/* what has to be put into words */
	FORM_XML,
	FORM_ACLITEM,
	FORM_OBJECT,				/* regclass and its kin */
	FORM_TEXT,					/* the output function's */
	FORM_STABLE_TEXT,			/* the same with settings pinned */
	FORM_ENUM,
	/* what consists of other values */
	FORM_ARRAY,
	FORM_RANGE,
	FORM_MULTIRANGE,
	FORM_ROW,
	FORM_RECORD					/* a row whose type each value says itself */
} CanonicalForm;

struct CanonicalRow;
struct EnumLabels;

typedef struct CanonicalType
{
	CanonicalForm form;
	Oid			oid;
	int16		length;
	bool		by_value;
	char		alignment;
	char	   *tag;			/* what stands for the type in a digest */
	FmgrInfo	output;			/* of the forms of text */
	struct CanonicalType *element;	/* of arrays, ranges, multiranges */
	TypeCacheEntry *range;		/* of ranges and multiranges */
	struct CanonicalRow *row;	/* of rows */
	struct EnumLabels *labels;	/* of enums */
} CanonicalType;

typedef struct CanonicalColumn
{
	CanonicalForm form;			/* the type's, at hand */
	int			attribute;		/* index into the descriptor */
	int			place;			/* the same without dropped columns */
	CanonicalType *type;
} CanonicalColumn;

/* A row type. */
typedef struct CanonicalRow
{
	Oid			type;
	int32		typmod;
	TupleDesc	descriptor;
	int			ncolumns;		/* without dropped ones */
	CanonicalColumn *columns;	/* in the order of their names */
	int		   *attributes;		/* by place: index into the descriptor */
	size_t		fixed_length;	/* room for all columns of fixed length */
	bool		is_flat;		/* no value consists of others */
	char	   *tag;
	Digest128	header;			/* digest of the names and types */
	Datum	   *all_values;		/* room to take a row apart, by attribute; */
	bool	   *all_nulls;		/* not in use when a value is looked at */
	struct CanonicalRow *next;
} CanonicalRow;

/*
 * What one call site knows.  Everything is forgotten when a type that it
 * depends on has changed.
 */
typedef struct CanonicalTypes
{
	MemoryContext context;
	CanonicalRow *rows;
	uint64		generation;
	struct TypeDependency *dependencies;
} CanonicalTypes;

extern CanonicalTypes *du_types_create(MemoryContext parent);
extern bool du_types_are_current(const CanonicalTypes *types);
extern void du_types_forget(CanonicalTypes *types);
extern CanonicalRow *du_types_row(CanonicalTypes *types, Oid type, int32 typmod);
extern const char *du_types_enum_label(CanonicalType *type, Oid value, size_t *length);

/* ----
 * canonical_builtin.c
 *
 * Which form the values of known base types take.
 * ----
 */

extern bool du_forms_of_builtin(Oid type, CanonicalForm *form);
extern bool du_forms_of_extension(const char *extension, const char *type, CanonicalForm *form);

/* ----
 * canonical_names.c
 *
 * Names of catalogue objects that mean the same on every server.
 * ----
 */

extern char *du_names_object(Oid regtype, Oid object);
extern char *du_names_role(Oid role);

/* ----
 * canonical_scalar.c
 *
 * Canonical bytes of values that consist of no others.
 * ----
 */

/*
 * All kinds of NaN are one: which bits one has does not survive pg_dump.  -0
 * does, and differs from 0.
 */
static inline uint32
float4_bits(float4 value)
{
	uint32		bits;

	if (unlikely(isnan(value)))
		return 0x7FC00000;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline uint64
float8_bits(float8 value)
{
	uint64		bits;

	if (unlikely(isnan(value)))
		return UINT64CONST(0x7FF8000000000000);
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

extern void du_scalar_put(CanonicalBuffer *buffer, CanonicalType *type, Datum value);

/* ----
 * canonical_value.c
 *
 * Canonical bytes of rows and of all that is in them.
 * ----
 */

extern void du_value_put_row(CanonicalTypes *types, CanonicalBuffer *buffer,
							 const CanonicalRow *row, const NullableDatum *values);
extern void du_value_put_tuple(CanonicalTypes *types, CanonicalBuffer *buffer,
							   const CanonicalRow *row, HeapTupleHeader header);

/* ----
 * text_types.c
 *
 * The setting that lists types whose text form the user vouches for.
 * ----
 */

extern const char *du_text_types_setting(void);
extern bool du_text_types_list(const char *type);
extern uint64 du_text_types_generation(void);

#endif							/* DU_CHECKSUM_INTERNAL_H */
