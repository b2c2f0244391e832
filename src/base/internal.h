/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_BASE_INTERNAL_H
#define DU_BASE_INTERNAL_H

#include "utils/guc.h"

#include "base/base.h"

/* ----
 * digest.c
 *
 * SHA-256 of texts and files.
 * ----
 */

extern void du_digest_raw(const void *bytes, size_t length, uint8 *digest);

/* ----
 * guc.c
 *
 * The settings, prefix "documentdb_upgrade.".
 * ----
 */

extern int	du_guc_release_retention;	/* revisions */
extern char *du_guc_extension;	/* a name, or a list of them */

/* ----
 * main_extension.c
 *
 * Which extension is the main one, where a database has several.
 * ----
 */

extern bool du_main_check(const char *text, const char **problem);

#endif							/* DU_BASE_INTERNAL_H */
