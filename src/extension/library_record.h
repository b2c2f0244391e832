/*-------------------------------------------------------------------------
 *
 * library_record.h
 *	  Which libraries the server loaded when it started.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LIBRARY_RECORD_H
#define DU_LIBRARY_RECORD_H

#define SHA256_HEX_LENGTH 64

typedef struct LibraryRecord
{
	char		path[MAXPGPATH];
	char		sha256[SHA256_HEX_LENGTH + 1];	/* "" when not known */
} LibraryRecord;

extern void du_record_install(void);
extern const LibraryRecord *du_record_find(const char *path);
extern bool du_record_preloaded(const char *path);

#endif							/* DU_LIBRARY_RECORD_H */
