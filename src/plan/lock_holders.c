/*-------------------------------------------------------------------------
 *
 * lock_holders.c
 *	  Who holds what an update needs.
 *
 * Other sessions and prepared transactions, named for people, with the age
 * of their transactions.  A superuser's view: the execution context must have
 * been entered.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/internal.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "extension/extension.h"

/*
 * The number of a lock mode that pg_locks names.
 */
static LOCKMODE
lock_mode_number(const char *name)
{
	for (LOCKMODE mode = AccessShareLock; mode <= AccessExclusiveLock; mode++)
	{
		if (strcmp(GetLockmodeName(DEFAULT_LOCKMETHOD, mode), name) == 0)
			return mode;
	}
	return AccessExclusiveLock;
}

/*
 * Reads blockers from a result with the columns of LOCK_COLUMNS; holds is
 * filled by the caller.  A prepared transaction that has ended since the locks were
 * read has no name any more, and is none.
 */
#define LOCK_COLUMNS \
	"coalesce(l.pid, 0)::pg_catalog.int8, l.mode," \
	" coalesce(a.usename, px.owner)::pg_catalog.text, a.application_name, a.backend_type," \
	" pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()" \
	"   - coalesce(px.prepared, a.xact_start)), px.gid," \
	" l.objid::pg_catalog.int8, l.relation::pg_catalog.int8"
#define LOCK_TABLES \
	" FROM pg_catalog.pg_locks l" \
	" LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid" \
	" LEFT JOIN LATERAL (SELECT min(p.prepared) AS prepared, min(p.owner::pg_catalog.text) AS owner," \
	"     pg_catalog.string_agg(p.gid, ', ' ORDER BY p.gid) AS gid" \
	"   FROM pg_catalog.pg_locks t" \
	"   JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = t.transactionid" \
	"   WHERE t.pid IS NULL AND t.locktype = 'transactionid'" \
	"     AND t.virtualtransaction = l.virtualtransaction) px ON l.pid IS NULL" \
	" WHERE l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()" \
	"   AND (l.pid IS NOT NULL OR px.gid IS NOT NULL)"
#define IN_THIS_DATABASE \
	" AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d" \
	"                   WHERE d.datname = pg_catalog.current_database())"

static Blocker *
read_blocker(int row)
{
	Blocker    *blocker = palloc0(sizeof(Blocker));
	const char *user = du_query_text(row, 3);
	const char *application = du_query_text(row, 4);
	const char *backend_type = du_query_text(row, 5);
	const char *gid = du_query_text(row, 7);

	/* pg_cron's workers, for one, name themselves in this way only. */
	if ((application == NULL || application[0] == '\0') && backend_type != NULL &&
		strcmp(backend_type, "client backend") != 0)
		application = backend_type;

	blocker->pid = (int) du_query_int(row, 1);
	blocker->gid = gid;
	blocker->age = du_query_double(row, 6);
	blocker->autovacuum = backend_type != NULL &&
		strcmp(backend_type, "autovacuum worker") == 0;
	if (gid != NULL)
		blocker->who = psprintf("prepared transaction \"%s\" of user \"%s\"", gid, user);
	else if (user == NULL)
		blocker->who = psprintf("%s %d", backend_type ? backend_type : "process",
								blocker->pid);
	else
		blocker->who = psprintf("process %d of user \"%s\" (%s)", blocker->pid, user,
								application && application[0] ? application : "no application name");
	return blocker;
}

/*
 * True when anybody else holds a lock that the function accepts.  A look at
 * the lock table itself, because mostly there is nobody, and the queries that
 * name the holders are dear.
 */
static bool
anybody_holds(bool (*accepts) (const LOCKTAG *tag, const void *arg), const void *arg)
{
	LockData   *data = GetLockStatusData();

	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];

		if (lock->holdMask != 0 && lock->pid != MyProcPid &&
			accepts(&lock->locktag, arg))
			return true;
	}
	return false;
}

/* A relation of the list of KnownLock in arg. */
static bool
is_known_relation(const LOCKTAG *tag, const void *arg)
{
	const ListCell *lc;

	if (tag->locktag_type != LOCKTAG_RELATION || tag->locktag_field1 != MyDatabaseId)
		return false;
	foreach(lc, (const List *) arg)
	{
		if (((const KnownLock *) lfirst(lc))->relation == tag->locktag_field2)
			return true;
	}
	return false;
}

/* An extension of the managed set in arg. */
static bool
is_managed_extension(const LOCKTAG *tag, const void *arg)
{
	const UpgradeFacts *facts = arg;

	if (tag->locktag_type != LOCKTAG_OBJECT || tag->locktag_field1 != MyDatabaseId ||
		tag->locktag_field2 != ExtensionRelationId)
		return false;
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (facts->extensions[i].oid == tag->locktag_field3)
			return true;
	}
	return false;
}

/*
 * Other sessions and prepared transactions that hold a lock in conflict with
 * one of the given locks (a list of KnownLock): a list of Blocker.
 */
List *
du_holders_of_relations(List *locks)
{
	Oid			types[1] = {OIDARRAYOID};
	Datum		values[1];
	List	   *relations = NIL;
	List	   *blockers = NIL;
	ListCell   *lc;
	int			rows;

	if (locks == NIL || !anybody_holds(is_known_relation, locks))
		return NIL;
	foreach(lc, locks)
		relations = lappend_oid(relations, ((KnownLock *) lfirst(lc))->relation);
	values[0] = du_oid_array(relations);
	rows = du_query("SELECT " LOCK_COLUMNS LOCK_TABLES IN_THIS_DATABASE
					" AND l.locktype = 'relation' AND l.relation = ANY ($1)"
					" ORDER BY 6 DESC NULLS LAST, 1",
					1, types, values);
	for (int i = 0; i < rows; i++)
	{
		Oid			relation = (Oid) du_query_int(i, 9);
		const char *mode = du_query_text(i, 2);

		foreach(lc, locks)
		{
			const KnownLock *lock = lfirst(lc);

			if (lock->relation == relation &&
				DoLockModesConflict(lock_mode_number(mode), lock->mode))
			{
				Blocker    *blocker = read_blocker(i);

				blocker->holds = psprintf("%s on %s", mode, lock->name);
				blockers = lappend(blockers, blocker);
			}
		}
	}
	SPI_freetuptable(SPI_tuptable);
	return blockers;
}

/*
 * Those who hold the pg_extension object of an extension, as upgrades and
 * drops do: a list of Blocker.
 */
static List *
object_holders(const ExtensionFacts *extension)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1];
	List	   *holders = NIL;
	int			rows;

	values[0] = ObjectIdGetDatum(extension->oid);
	rows = du_query("SELECT " LOCK_COLUMNS LOCK_TABLES IN_THIS_DATABASE
					" AND l.locktype = 'object'"
					" AND l.classid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
					" AND l.objid = $1 ORDER BY 1",
					1, types, values);
	for (int i = 0; i < rows; i++)
	{
		if (lock_mode_number(du_query_text(i, 2)) >= ShareUpdateExclusiveLock)
			holders = lappend(holders, read_blocker(i));
	}
	SPI_freetuptable(SPI_tuptable);
	return holders;
}

/*
 * The running transaction of somebody else that has changed an extension's
 * row; InvalidTransactionId when there is none.
 */
static TransactionId
row_changer(const ExtensionFacts *extension)
{
	TransactionId changer = InvalidTransactionId;
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	SnapshotData dirty;
	SysScanDesc scan;
	ScanKeyData key;

	InitDirtySnapshot(dirty);
	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(extension->oid));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, &dirty, 1, &key);
	while (HeapTupleIsValid(systable_getnext(scan)))
	{
		if (TransactionIdIsValid(dirty.xmax) &&
			!TransactionIdIsCurrentTransactionId(dirty.xmax))
			changer = dirty.xmax;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return changer;
}

/* Who runs a transaction: a list of at most one Blocker. */
static List *
transaction_holders(TransactionId xid)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	List	   *holders = NIL;

	values[0] = CStringGetTextDatum(psprintf("%u", xid));
	if (du_query("SELECT " LOCK_COLUMNS LOCK_TABLES
				 " AND l.locktype = 'transactionid'"
				 " AND l.transactionid = $1::pg_catalog.xid LIMIT 1",
				 1, types, values) > 0)
		holders = list_make1(read_blocker(0));
	SPI_freetuptable(SPI_tuptable);
	return holders;
}

/*
 * Who else holds an extension of the managed set for an upgrade, a drop or
 * another change: a list of Blocker.  Minor releases from before November
 * 2026 take no lock on the object in ALTER EXTENSION; there the changed row
 * tells.
 */
List *
du_holders_of_extensions(const UpgradeFacts *facts)
{
	bool		locked = anybody_holds(is_managed_extension, facts);
	List	   *all = NIL;

	for (int i = 0; i < facts->nextensions; i++)
	{
		const ExtensionFacts *extension = &facts->extensions[i];
		List	   *holders = NIL;
		ListCell   *lc;

		if (!OidIsValid(extension->oid))
			continue;
		if (locked)
			holders = object_holders(extension);
		if (holders == NIL)
		{
			TransactionId changer = row_changer(extension);

			if (TransactionIdIsValid(changer))
				holders = transaction_holders(changer);
		}
		foreach(lc, holders)
			((Blocker *) lfirst(lc))->holds = psprintf("extension \"%s\"", extension->name);
		all = list_concat(all, holders);
	}
	return all;
}
