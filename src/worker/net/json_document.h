/*-------------------------------------------------------------------------
 *
 * json_document.h
 *	  Safe access to JSON text from outside.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_JSON_DOCUMENT_H
#define DU_JSON_DOCUMENT_H

#include <cjson/cJSON.h>

/*
 * Reads a palloc'd result from a parsed document.  Sets a reason, at the
 * start NULL, when the document makes no sense; its result is dropped then.
 */
typedef void *(*JsonReader) (const cJSON *document, void *arg, const char **reason);

extern void *du_json_read(const char *json, size_t length, JsonReader reader,
						  void *arg, const char **reason);

/*
 * Members of an object, which may be NULL.  None of them changes a reason
 * that is set already.
 */
extern const cJSON *du_json_member(const cJSON *object, const char *name);
extern const cJSON *du_json_object(const cJSON *parent, const char *name,
								   const char **reason);
extern char *du_json_text(const cJSON *parent, const char *name, size_t longest,
						  bool cut, const char **reason);
extern int64 du_json_number(const cJSON *parent, const char *name, int64 missing,
							const char **reason);
extern bool du_json_bool(const cJSON *parent, const char *name, const char **reason);
extern char *du_json_copy_text(const char *text, size_t length);

#endif							/* DU_JSON_DOCUMENT_H */
