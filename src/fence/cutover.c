/*-------------------------------------------------------------------------
 *
 * cutover.c
 *	  Raises and lifts fences for maintenance, and keeps table cutovers.
 *
 * A row that has not been lifted means that a fence is wanted; the fence itself
 * is a matter of shared memory, at once.  So the two must end up the same
 * whatever becomes of the transaction: a fence is up from the moment that it is
 * raised, and gone again when its transaction, or the subtransaction, is rolled
 * back; one that is lifted stays until the commit.
 *
 * All queries run through the connected SPI, as the owner of this extension.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fence/internal.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "processes/processes.h"

#define CUTOVERS_OPEN \
	"SELECT id, reason, raised_by, raised_at, lsn, drained_at, drained_lsn," \
	/* the objects of a release before have no such column */ \
	"   pg_catalog.to_jsonb(c) OPERATOR(pg_catalog.->>) 'everywhere'" \
	" FROM documentdb_upgrade.cutovers c" \
	" WHERE source = $1 AND server = $2 AND lifted_at IS NULL"

/* What this transaction has done to the fence of one kind. */
typedef struct Change
{
	int64		raised;			/* cutover, 0: none */
	SubTransactionId raised_in;
	Fence		previous;		/* that it took the place of */
	int64		lifted;			/* cutover, -1: none, 0: one without a row */
	SubTransactionId lifted_in;
} Change;

static Change changes[FENCE_REASONS];
static bool changed = false;

static const char *
source_name(FenceReason reason)
{
	return reason == FENCE_MANUAL ? "manual" : "resource";
}

static void
forget_changes(void)
{
	memset(changes, 0, sizeof(changes));
	for (int i = 0; i < FENCE_REASONS; i++)
		changes[i].lifted = -1;
	changed = false;
}

/*
 * Takes back a fence that was raised.  Where this transaction had lifted the
 * one before, that is up again; another one was on its way out.
 */
static void
take_back(FenceReason reason)
{
	static const Fence none = {0};
	Change	   *change = &changes[reason];
	bool		restore = OidIsValid(change->previous.database) &&
	change->lifted == change->previous.cutover;

	du_fence_conclude(reason, change->raised, restore ? &change->previous : &none);
	change->raised = 0;
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	static const Fence none = {0};

	if (!changed)
		return;
	if (event == XACT_EVENT_PRE_PREPARE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot prepare a transaction that has raised or lifted a write fence")));
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	for (int i = 0; i < FENCE_REASONS; i++)
	{
		if (changes[i].raised != 0 && event == XACT_EVENT_ABORT)
			take_back(i);
		if (event == XACT_EVENT_ABORT)
			continue;
		if (changes[i].raised != 0)
			du_fence_conclude(i, changes[i].raised, NULL);
		if (changes[i].lifted >= 0)
			du_fence_conclude(i, changes[i].lifted, &none);
	}
	forget_changes();
	du_fence_file_discard();
	du_shared_wake_worker();
}

static void
at_end_of_subtransaction(SubXactEvent event, SubTransactionId id,
						 SubTransactionId parent, void *arg)
{
	if (!changed || (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB))
		return;
	for (int i = 0; i < FENCE_REASONS; i++)
	{
		Change	   *change = &changes[i];

		if (change->raised != 0 && change->raised_in == id)
		{
			if (event == SUBXACT_EVENT_ABORT_SUB)
				take_back(i);
			else
				change->raised_in = parent;
		}
		if (change->lifted >= 0 && change->lifted_in == id)
		{
			if (event == SUBXACT_EVENT_ABORT_SUB)
				change->lifted = -1;
			else
				change->lifted_in = parent;
		}
	}
}

/* Has the end of this transaction conclude what it has done. */
static Change *
begin_change(FenceReason reason)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(at_end_of_transaction, NULL);
		RegisterSubXactCallback(at_end_of_subtransaction, NULL);
		registered = true;
	}
	if (!changed)
		forget_changes();
	changed = true;
	return &changes[reason];
}

/*
 * False where the SQL objects are those of a release before there were
 * cutovers.
 */
bool
du_cutover_table_exists(void)
{
	Oid			schema = get_namespace_oid("documentdb_upgrade", true);

	return OidIsValid(schema) && OidIsValid(get_relname_relid("cutovers", schema));
}

static TimestampTz
get_time(int column)
{
	bool		isnull;
	Datum		value = du_query_datum(0, column, &isnull);

	return isnull ? 0 : DatumGetTimestampTz(value);
}

static XLogRecPtr
get_lsn(int column)
{
	bool		isnull;
	Datum		value = du_query_datum(0, column, &isnull);

	return isnull ? InvalidXLogRecPtr : DatumGetLSN(value);
}

/*
 * What is stored of whose fence a row is about: rows may come from elsewhere by
 * logical replication.
 */
static Datum
this_server(void)
{
	return Int64GetDatum((int64) GetSystemIdentifier());
}

/* The one that a query of CUTOVERS_OPEN finds. */
static Cutover
find(FenceReason reason, const char *sql)
{
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(source_name(reason)), this_server()};
	Cutover		found = {0};
	char	   *everywhere;

	found.reason = reason;
	if (du_table_is_empty("cutovers"))
		return found;
	if (du_query(sql, 2, types, values) > 0)
	{
		found.id = du_query_int(0, 1);
		found.text = du_query_text(0, 2);
		found.raised_by = du_query_text(0, 3);
		found.raised_at = get_time(4);
		found.lsn = get_lsn(5);
		found.drained_at = get_time(6);
		found.drained_lsn = get_lsn(7);
		everywhere = du_query_text(0, 8);
		found.everywhere = everywhere != NULL && strcmp(everywhere, "true") == 0;
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/*
 * The cutover of that kind on this server which has not ended.  A transaction
 * that is ending it may commit at any time.
 */
Cutover
du_cutover_find(FenceReason reason)
{
	return find(reason, CUTOVERS_OPEN);
}

/*
 * The same, kept from ending until the end of this transaction; one that is
 * being ended is waited for.
 */
Cutover
du_cutover_lock(FenceReason reason)
{
	Cutover		cutover;

	/* Whoever has ended the one that was waited for may have begun another. */
	do
	{
		cutover = find(reason, CUTOVERS_OPEN " FOR SHARE");
	} while (cutover.id == 0 && du_cutover_find(reason).id != 0);
	return cutover;
}

/*
 * A text as a sentence, cut where there is no room for more.
 */
static char *
sentence(const char *text)
{
	size_t		length = strlen(text);

	if (length > SHARED_TEXT_LENGTH / 2)
		return psprintf("%s...", pnstrdup(text, pg_mbcliplen(text, length, SHARED_TEXT_LENGTH / 2)));
	return psprintf("%s%s", text, length > 0 && strchr(".!?", text[length - 1]) != NULL ? "" : ".");
}

/*
 * The fence that a cutover wants.
 */
Fence
du_cutover_fence(const Cutover *cutover)
{
	Fence		fence = {0};
	const char *cure = cutover->reason == FENCE_MANUAL ?
	"To end that, run SELECT documentdb_upgrade.lift_fence()" :
	"To end that, set spec.maintenance of the custom resource to false";

	fence.cutover = cutover->id;
	fence.everywhere = cutover->everywhere;
	if (cutover->everywhere)
	{
		const char *database = get_database_name(MyDatabaseId);

		snprintf(fence.why, sizeof(fence.why), "Role \"%s\" has called fence_writes(everywhere => true) in database \"%s\": %s",
				 cutover->raised_by, database, sentence(cutover->text));
		cure = psprintf("To end that, in database \"%s\" run SELECT documentdb_upgrade.lift_fence()", database);
	}
	else if (cutover->reason == FENCE_MANUAL)
		snprintf(fence.why, sizeof(fence.why), "Role \"%s\" has called fence_writes(): %s",
				 cutover->raised_by, sentence(cutover->text));
	else
		snprintf(fence.why, sizeof(fence.why), "The custom resource asks for it: %s",
				 sentence(cutover->text));
	snprintf(fence.hint, sizeof(fence.hint),
			 "%s; until then only the roles of documentdb_upgrade.fence_exempt_roles can write.", cure);
	return fence;
}

/*
 * Raises the fence of a new cutover, in force at once.  Its row is for the
 * caller to store.  False, and nothing is done, when fences have changed since
 * they were so many changes old: then the table may have one by now.
 */
bool
du_cutover_begin(FenceReason reason, uint32 changes, const char *text,
				 const char *raised_by, bool everywhere, Cutover *cutover)
{
	Change	   *change = begin_change(reason);
	Fence		fence;
	FenceClaim	claim;
	Fence		previous;

	if (change->raised != 0)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("a write fence was raised and lifted in this transaction already"),
				 errhint("Raise the next one in another transaction.")));
	memset(cutover, 0, sizeof(Cutover));
	cutover->reason = reason;
	cutover->everywhere = everywhere;
	cutover->text = pstrdup(text);
	cutover->raised_by = pstrdup(raised_by);
	du_query("SELECT pg_catalog.nextval('documentdb_upgrade.cutovers_id_seq')", 0, NULL, NULL);
	cutover->id = du_query_int(0, 1);
	SPI_freetuptable(SPI_tuptable);

	fence = du_cutover_fence(cutover);
	claim = du_fence_claim(reason, changes, &fence, &previous);
	if (claim == FENCE_PENDING)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("a write fence is being raised by process %d", (int) previous.owner),
				 errhint("Wait for the end of its transaction, or end it.")));
	if (claim == FENCE_CHANGED)
		return false;
	change->previous = previous;
	change->raised = cutover->id;
	change->raised_in = GetCurrentSubTransactionId();
	du_fence_file_write(ERROR);

	cutover->raised_at = du_fence_read(reason).since;
	cutover->lsn = GetXLogInsertRecPtr();
	return true;
}

/*
 * Stores the row of a cutover that was begun.
 */
void
du_cutover_store(const Cutover *cutover)
{
	Oid			types[10] = {INT8OID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, PG_LSNOID,
	BOOLOID, TIMESTAMPTZOID, PG_LSNOID, INT8OID};
	Datum		values[10];

	values[0] = Int64GetDatum(cutover->id);
	values[1] = CStringGetTextDatum(cutover->text);
	values[2] = CStringGetTextDatum(source_name(cutover->reason));
	values[3] = CStringGetTextDatum(cutover->raised_by);
	values[4] = TimestampTzGetDatum(cutover->raised_at);
	values[5] = LSNGetDatum(cutover->lsn);
	values[6] = BoolGetDatum(cutover->drained_at != 0);
	values[7] = TimestampTzGetDatum(cutover->drained_at);
	values[8] = LSNGetDatum(cutover->drained_lsn);
	values[9] = this_server();
	du_query("INSERT INTO documentdb_upgrade.cutovers"
			 " (id, reason, source, raised_by, raised_at, server, lsn, drained_at, drained_lsn)"
			 " OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $10, $6,"
			 "   CASE WHEN $7 THEN $8 END, CASE WHEN $7 THEN $9 END)",
			 10, types, values);
	if (cutover->everywhere)
		du_query("UPDATE documentdb_upgrade.cutovers SET everywhere = true WHERE id = $1",
				 1, types, values);
}

/*
 * Ends the cutover of a kind; its fence is gone when this transaction has
 * committed.  False when there is neither.
 */
bool
du_cutover_end(FenceReason reason)
{
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(source_name(reason)), this_server()};
	bool		found = du_query("UPDATE documentdb_upgrade.cutovers"
								 " SET lifted_at = pg_catalog.clock_timestamp()"
								 " WHERE source = $1 AND server = $2 AND lifted_at IS NULL",
								 2, types, values) > 0;
	Fence		fence;

	if (!du_shared_exists())
		return found;
	fence = du_fence_read(reason);
	if (!OidIsValid(fence.database) || fence.database != MyDatabaseId)
		return found;
	if (fence.owner != MyProcPid && du_fence_is_pending(&fence))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the write fence is being raised by process %d", (int) fence.owner),
				 errhint("Wait for the end of its transaction, or take the fence back: SELECT pg_cancel_backend(%d);",
						 (int) fence.owner)));
	begin_change(reason)->lifted = fence.cutover;
	changes[reason].lifted_in = GetCurrentSubTransactionId();
	return true;
}

/*
 * How many writers are left that are older than a fence.
 */
int64
du_cutover_count_writers(TimestampTz since, bool everywhere)
{
	Oid			types[1] = {TIMESTAMPTZOID};
	Datum		values[1] = {TimestampTzGetDatum(since)};
	int64		writers;

	/* Sessions are to be seen as they are now. */
	pgstat_clear_snapshot();
	du_query(everywhere ?
			 "SELECT pg_catalog.count(*) FROM documentdb_upgrade_internal.writers_since($1, true) w"
			 " WHERE w.awaited" :
			 "SELECT pg_catalog.count(*) FROM documentdb_upgrade_internal.writers_since($1) w"
			 " WHERE w.awaited",
			 1, types, values);
	writers = du_query_int(0, 1);
	SPI_freetuptable(SPI_tuptable);
	return writers;
}

/*
 * Takes down that the last writer is gone, now.
 */
void
du_cutover_set_drained(Cutover *cutover)
{
	cutover->drained_at = GetCurrentTimestamp();

	/* What has committed asynchronously may not be written yet. */
	cutover->drained_lsn = GetXLogInsertRecPtr();
}

/*
 * Stores that in the row.  False when somebody else is changing it, or has
 * ended the cutover.
 */
bool
du_cutover_store_drained(const Cutover *cutover)
{
	Oid			types[3] = {INT8OID, TIMESTAMPTZOID, PG_LSNOID};
	Datum		values[3];

	values[0] = Int64GetDatum(cutover->id);
	values[1] = TimestampTzGetDatum(cutover->drained_at);
	values[2] = LSNGetDatum(cutover->drained_lsn);
	return du_query("UPDATE documentdb_upgrade.cutovers SET drained_at = $2, drained_lsn = $3"
					" WHERE id = (SELECT c.id FROM documentdb_upgrade.cutovers c"
					"   WHERE c.id = $1 AND c.lifted_at IS NULL FOR UPDATE SKIP LOCKED)",
					3, types, values) > 0;
}

/*
 * Takes that back, where writers may have come in between.
 */
void
du_cutover_forget_drained(int64 id)
{
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(id)};

	du_query("UPDATE documentdb_upgrade.cutovers SET drained_at = NULL, drained_lsn = NULL"
			 " WHERE id = (SELECT c.id FROM documentdb_upgrade.cutovers c"
			 "   WHERE c.id = $1 AND c.lifted_at IS NULL FOR UPDATE SKIP LOCKED)",
			 1, types, values);
}
