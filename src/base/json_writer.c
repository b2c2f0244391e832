/*-------------------------------------------------------------------------
 *
 * json_writer.c
 *	  Writes JSON into a string, value by value.
 *
 * Commas come by themselves: one is put before whatever does not follow an
 * opening bracket or a key.  A NULL key is for elements of an array.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include "utils/json.h"

/*
 * The key of the value that is written next, or the place of an element.
 */
void
du_write_key(StringInfo buf, const char *key)
{
	char		last = buf->len > 0 ? buf->data[buf->len - 1] : '\0';

	if (last != '\0' && last != '{' && last != '[' && last != ' ')
		appendStringInfoString(buf, ", ");
	if (key == NULL)
		return;
	escape_json(buf, key);
	appendStringInfoString(buf, ": ");
}

/*
 * Begins an object '{' or an array '['.
 */
void
du_write_open(StringInfo buf, const char *key, char bracket)
{
	du_write_key(buf, key);
	appendStringInfoChar(buf, bracket);
}

/*
 * Ends it, with '}' or ']'.
 */
void
du_write_close(StringInfo buf, char bracket)
{
	appendStringInfoChar(buf, bracket);
}

/*
 * A text; a NULL is left out.
 */
void
du_write_text(StringInfo buf, const char *key, const char *value)
{
	if (value == NULL)
		return;
	du_write_key(buf, key);
	escape_json(buf, value);
}

void
du_write_bool(StringInfo buf, const char *key, bool value)
{
	du_write_key(buf, key);
	appendStringInfoString(buf, value ? "true" : "false");
}

void
du_write_int(StringInfo buf, const char *key, int64 value)
{
	du_write_key(buf, key);
	appendStringInfo(buf, INT64_FORMAT, value);
}

/*
 * A finite number, with three digits after the point.
 */
void
du_write_number(StringInfo buf, const char *key, double value)
{
	du_write_key(buf, key);
	appendStringInfo(buf, "%.3f", value);
}

/*
 * An array of texts.
 */
void
du_write_texts(StringInfo buf, const char *key, const List *values)
{
	const ListCell *lc;

	du_write_open(buf, key, '[');
	foreach(lc, values)
		du_write_text(buf, NULL, lfirst(lc));
	du_write_close(buf, ']');
}
