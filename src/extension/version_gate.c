/*-------------------------------------------------------------------------
 *
 * version_gate.c
 *	  The version that a loaded library believes to be in force.
 *
 * DocumentDB gates its features on a copy of the installed version in shared
 * memory: six 32-bit integers, of which the first three are major, minor and
 * patch; all zero means that it is loaded at the next use.  The segment is
 * looked up in the server's own list first, because attaching to one that
 * does not exist would create it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include "catalog/pg_type.h"
#include "storage/shmem.h"
#include "utils/builtins.h"

#include "base/base.h"

#define GATE_INTEGERS 6

/*
 * True when the configured segment exists with the size we know.
 */
static bool
gate_exists(void)
{
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2];
	bool		exists;

	values[0] = CStringGetTextDatum(du_guc_version_gate);
	values[1] = Int64GetDatum(GATE_INTEGERS * sizeof(int32));
	exists = du_query("SELECT 1 FROM pg_catalog.pg_shmem_allocations a"
					  " WHERE a.name = $1 AND a.size = $2",
					  2, types, values) == 1;
	SPI_freetuptable(SPI_tuptable);
	return exists;
}

/*
 * The version in force, spelled like another one and palloc'd; NULL when
 * there is no gate, or when it will be loaded at the next use.
 */
char *
du_gate_read(const char *spelled_like)
{
	volatile int32 *gate;
	bool		found;

	if (du_guc_version_gate[0] == '\0' || !gate_exists())
		return NULL;
	gate = ShmemInitStruct(du_guc_version_gate, GATE_INTEGERS * sizeof(int32), &found);
	if (gate[0] == 0 && gate[1] == 0 && gate[2] == 0)
		return NULL;
	return du_version_respell(psprintf("%d.%d.%d", gate[0], gate[1], gate[2]),
							  spelled_like);
}
