/*-------------------------------------------------------------------------
 *
 * canonical_scalar.c
 *	  Canonical bytes of values that consist of no others.
 *
 * Integers are written with their lowest byte first, whatever the processor
 * does; byte strings have their length before them; each form ends where it
 * says itself, so that a row's bytes can be read in one way only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "checksum/internal.h"

#include <sys/socket.h>

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/cash.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/geo_decls.h"
#include "utils/guc.h"
#include "utils/inet.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/varbit.h"

/* 16 moved these macros into a header of their own. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * True when every setting that is pinned below has its value already.
 */
static bool
settings_are_stable(void)
{
	return DateStyle == USE_ISO_DATES && DateOrder == DATEORDER_MDY &&
		IntervalStyle == INTSTYLE_POSTGRES &&
		extra_float_digits >= 1 && bytea_output == BYTEA_OUTPUT_HEX &&
		strcmp(pg_get_timezone_name(session_timezone), "UTC") == 0 &&
		strcmp(namespace_search_path, "pg_catalog, pg_temp") == 0;
}

static void
pin(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * What the type's output function makes of the value whatever the session has
 * set, in the current memory context.  Settings that output functions look at
 * are pinned for the call; whoever sums many rows sets them once for the
 * session, then nothing is done here.
 */
static char *
stable_output(FmgrInfo *output, Datum value)
{
	char	   *text;
	int			level;

	if (settings_are_stable())
		return OutputFunctionCall(output, value);

	level = NewGUCNestLevel();
	pin("search_path", "pg_catalog, pg_temp");
	pin("datestyle", "ISO, MDY");
	pin("intervalstyle", "postgres");
	pin("timezone", "UTC");
	pin("extra_float_digits", "1");
	pin("bytea_output", "hex");
	text = OutputFunctionCall(output, value);

	AtEOXact_GUC(true, level);
	return text;
}

static void
put_floats(CanonicalBuffer *buffer, const char *floats, size_t count)
{
	float8		value;

	for (size_t i = 0; i < count; i++)
	{
		memcpy(&value, floats + i * sizeof(value), sizeof(value));
		buffer_put64(buffer, float8_bits(value));
	}
}

static void
put_interval(CanonicalBuffer *buffer, const Interval *interval)
{
	buffer_put64(buffer, (uint64) interval->time);
	buffer_put32(buffer, (uint32) interval->day);
	buffer_put32(buffer, (uint32) interval->month);
}

static void
put_timetz(CanonicalBuffer *buffer, const TimeTzADT *time)
{
	buffer_put64(buffer, (uint64) time->time);
	buffer_put32(buffer, (uint32) time->zone);
}

static void
put_tid(CanonicalBuffer *buffer, ItemPointer tid)
{
	buffer_put32(buffer, ItemPointerGetBlockNumberNoCheck(tid));
	buffer_put16(buffer, ItemPointerGetOffsetNumberNoCheck(tid));
}

/*
 * The version of the protocol, the length of the mask, and the address in
 * network order.
 */
static void
put_inet(CanonicalBuffer *buffer, const char *data)
{
	const inet_struct *address = (const inet_struct *) data;
	bool		is_v4 = address->family == PGSQL_AF_INET;

	buffer_put8(buffer, is_v4 ? 4 : 6);
	buffer_put8(buffer, address->bits);
	buffer_put(buffer, address->ipaddr, is_v4 ? 4 : 16);
}

static void
put_bits(CanonicalBuffer *buffer, const char *data, size_t length)
{
	int32		nbits;

	memcpy(&nbits, data, sizeof(nbits));
	buffer_put32(buffer, (uint32) nbits);
	buffer_put_string(buffer, data + sizeof(nbits), length - sizeof(nbits));
}

static void
put_path(CanonicalBuffer *buffer, const PATH *path)
{
	buffer_put8(buffer, path->closed ? 1 : 0);
	buffer_put32(buffer, (uint32) path->npts);
	put_floats(buffer, (const char *) path->p, (size_t) path->npts * 2);
}

/*
 * The points alone: the bounding box follows from them.
 */
static void
put_polygon(CanonicalBuffer *buffer, const POLYGON *polygon)
{
	buffer_put32(buffer, (uint32) polygon->npts);
	put_floats(buffer, (const char *) polygon->p, (size_t) polygon->npts * 2);
}

static void
put_jsonb_scalar(CanonicalBuffer *buffer, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			buffer_put8(buffer, 'n');
			break;
		case jbvBool:
			buffer_put8(buffer, value->val.boolean ? 't' : 'f');
			break;
		case jbvNumeric:
			buffer_put8(buffer, '#');
			du_numeric_put(buffer, VARDATA_ANY(value->val.numeric),
						   VARSIZE_ANY_EXHDR(value->val.numeric));
			break;
		case jbvString:
			buffer_put8(buffer, '"');
			buffer_put_string(buffer, value->val.string.val, value->val.string.len);
			break;
		default:
			elog(ERROR, "unexpected kind of jsonb value: %d", (int) value->type);
	}
}

/*
 * The values as they come, each with a mark before it.  Keys come in the order
 * that jsonb keeps them in, by length and then by bytes.
 */
static void
put_jsonb(CanonicalBuffer *buffer, Jsonb *jsonb)
{
	JsonbIterator *iterator = JsonbIteratorInit(&jsonb->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		switch (token)
		{
			case WJB_BEGIN_ARRAY:
				if (value.val.array.rawScalar)
					break;
				buffer_put8(buffer, '[');
				buffer_put32(buffer, (uint32) value.val.array.nElems);
				break;
			case WJB_BEGIN_OBJECT:
				buffer_put8(buffer, '{');
				buffer_put32(buffer, (uint32) value.val.object.nPairs);
				break;
			case WJB_KEY:
				buffer_put_string(buffer, value.val.string.val, value.val.string.len);
				break;
			case WJB_VALUE:
			case WJB_ELEM:
				put_jsonb_scalar(buffer, &value);
				break;
			default:
				break;
		}
	}
}

/*
 * Privileges by the names of the roles; PUBLIC is no role.
 */
static void
put_aclitem(CanonicalBuffer *buffer, const AclItem *item)
{
	char	   *grantor = du_names_role(item->ai_grantor);
	char	   *grantee = NULL;

	buffer_put8(buffer, item->ai_grantee == ACL_ID_PUBLIC ? 'p' : 'r');
	if (item->ai_grantee != ACL_ID_PUBLIC)
	{
		grantee = du_names_role(item->ai_grantee);
		buffer_put_string(buffer, grantee, strlen(grantee));
	}
	buffer_put_string(buffer, grantor, strlen(grantor));
	buffer_put64(buffer, ACLITEM_GET_PRIVS(*item));
	buffer_put64(buffer, ACLITEM_GET_GOPTIONS(*item));
}

static void
put_text(CanonicalBuffer *buffer, char *text)
{
	buffer_put_string(buffer, text, strlen(text));
	pfree(text);
}

/*
 * XML as pg_dump writes it.  Each dump takes away one newline at the front, so
 * none of them counts.
 */
static void
put_xml(CanonicalBuffer *buffer, char *written)
{
	char	   *start = written + strspn(written, "\n");

	buffer_put_string(buffer, start, strlen(start));
	pfree(written);
}

static void
put_enum(CanonicalBuffer *buffer, CanonicalType *type, Oid value)
{
	size_t		length;
	const char *label = du_types_enum_label(type, value, &length);

	buffer_put_string(buffer, label, length);
}

/*
 * Forms of values whose header is looked at in place, however short it is.
 */
static void
put_packed(CanonicalBuffer *buffer, CanonicalForm form, Datum value)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(value);
	struct varlena *packed = pg_detoast_datum_packed(stored);
	const char *data = VARDATA_ANY(packed);
	size_t		length = VARSIZE_ANY_EXHDR(packed);

	switch (form)
	{
		case FORM_STRING:
			buffer_put_string(buffer, data, length);
			break;
		case FORM_NUMERIC:
			du_numeric_put(buffer, data, length);
			break;
		case FORM_INET:
			put_inet(buffer, data);
			break;
		default:
			put_bits(buffer, data, length);
			break;
	}
	if (packed != stored)
		pfree(packed);
}

/*
 * Forms of values that are read as the structures they are.
 */
static void
put_aligned(CanonicalBuffer *buffer, CanonicalForm form, Datum value)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(value);
	struct varlena *aligned = pg_detoast_datum(stored);

	switch (form)
	{
		case FORM_PATH:
			put_path(buffer, (PATH *) aligned);
			break;
		case FORM_POLYGON:
			put_polygon(buffer, (POLYGON *) aligned);
			break;
		default:
			put_jsonb(buffer, (Jsonb *) aligned);
			break;
	}
	if (aligned != stored)
		pfree(aligned);
}

/*
 * Adds the bytes of one value that is not NULL.  Raises what its output
 * function raises, where its form is text.
 */
void
du_scalar_put(CanonicalBuffer *buffer, CanonicalType *type, Datum value)
{
	switch (type->form)
	{
		case FORM_1_BYTE:
			buffer_put8(buffer, DatumGetUInt8(value));
			break;
		case FORM_2_BYTES:
			buffer_put16(buffer, DatumGetUInt16(value));
			break;
		case FORM_4_BYTES:
			buffer_put32(buffer, DatumGetUInt32(value));
			break;
		case FORM_8_BYTES:
			buffer_put64(buffer, (uint64) DatumGetInt64(value));
			break;
		case FORM_FLOAT4:
			buffer_put32(buffer, float4_bits(DatumGetFloat4(value)));
			break;
		case FORM_FLOAT8:
			buffer_put64(buffer, float8_bits(DatumGetFloat8(value)));
			break;
		case FORM_FIXED:
			buffer_put(buffer, DatumGetPointer(value), type->length);
			break;
		case FORM_STRING:
		case FORM_NUMERIC:
		case FORM_INET:
		case FORM_BITS:
			put_packed(buffer, type->form, value);
			break;
		case FORM_NAME:
			buffer_put_string(buffer, NameStr(*DatumGetName(value)),
							  strnlen(NameStr(*DatumGetName(value)), NAMEDATALEN));
			break;
		case FORM_CSTRING:
			buffer_put_string(buffer, DatumGetCString(value), strlen(DatumGetCString(value)));
			break;
		case FORM_INTERVAL:
			put_interval(buffer, DatumGetIntervalP(value));
			break;
		case FORM_TIMETZ:
			put_timetz(buffer, DatumGetTimeTzADTP(value));
			break;
		case FORM_TID:
			put_tid(buffer, (ItemPointer) DatumGetPointer(value));
			break;
		case FORM_FLOATS:
			put_floats(buffer, DatumGetPointer(value), type->length / sizeof(float8));
			break;
		case FORM_PATH:
		case FORM_POLYGON:
		case FORM_JSONB:
			put_aligned(buffer, type->form, value);
			break;
		case FORM_XML:
			put_xml(buffer, OutputFunctionCall(&type->output, value));
			break;
		case FORM_ACLITEM:
			put_aclitem(buffer, (AclItem *) DatumGetPointer(value));
			break;
		case FORM_OBJECT:
			put_text(buffer, du_names_object(type->oid, DatumGetObjectId(value)));
			break;
		case FORM_TEXT:
			put_text(buffer, OutputFunctionCall(&type->output, value));
			break;
		case FORM_STABLE_TEXT:
			put_text(buffer, stable_output(&type->output, value));
			break;
		case FORM_ENUM:
			put_enum(buffer, type, DatumGetObjectId(value));
			break;
		default:
			elog(ERROR, "values of type %u consist of others", type->oid);
	}
}
