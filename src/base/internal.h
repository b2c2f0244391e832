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
 * guc.c
 *
 * The settings, prefix "documentdb_upgrade.".
 * ----
 */

extern int	du_guc_release_retention;	/* revisions */

#endif							/* DU_BASE_INTERNAL_H */
