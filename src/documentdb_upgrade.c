/*-------------------------------------------------------------------------
 *
 * documentdb_upgrade.c
 *	  Entry point of the library: wiring only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

PG_MODULE_MAGIC;
