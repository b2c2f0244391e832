/*-------------------------------------------------------------------------
 *
 * object_access.c
 *	  Sees every extension that is created, changed or dropped.
 *
 * The server calls this hook for each change of pg_extension itself, also
 * for those that no statement names: a schema or an owner that goes with all
 * it has, a dependency, a required extension that is installed along.  The
 * row is there already and its script has not run; so the old version is what
 * the catalogue shows, the new one what only this command can see.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "enforcement/internal.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/base.h"

/*
 * Name and version of an extension, palloc'd; false when a snapshot (NULL:
 * that of the catalogue) does not show it.
 */
static bool
read_extension(Oid extension, Snapshot snapshot, char **name, char **version)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(rel), &isnull);

		*name = pstrdup(NameStr(((Form_pg_extension) GETSTRUCT(tuple))->extname));
		*version = isnull ? NULL : TextDatumGetCString(value);
		found = !isnull;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

static void
look_at_extension(ObjectAccessType access, Oid extension)
{
	char	   *name;
	char	   *old;
	char	   *new;

	switch (access)
	{
		case OAT_POST_CREATE:
			if (read_extension(extension, SnapshotSelf, &name, &new))
				du_enforcement_created(name, extension, new);
			break;
		case OAT_POST_ALTER:
			if (read_extension(extension, NULL, &name, &old) &&
				read_extension(extension, SnapshotSelf, &name, &new) &&
				strcmp(old, new) != 0)
				du_enforcement_updated(name, old, new);
			break;
		case OAT_DROP:
			if (read_extension(extension, NULL, &name, &old))
				du_enforcement_dropped(name, extension, old);
			break;
		default:
			break;
	}
}

static void
watch_extensions(ObjectAccessType access, Oid classid, Oid objid, int subid)
{
	if (classid == ExtensionRelationId)
		look_at_extension(access, objid);
}

/*
 * Begins that; to be called while libraries are preloaded.
 */
void
du_access_install(void)
{
	du_hooks_add_access(watch_extensions);
}
