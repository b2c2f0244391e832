/*-------------------------------------------------------------------------
 *
 * surroundings.c
 *	  What else on this server bears on an upgrade.
 *
 * Holds, backups, other sessions' locks, standbys, event triggers and disk:
 * one query each, gathered once and decided over elsewhere.  None of the
 * queries takes a lock on a user's relation, so looking never waits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "surroundings.h"

#include <math.h>
#include <sys/statvfs.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "digest.h"
#include "execution_context.h"
#include "guc.h"

#define DISK_RESERVE	(INT64CONST(256) * 1024 * 1024)

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

static ArrayType *
oid_array(const List *oids)
{
	Datum	   *elements = palloc(Max(list_length(oids), 1) * sizeof(Datum));
	ListCell   *lc;
	int			n = 0;

	foreach(lc, oids)
		elements[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	return construct_array(elements, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
}

/*
 * Reads blockers from a result with the columns of LOCK_COLUMNS; holds is
 * filled by the caller.
 */
#define LOCK_COLUMNS \
	"coalesce(l.pid, 0)::pg_catalog.int8, l.mode," \
	" a.usename::pg_catalog.text, a.application_name, a.backend_type," \
	" pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()" \
	"   - coalesce(px.prepared, a.xact_start)), px.gid," \
	" l.objid::pg_catalog.int8, l.relation::pg_catalog.int8"
#define LOCK_TABLES \
	" FROM pg_catalog.pg_locks l" \
	" LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid" \
	" LEFT JOIN LATERAL (SELECT min(p.prepared) AS prepared," \
	"     pg_catalog.string_agg(p.gid, ', ' ORDER BY p.gid) AS gid" \
	"   FROM pg_catalog.pg_locks t" \
	"   JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = t.transactionid" \
	"   WHERE t.pid IS NULL AND t.locktype = 'transactionid'" \
	"     AND t.virtualtransaction = l.virtualtransaction) px ON l.pid IS NULL" \
	" WHERE l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()" \
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

	blocker->pid = (int) du_query_int(row, 1);
	blocker->age = du_query_double(row, 6);
	blocker->autovacuum = backend_type != NULL &&
		strcmp(backend_type, "autovacuum worker") == 0;
	if (gid != NULL)
		blocker->who = psprintf("prepared transaction \"%s\"", gid);
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
du_surroundings_blockers(List *locks)
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
	values[0] = PointerGetDatum(oid_array(relations));
	rows = du_query("SELECT " LOCK_COLUMNS LOCK_TABLES
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
 * Who else holds an extension of the managed set for an upgrade, a drop or
 * another change: a list of Blocker.
 */
List *
du_surroundings_upgrades(const UpgradeFacts *facts)
{
	Oid			types[1] = {OIDARRAYOID};
	Datum		values[1];
	List	   *extensions = NIL;
	List	   *upgrades = NIL;
	int			rows;

	if (!anybody_holds(is_managed_extension, facts))
		return NIL;
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (OidIsValid(facts->extensions[i].oid))
			extensions = lappend_oid(extensions, facts->extensions[i].oid);
	}
	values[0] = PointerGetDatum(oid_array(extensions));
	rows = du_query("SELECT " LOCK_COLUMNS LOCK_TABLES
					" AND l.locktype = 'object'"
					" AND l.classid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
					" AND l.objid = ANY ($1) ORDER BY 1",
					1, types, values);
	for (int i = 0; i < rows; i++)
	{
		const char *mode = du_query_text(i, 2);
		Oid			extension = (Oid) du_query_int(i, 8);
		Blocker    *blocker;

		if (lock_mode_number(mode) < ShareUpdateExclusiveLock)
			continue;
		blocker = read_blocker(i);
		for (int j = 0; j < facts->nextensions; j++)
		{
			if (facts->extensions[j].oid == extension)
				blocker->holds = psprintf("extension \"%s\"", facts->extensions[j].name);
		}
		upgrades = lappend(upgrades, blocker);
	}
	SPI_freetuptable(SPI_tuptable);
	return upgrades;
}

static void
gather_hold(Surroundings *surroundings)
{
	if (du_query("SELECT pg_catalog.format('%s (placed by %s%s)', h.reason, h.placed_by,"
				 "   CASE WHEN h.until IS NULL THEN ''"
				 "        ELSE ', until ' || h.until::pg_catalog.text END)"
				 " FROM documentdb_upgrade.holds h"
				 " WHERE h.released_at IS NULL"
				 " AND (h.until IS NULL OR h.until > pg_catalog.clock_timestamp())"
				 " ORDER BY h.id LIMIT 1",
				 0, NULL, NULL) > 0)
	{
		surroundings->held = true;
		surroundings->hold_reason = du_query_text(0, 1);
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
gather_backup(Surroundings *surroundings)
{
	if (du_query("SELECT b.label, pg_catalog.date_part('epoch',"
				 "   pg_catalog.clock_timestamp() - b.finished_at)"
				 " FROM documentdb_upgrade.backups b"
				 " WHERE pg_catalog.isfinite(b.finished_at)"
				 " ORDER BY b.finished_at DESC LIMIT 1",
				 0, NULL, NULL) > 0)
	{
		surroundings->backup_known = true;
		surroundings->backup_label = du_query_text(0, 1);
		surroundings->backup_age = du_query_double(0, 2);
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * One digest over the extension's libraries, "" when it has none.  A rebuilt
 * library of the same version is another binary.
 */
char *
du_surroundings_binary_digest(const ExtensionFacts *extension)
{
	StringInfoData buf;
	ListCell   *lc;

	if (!OidIsValid(extension->oid))
		return pstrdup("");
	initStringInfo(&buf);
	foreach(lc, du_catalog_libraries(extension))
	{
		const char *sha256 = du_digest_file(lfirst(lc));

		appendStringInfo(&buf, "%s\n", sha256 ? sha256 : "unreadable");
	}
	return buf.len == 0 ? buf.data : du_digest_bytes(buf.data, buf.len);
}

/*
 * Key of this binary in binaries_seen: extension, version, digest.
 */
static void
binary_key(const ExtensionFacts *extension, Datum *values)
{
	values[0] = CStringGetTextDatum(extension->name);
	values[1] = CStringGetTextDatum(extension->binary ? extension->binary : "");
	values[2] = CStringGetTextDatum(du_surroundings_binary_digest(extension));
}

static void
gather_binary(Surroundings *surroundings, const ExtensionFacts *extension)
{
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];

	binary_key(extension, values);
	if (du_query("SELECT pg_catalog.date_part('epoch',"
				 "   pg_catalog.clock_timestamp() - b.first_seen)"
				 " FROM documentdb_upgrade.binaries_seen b"
				 " WHERE b.extension = $1 AND b.version = $2 AND b.digest = $3",
				 3, types, values) > 0)
	{
		surroundings->binary_known = true;
		surroundings->binary_age = du_query_double(0, 1);
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * True when this transaction may write by the way.
 */
bool
du_surroundings_can_write(void)
{
	return !RecoveryInProgress() && !XactReadOnly && !IsInParallelMode() &&
		!IsolationUsesXactSnapshot();
}

/*
 * Notes when the binary in use was first seen, if that is not known yet.
 * Must be able to write.
 */
void
du_surroundings_note_binary(const UpgradeFacts *facts)
{
	const ExtensionFacts *extension = du_catalog_main(facts);
	Surroundings seen = {0};
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];

	if (!OidIsValid(extension->oid))
		return;
	gather_binary(&seen, extension);
	if (seen.binary_known)
		return;

	/* Who only looks must not wait for those who hold the table. */
	if (!ConditionalLockRelationOid(get_relname_relid("binaries_seen",
													  get_namespace_oid("documentdb_upgrade", false)),
									RowExclusiveLock))
		return;
	binary_key(extension, values);
	du_query("INSERT INTO documentdb_upgrade.binaries_seen (extension, version, digest, first_seen)"
			 " VALUES ($1, $2, $3, pg_catalog.clock_timestamp()) ON CONFLICT DO NOTHING",
			 3, types, values);
}

static List *
query_names(const char *sql)
{
	List	   *names = NIL;
	int			rows = du_query(sql, 0, NULL, NULL);

	for (int i = 0; i < rows; i++)
		names = lappend(names, du_query_text(i, 1));
	SPI_freetuptable(SPI_tuptable);
	return names;
}

/*
 * True when a WAL sender runs: a quick look before the query that names the
 * standbys.
 */
static bool
any_wal_sender(void)
{
	for (int i = 0; i < max_wal_senders; i++)
	{
		if (WalSndCtl->walsnds[i].pid != 0)
			return true;
	}
	return false;
}

static int64
free_bytes(const char *path)
{
	struct statvfs fs;

	if (statvfs(path, &fs) != 0)
		return -1;
	return (int64) fs.f_bavail * fs.f_frsize;
}

/*
 * Room on disk: a rewrite of every relation that the plan locks exclusively
 * writes it twice, once as data and once as WAL.
 */
static void
gather_disk(Surroundings *surroundings, List *locks)
{
	List	   *relations = NIL;
	ListCell   *lc;

	surroundings->bytes_free = free_bytes(DataDir);
	surroundings->wal_bytes_free = free_bytes(psprintf("%s/pg_wal", DataDir));
	surroundings->bytes_needed = DISK_RESERVE;

	foreach(lc, locks)
	{
		const KnownLock *lock = lfirst(lc);

		if (lock->mode == AccessExclusiveLock)
			relations = lappend_oid(relations, lock->relation);
	}
	if (relations != NIL)
	{
		Oid			types[1] = {OIDARRAYOID};
		Datum		values[1];

		values[0] = PointerGetDatum(oid_array(relations));
		du_query("SELECT coalesce(pg_catalog.sum(c.relpages::pg_catalog.int8), 0)::pg_catalog.int8"
				 " FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1)"
				 " OR c.oid IN (SELECT t.reltoastrelid FROM pg_catalog.pg_class t WHERE t.oid = ANY ($1))"
				 " OR c.oid IN (SELECT i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid = ANY ($1))",
				 1, types, values);
		surroundings->bytes_needed += 2 * du_query_int(0, 1) * BLCKSZ;
		SPI_freetuptable(SPI_tuptable);
	}
}

/*
 * Everything, palloc'd.  locks are those that the plan is known to take;
 * caller is the role that asked.
 */
Surroundings *
du_surroundings_gather(const UpgradeFacts *facts, List *locks, Oid caller)
{
	Surroundings *surroundings = palloc0(sizeof(Surroundings));
	const ExtensionFacts *main_extension = du_catalog_main(facts);

	surroundings->in_recovery = RecoveryInProgress();
	gather_hold(surroundings);
	gather_backup(surroundings);
	if (du_guc_soak_time > 0)
		gather_binary(surroundings, main_extension);
	surroundings->event_triggers =
		query_names("SELECT t.evtname::pg_catalog.text FROM pg_catalog.pg_event_trigger t"
					" WHERE t.evtenabled <> 'D' ORDER BY 1");
	if (any_wal_sender())
		surroundings->standbys =
			query_names("SELECT pg_catalog.format('\"%s\" (%s)', r.application_name,"
						"   CASE WHEN r.backend_xmin IS NULL THEN 'no hot_standby_feedback'"
						"        ELSE 'oldest snapshot ' || pg_catalog.age(r.backend_xmin) || ' transactions old' END)"
						" FROM pg_catalog.pg_stat_replication r"
						" WHERE r.state = 'streaming' AND r.application_name NOT IN ('pg_receivewal', 'pg_basebackup')"
						" ORDER BY 1");
	surroundings->blockers = du_surroundings_blockers(locks);
	surroundings->upgrades = du_surroundings_upgrades(facts);
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (OidIsValid(facts->extensions[i].oid))
			surroundings->unusable_schemas =
				list_concat(surroundings->unusable_schemas,
							du_catalog_schemas_without_usage(&facts->extensions[i], caller));
	}
	gather_disk(surroundings, locks);
	return surroundings;
}
