/*-------------------------------------------------------------------------
 *
 * canonical_type.h
 *	  What is known of a type in order to hash its values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CANONICAL_TYPE_H
#define DU_CANONICAL_TYPE_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "utils/typcache.h"

#include "checksum/canonical_buffer.h"

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

#endif							/* DU_CANONICAL_TYPE_H */
