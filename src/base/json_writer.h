/*-------------------------------------------------------------------------
 *
 * json_writer.h
 *	  Writes JSON into a string, value by value.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_JSON_WRITER_H
#define DU_JSON_WRITER_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

extern void du_write_key(StringInfo buf, const char *key);
extern void du_write_open(StringInfo buf, const char *key, char bracket);
extern void du_write_close(StringInfo buf, char bracket);
extern void du_write_text(StringInfo buf, const char *key, const char *value);
extern void du_write_bool(StringInfo buf, const char *key, bool value);
extern void du_write_int(StringInfo buf, const char *key, int64 value);
extern void du_write_number(StringInfo buf, const char *key, double value);
extern void du_write_texts(StringInfo buf, const char *key, const List *values);

#endif							/* DU_JSON_WRITER_H */
