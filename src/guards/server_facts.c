/*-------------------------------------------------------------------------
 *
 * server_facts.c
 *	  What else on this server bears on an upgrade.
 *
 * Holds, backups, other sessions' locks, standbys, event triggers and disk:
 * one look or query each, gathered once and decided over elsewhere.  None of the
 * queries takes a lock on a user's relation, so looking never waits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include <math.h>
#include <sys/statvfs.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "extension/extension.h"
#include "plan/plan.h"
#include "processes/processes.h"

#define DISK_RESERVE	(INT64CONST(256) * 1024 * 1024)

/* When a hold ends, palloc'd; NULL when it has no end. */
static char *
hold_end(const TableScan *holds)
{
	bool		isnull;
	Datum		until = du_scan_value(holds, "until", &isnull);

	if (isnull)
		return NULL;
	return TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(until)) ? du_scan_text(holds, "until") :
		du_time_words(DatumGetTimestampTz(until));
}

/* True when the row of a hold is in force. */
static bool
is_in_force(const TableScan *holds)
{
	bool		isnull;
	Datum		until;

	(void) du_scan_value(holds, "released_at", &isnull);
	if (!isnull)
		return false;
	until = du_scan_value(holds, "until", &isnull);
	return isnull || DatumGetTimestampTz(until) > GetCurrentTimestamp();
}

/*
 * The oldest hold in force with who placed it and until when, palloc'd; NULL
 * when there is none.  Read without a query, because it has to be known also
 * where none can be run.
 */
static char *
read_hold(void)
{
	int64		oldest = PG_INT64_MAX;
	char	   *found = NULL;
	TableScan	holds;

	du_scan_begin(&holds, "documentdb_upgrade", "holds");
	while (du_scan_next(&holds))
	{
		bool		isnull;
		int64		id = DatumGetInt64(du_scan_value(&holds, "id", &isnull));
		const char *until;

		if (id >= oldest || !is_in_force(&holds))
			continue;
		oldest = id;
		until = hold_end(&holds);
		found = psprintf("%s (placed by %s%s%s)", du_scan_text(&holds, "reason"),
						 du_scan_text(&holds, "placed_by"), until ? ", until " : "", until ? until : "");
	}
	du_scan_end(&holds, NoLock);
	return found;
}

static void
gather_hold(ServerFacts *server_facts)
{
	/* First: a transaction that has ended by now is seen by the scan. */
	pid_t		placing = du_announced_hold_find(MyDatabaseId);

	server_facts->hold_reason = read_hold();
	server_facts->held = server_facts->hold_reason != NULL;
	if (server_facts->held)
		server_facts->hold_hint = "When its reason is gone, run SELECT documentdb_upgrade.release();";
	else if (placing != 0)
	{
		server_facts->held = true;
		server_facts->hold_reason = psprintf("by process %d, in a transaction that has not ended yet", placing);
		server_facts->hold_hint = "Wait for the end of that transaction.";
	}
}

/* A hold that the source of the desired version tells of. */
static void
gather_hold_of_source(ServerFacts *server_facts)
{
	WorkerFacts worker;

	if (server_facts->held || ((!du_shared_serving(&worker) || !worker.held) &&
							   (!du_shared_first_worker(&worker) || !worker.held)))
		return;
	server_facts->held = true;
	server_facts->hold_reason = pstrdup(worker.hold_reason);
	server_facts->hold_hint = worker.hold_hint[0] ? pstrdup(worker.hold_hint) :
		"Remove the annotation when its reason is gone.";
}

static void
gather_backup(ServerFacts *server_facts)
{
	if (du_table_is_empty("backups"))
		return;
	if (du_query("SELECT b.label, pg_catalog.date_part('epoch',"
				 "   pg_catalog.clock_timestamp() - b.finished_at)"
				 " FROM documentdb_upgrade.backups b"
				 " WHERE pg_catalog.isfinite(b.finished_at)"
				 " ORDER BY b.finished_at DESC LIMIT 1",
				 0, NULL, NULL) > 0)
	{
		server_facts->backup_known = true;
		server_facts->backup_label = du_query_text(0, 1);
		server_facts->backup_age = du_query_double(0, 2);
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * One digest over the extension's libraries, "" when it has none.  A rebuilt
 * library of the same version is another binary.
 */
char *
du_server_facts_binary_digest(const ExtensionFacts *extension)
{
	StringInfoData buf;
	ListCell   *lc;

	if (!OidIsValid(extension->oid))
		return pstrdup("");
	initStringInfo(&buf);
	foreach(lc, du_members_libraries(extension))
	{
		const char *sha256 = du_digest_file(lfirst(lc));

		appendStringInfo(&buf, "%s\n", sha256 ? sha256 : "unreadable");
	}
	return buf.len == 0 ? buf.data : du_digest_bytes(buf.data, buf.len);
}

/*
 * Since when this binary has been in use.  The table has a row for each, and
 * every session that looks at an upgrade comes by here first: a scan takes less
 * than it takes to plan a query.
 */
static void
gather_binary(ServerFacts *server_facts, const ExtensionFacts *extension)
{
	const char *version = extension->binary ? extension->binary : "";
	const char *digest = du_server_facts_binary_digest(extension);
	TableScan	scan;

	du_scan_begin(&scan, "documentdb_upgrade_internal", "binaries_seen");
	while (!server_facts->binary_known && du_scan_next(&scan))
	{
		bool		isnull;
		Datum		first_seen;

		if (!du_scan_has_text(&scan, "extension", extension->name) || !du_scan_has_text(&scan, "version", version) ||
			!du_scan_has_text(&scan, "digest", digest))
			continue;
		first_seen = du_scan_value(&scan, "first_seen", &isnull);
		server_facts->binary_known = true;
		server_facts->binary_age = (GetCurrentTimestamp() - DatumGetTimestampTz(first_seen)) / (double) USECS_PER_SEC;
	}
	du_scan_end(&scan, NoLock);
}

/*
 * True when this transaction may write by the way.
 */
bool
du_server_facts_can_write(void)
{
	return !RecoveryInProgress() && !XactReadOnly && !IsInParallelMode() &&
		!IsolationUsesXactSnapshot();
}

static void
insert_binary(void *arg)
{
	const ExtensionFacts *extension = arg;
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];

	values[0] = CStringGetTextDatum(extension->name);
	values[1] = CStringGetTextDatum(extension->binary ? extension->binary : "");
	values[2] = CStringGetTextDatum(du_server_facts_binary_digest(extension));
	du_query("INSERT INTO documentdb_upgrade_internal.binaries_seen (extension, version, digest, first_seen)"
			 " VALUES ($1, $2, $3, pg_catalog.clock_timestamp()) ON CONFLICT DO NOTHING",
			 3, types, values);
}

/*
 * Notes when the binary in use was first seen, if that is not known yet.
 * Must be able to write.  False when that is for somebody else, or for the
 * next time.
 */
bool
du_server_facts_note_binary(const UpgradeFacts *facts)
{
	const ExtensionFacts *extension = du_managed_main(facts);
	ServerFacts seen = {0};
	ErrorData  *error;

	if (!OidIsValid(extension->oid))
		return false;
	gather_binary(&seen, extension);
	if (seen.binary_known)
		return true;

	/*
	 * Who only looks must not wait: neither for those who hold the table nor
	 * for a transaction that has noted the same binary and goes on.
	 */
	if (!ConditionalLockRelationOid(get_relname_relid("binaries_seen",
													  get_namespace_oid("documentdb_upgrade_internal", false)),
									ShareRowExclusiveLock))
		return false;
	error = du_subtransaction_run(insert_binary, unconstify(ExtensionFacts *, extension),
								  SUBTRANSACTION_KEEP);

	/* A fence can rise between any two statements. */
	if (error != NULL && error->sqlerrcode != ERRCODE_READ_ONLY_SQL_TRANSACTION)
		ReThrowError(error);
	return error == NULL;
}

static bool
has_event_triggers(void)
{
	Relation	rel = table_open(EventTriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	bool		any = HeapTupleIsValid(systable_getnext(scan));

	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return any;
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

/* Adds the indexes of a table to a list of relations. */
static List *
add_indexes(List *relations, Oid table)
{
	Relation	rel = table_open(IndexRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(table));
	scan = systable_beginscan(rel, IndexIndrelidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		relations = list_append_unique_oid(relations, ((Form_pg_index) GETSTRUCT(tuple))->indexrelid);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return relations;
}

/* The pages of relations, of their indexes, and of what is stored out of line. */
static int64
count_pages(const List *relations)
{
	List	   *all = NIL;
	int64		pages = 0;
	const ListCell *lc;

	foreach(lc, relations)
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;
		all = list_append_unique_oid(all, lfirst_oid(lc));
		if (OidIsValid(((Form_pg_class) GETSTRUCT(tuple))->reltoastrelid))
			all = list_append_unique_oid(all, ((Form_pg_class) GETSTRUCT(tuple))->reltoastrelid);
		ReleaseSysCache(tuple);
		all = add_indexes(all, lfirst_oid(lc));
	}
	foreach(lc, all)
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;
		pages += ((Form_pg_class) GETSTRUCT(tuple))->relpages;
		ReleaseSysCache(tuple);
	}
	return pages;
}

/*
 * Room on disk: a rewrite of every relation that the plan locks exclusively
 * writes it twice, once as data and once as WAL.
 */
static void
gather_disk(ServerFacts *server_facts, List *locks)
{
	List	   *relations = NIL;
	ListCell   *lc;

	server_facts->bytes_free = free_bytes(DataDir);
	server_facts->wal_bytes_free = free_bytes(psprintf("%s/pg_wal", DataDir));
	server_facts->bytes_needed = DISK_RESERVE;

	foreach(lc, locks)
	{
		const KnownLock *lock = lfirst(lc);

		if (lock->mode == AccessExclusiveLock)
			relations = lappend_oid(relations, lock->relation);
	}
	server_facts->bytes_needed += 2 * count_pages(relations) * BLCKSZ;
}

/* What the steps require and this database does not have, each once. */
static List *
find_missing(const UpgradeFacts *facts, const UpgradePlan *plan)
{
	List	   *missing = NIL;
	List	   *names = NIL;
	ListCell   *lc;

	for (int i = 0; i < plan->nsteps; i++)
	{
		const PlanStep *step = &plan->steps[i];

		foreach(lc, step->script->requires)
		{
			char	   *name = lfirst(lc);
			MissingExtension *entry;

			if (OidIsValid(get_extension_oid(name, true)) || list_member(names, makeString(name)))
				continue;
			names = lappend(names, makeString(name));
			entry = palloc(sizeof(MissingExtension));
			entry->name = name;
			entry->extension = facts->extensions[step->extension].name;
			entry->version = step->to;
			entry->problem = du_extension_alone(name)->control->problem;
			missing = lappend(missing, entry);
		}
	}
	return missing;
}

/*
 * What can be known without a query, palloc'd: all that the hard guards look
 * at but other upgrades, and holds.  caller is the role that asked.
 */
ServerFacts *
du_server_facts_look(const UpgradeFacts *facts, const UpgradePlan *plan, Oid caller)
{
	ServerFacts *server_facts = palloc0(sizeof(ServerFacts));

	server_facts->in_recovery = RecoveryInProgress();
	server_facts->libraries = du_library_facts(facts);
	gather_hold(server_facts);
	gather_hold_of_source(server_facts);
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (OidIsValid(facts->extensions[i].oid))
			server_facts->unusable_schemas =
				list_concat(server_facts->unusable_schemas,
							du_members_schemas_without_usage(&facts->extensions[i], caller));
	}
	server_facts->missing = find_missing(facts, plan);
	server_facts->caller_is_superuser = superuser_arg(caller);
	server_facts->caller_has_procedure = du_context_has_procedure_alone(caller);
	server_facts->caller = quote_identifier(GetUserNameFromId(caller, false));
	server_facts->database = quote_identifier(get_database_name(MyDatabaseId));
	return server_facts;
}

/*
 * Everything, palloc'd.  SPI must be connected.
 */
ServerFacts *
du_server_facts_gather(const UpgradeFacts *facts, const UpgradePlan *plan, Oid caller)
{
	List	   *locks = du_plan_locks(plan);
	ServerFacts *server_facts = du_server_facts_look(facts, plan, caller);

	gather_backup(server_facts);
	if (du_guc_soak_time > 0)
		gather_binary(server_facts, du_managed_main(facts));
	if (has_event_triggers())
		server_facts->event_triggers =
			query_names("SELECT t.evtname::pg_catalog.text FROM pg_catalog.pg_event_trigger t"
						" WHERE t.evtenabled <> 'D' AND NOT EXISTS"
						"   (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid"
						"    WHERE d.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass AND d.objid = t.oid"
						"    AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'"
						"    AND e.extname = 'citus') ORDER BY 1");
	if (any_wal_sender())
		server_facts->standbys =
			query_names("SELECT pg_catalog.format('\"%s\" (%s)', r.application_name,"
						"   CASE WHEN r.backend_xmin IS NULL THEN 'no hot_standby_feedback'"
						"        ELSE 'oldest snapshot ' || pg_catalog.age(r.backend_xmin) || ' transactions old' END)"
						" FROM pg_catalog.pg_stat_replication r"
						" JOIN pg_catalog.pg_stat_activity a ON a.pid = r.pid AND a.datid IS NULL"
						" WHERE r.state = 'streaming' AND r.application_name NOT IN ('pg_receivewal', 'pg_basebackup')"
						" ORDER BY 1");
	server_facts->blockers = du_holders_of_relations(locks);
	server_facts->upgrades = du_holders_of_extensions(facts);
	if (plan->targets[facts->main].stuck)
		server_facts->losses = du_losses_describe(du_managed_main(facts));
	gather_disk(server_facts, locks);
	return server_facts;
}
