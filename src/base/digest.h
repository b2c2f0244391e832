/*-------------------------------------------------------------------------
 *
 * digest.h
 *	  SHA-256 of texts and files.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_DIGEST_H
#define DU_DIGEST_H

extern char *du_digest_bytes(const void *bytes, size_t length);
extern char *du_digest_file(const char *path);

#endif							/* DU_DIGEST_H */
