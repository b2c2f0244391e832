/*-------------------------------------------------------------------------
 *
 * canonical_builtin.c
 *	  Which form the values of known base types take.
 *
 * A type belongs here when its values have one form in every release since
 * 13, before and after pg_dump, and on every processor.  docs/parity.md gives
 * the reason for each.  Whatever is not here is refused, never guessed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "checksum/internal.h"

#include "catalog/pg_type.h"

/* 14 gave these two the names that follow from their types. */
#ifndef MONEYOID
#define MONEYOID	CASHOID
#endif
#ifndef PG_LSNOID
#define PG_LSNOID	LSNOID
#endif

typedef struct BuiltinForm
{
	Oid			type;
	CanonicalForm form;
} BuiltinForm;

static const BuiltinForm builtin_forms[] = {
	{BOOLOID, FORM_1_BYTE},
	{CHAROID, FORM_1_BYTE},
	{INT2OID, FORM_2_BYTES},
	{INT4OID, FORM_4_BYTES},
	{INT8OID, FORM_8_BYTES},
	{OIDOID, FORM_4_BYTES},
	{XIDOID, FORM_4_BYTES},
	{CIDOID, FORM_4_BYTES},
	{XID8OID, FORM_8_BYTES},
	{TIDOID, FORM_TID},
	{PG_LSNOID, FORM_8_BYTES},
	{FLOAT4OID, FORM_FLOAT4},
	{FLOAT8OID, FORM_FLOAT8},
	{NUMERICOID, FORM_NUMERIC},
	{MONEYOID, FORM_8_BYTES},
	{DATEOID, FORM_4_BYTES},
	{TIMEOID, FORM_8_BYTES},
	{TIMETZOID, FORM_TIMETZ},
	{TIMESTAMPOID, FORM_8_BYTES},
	{TIMESTAMPTZOID, FORM_8_BYTES},
	{INTERVALOID, FORM_INTERVAL},
	{TEXTOID, FORM_STRING},
	{VARCHAROID, FORM_STRING},
	{BPCHAROID, FORM_STRING},
	{BYTEAOID, FORM_STRING},
	{JSONOID, FORM_STRING},
	{REFCURSOROID, FORM_STRING},
	{NAMEOID, FORM_NAME},
	{UNKNOWNOID, FORM_CSTRING},
	{CSTRINGOID, FORM_CSTRING},
	{UUIDOID, FORM_FIXED},
	{MACADDROID, FORM_FIXED},
	{MACADDR8OID, FORM_FIXED},
	{INETOID, FORM_INET},
	{CIDROID, FORM_INET},
	{BITOID, FORM_BITS},
	{VARBITOID, FORM_BITS},
	{POINTOID, FORM_FLOATS},
	{LSEGOID, FORM_FLOATS},
	{BOXOID, FORM_FLOATS},
	{LINEOID, FORM_FLOATS},
	{CIRCLEOID, FORM_FLOATS},
	{PATHOID, FORM_PATH},
	{POLYGONOID, FORM_POLYGON},
	{JSONBOID, FORM_JSONB},
	{XMLOID, FORM_XML},
	{ACLITEMOID, FORM_ACLITEM},
	{JSONPATHOID, FORM_TEXT},
	{TSVECTOROID, FORM_TEXT},
	{TSQUERYOID, FORM_TEXT},
	{PG_SNAPSHOTOID, FORM_TEXT},
	{TXID_SNAPSHOTOID, FORM_TEXT},
	{REGPROCOID, FORM_OBJECT},
	{REGPROCEDUREOID, FORM_OBJECT},
	{REGOPEROID, FORM_OBJECT},
	{REGOPERATOROID, FORM_OBJECT},
	{REGCLASSOID, FORM_OBJECT},
	{REGTYPEOID, FORM_OBJECT},
	{REGCOLLATIONOID, FORM_OBJECT},
	{REGCONFIGOID, FORM_OBJECT},
	{REGDICTIONARYOID, FORM_OBJECT},
	{REGROLEOID, FORM_OBJECT},
	{REGNAMESPACEOID, FORM_OBJECT},
};

typedef struct ExtensionForm
{
	const char *extension;
	const char *type;
	CanonicalForm form;
} ExtensionForm;

static const ExtensionForm extension_forms[] = {
	{"documentdb_core", "bson", FORM_STRING},
	{"documentdb_core", "bsonquery", FORM_STRING},
	{"documentdb_core", "bsonsequence", FORM_STRING},
	{"citext", "citext", FORM_STRING},
	{"cube", "cube", FORM_STABLE_TEXT},
	{"hstore", "hstore", FORM_TEXT},
	{"intarray", "query_int", FORM_TEXT},
	{"isn", "ean13", FORM_8_BYTES},
	{"isn", "isbn", FORM_8_BYTES},
	{"isn", "isbn13", FORM_8_BYTES},
	{"isn", "ismn", FORM_8_BYTES},
	{"isn", "ismn13", FORM_8_BYTES},
	{"isn", "issn", FORM_8_BYTES},
	{"isn", "issn13", FORM_8_BYTES},
	{"isn", "upc", FORM_8_BYTES},
	{"ltree", "lquery", FORM_TEXT},
	{"ltree", "ltree", FORM_TEXT},
	{"ltree", "ltxtquery", FORM_TEXT},
	{"postgis", "geography", FORM_STABLE_TEXT},
	{"postgis", "geometry", FORM_STABLE_TEXT},
	{"seg", "seg", FORM_STABLE_TEXT},
	{"vector", "halfvec", FORM_STABLE_TEXT},
	{"vector", "sparsevec", FORM_STABLE_TEXT},
	{"vector", "vector", FORM_STABLE_TEXT},
};

/*
 * Gives the form of a base type of the server's own; false for others.
 */
bool
du_forms_of_builtin(Oid type, CanonicalForm *form)
{
	for (int i = 0; i < lengthof(builtin_forms); i++)
	{
		if (builtin_forms[i].type == type)
		{
			*form = builtin_forms[i].form;
			return true;
		}
	}
	return false;
}

/*
 * Gives the form of a type of a well-known extension; false for others.
 */
bool
du_forms_of_extension(const char *extension, const char *type, CanonicalForm *form)
{
	for (int i = 0; i < lengthof(extension_forms); i++)
	{
		if (strcmp(extension_forms[i].extension, extension) == 0 &&
			strcmp(extension_forms[i].type, type) == 0)
		{
			*form = extension_forms[i].form;
			return true;
		}
	}
	return false;
}
