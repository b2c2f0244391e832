/*-------------------------------------------------------------------------
 *
 * json_document.c
 *	  Safe access to JSON text from outside.
 *
 * A text is parsed, handed to a reader and freed again on every path, also
 * when the reader raises.  Whatever is wrong with the text is a reason, a
 * phrase without the text itself.  cJSON's tree lives outside of any memory
 * context, so nothing of it leaves the reader: texts are copied, checked and
 * bounded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/net/internal.h"

#include "mb/pg_wchar.h"

#define LARGEST_NUMBER		9007199254740992.0	/* 2^53 */

/*
 * Parses a text, hands the document to a reader and frees it; gives back what
 * the reader does, or NULL.
 */
void *
du_json_read(const char *json, size_t length, JsonReader reader, void *arg,
			 const char **reason)
{
	const char *end = NULL;
	void	   *volatile result = NULL;
	cJSON	   *document = cJSON_ParseWithLengthOpts(json, length, &end, false);

	*reason = NULL;
	if (document == NULL)
	{
		*reason = "it is not valid JSON";
		return NULL;
	}
	PG_TRY();
	{
		while (end < json + length && strchr(" \t\r\n", *end) != NULL)
			end++;
		if (end < json + length && *end != '\0')
			*reason = "it is not valid JSON";
		else if (!cJSON_IsObject(document))
			*reason = "it is not a JSON object";
		else
			result = reader(document, arg, reason);
	}
	PG_FINALLY();
	{
		cJSON_Delete(document);
	}
	PG_END_TRY();
	return *reason == NULL ? result : NULL;
}

/* A member that is there and is not null. */
const cJSON *
du_json_member(const cJSON *object, const char *name)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNull(member) ? NULL : member;
}

const cJSON *
du_json_object(const cJSON *parent, const char *name, const char **reason)
{
	const cJSON *member = du_json_member(parent, name);

	if (member == NULL || cJSON_IsObject(member))
		return member;
	if (*reason == NULL)
		*reason = psprintf("field \"%s\" is not an object", name);
	return NULL;
}

/*
 * A copy of a text that both this database and JSON can show: without control
 * characters, and plain ASCII where the database is not in UTF-8.
 */
char *
du_json_copy_text(const char *text, size_t length)
{
	char	   *copy = pnstrdup(text, length);
	bool		utf8 = GetDatabaseEncoding() == PG_UTF8;

	for (unsigned char *c = (unsigned char *) copy; *c != '\0'; c++)
	{
		if (*c < ' ' || *c == 0x7f)
			*c = ' ';
		else if (*c >= 0x80 && !utf8)
			*c = '?';
	}
	return copy;
}

/*
 * A text member, copied; NULL when it is not there.  One that is too long is
 * a reason, unless it may be cut.
 */
char *
du_json_text(const cJSON *parent, const char *name, size_t longest, bool cut,
			 const char **reason)
{
	const cJSON *member = du_json_member(parent, name);
	const char *text = cJSON_GetStringValue(member);
	size_t		length;

	if (member == NULL || *reason != NULL)
		return NULL;
	length = text == NULL ? 0 : strlen(text);

	if (text == NULL)
		*reason = psprintf("field \"%s\" is not a string", name);
	else if (pg_encoding_verifymbstr(PG_UTF8, text, length) != length)
		*reason = psprintf("field \"%s\" is not valid UTF-8", name);
	else if (length > longest && !cut)
		*reason = psprintf("field \"%s\" is too long", name);
	if (*reason != NULL)
		return NULL;
	if (length > longest)
		length = pg_encoding_mbcliplen(PG_UTF8, text, length, longest);
	return du_json_copy_text(text, length);
}

/* A whole number that is not negative; the default when it is not there. */
int64
du_json_number(const cJSON *parent, const char *name, int64 missing, const char **reason)
{
	const cJSON *member = du_json_member(parent, name);
	double		value;

	if (member == NULL || *reason != NULL)
		return missing;
	value = cJSON_IsNumber(member) ? member->valuedouble : -1;
	if (value >= 0 && value <= LARGEST_NUMBER && value == (double) (int64) value)
		return (int64) value;
	*reason = psprintf("field \"%s\" is not a whole number", name);
	return missing;
}

/* False when it is not there. */
bool
du_json_bool(const cJSON *parent, const char *name, const char **reason)
{
	const cJSON *member = du_json_member(parent, name);

	if (member != NULL && !cJSON_IsBool(member) && *reason == NULL)
		*reason = psprintf("field \"%s\" is not true or false", name);
	return *reason == NULL && cJSON_IsTrue(member);
}
