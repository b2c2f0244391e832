/*-------------------------------------------------------------------------
 *
 * documentdb_upgrade_parity.c
 *	  Entry point of the library that has the checksums alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "checksum/checksum.h"

PG_MODULE_MAGIC;

/* Declared by fmgr.h since 16. */
extern PGDLLEXPORT void _PG_init(void);

/*
 * Runs when the library is loaded.  Must not fail: a preloaded library that
 * fails stops the server.
 */
void
_PG_init(void)
{
	du_text_types_define("documentdb_upgrade_parity.text_types");

	/* 15 took away the names that nobody defines, and reserved the prefix. */
#if PG_VERSION_NUM >= 150000
	MarkGUCPrefixReserved("documentdb_upgrade_parity");
#else
	EmitWarningsOnPlaceholders("documentdb_upgrade_parity");
#endif
}
