/*-------------------------------------------------------------------------
 *
 * fence_functions.c
 *	  The SQL functions that raise and lift write fences, and tell of them.
 *
 * Whoever may call these functions may do what they do: their own rows are
 * written although a fence is up, which may have been raised by the caller.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fence/internal.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/base.h"
#include "processes/processes.h"

#define LONGEST_NAP_MS 200

PG_FUNCTION_INFO_V1(documentdb_upgrade_fence_writes);
PG_FUNCTION_INFO_V1(documentdb_upgrade_lift_fence);
PG_FUNCTION_INFO_V1(documentdb_upgrade_note_parity);
PG_FUNCTION_INFO_V1(documentdb_upgrade_fence_notice);
PG_FUNCTION_INFO_V1(documentdb_upgrade_fence_since);
PG_FUNCTION_INFO_V1(documentdb_upgrade_fence_exempts);

/*
 * Enters a call that writes: as the owner of this extension, and let through by
 * fences.  Raises where nobody can write.
 */
static void
begin_writing(ExecutionContext *context, const char *function)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s() during recovery", function),
				 errhint("Run it on the primary.")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot execute %s() in isolation level %s", function,
						XactIsoLevel == XACT_SERIALIZABLE ? "serializable" : "repeatable read"),
				 errhint("Use READ COMMITTED.")));
	du_fence_let_write();
	if (XactReadOnly)
	{
		du_fence_end_writing();
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s() in a read-only transaction", function)));
	}
	PG_TRY();
	{
		du_context_enter(context);
		SPI_connect();
	}
	PG_CATCH();
	{
		du_fence_end_writing();
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static void
end_writing(const ExecutionContext *context)
{
	SPI_finish();
	du_context_leave(context);
	du_fence_end_writing();
}

/*
 * Waits until no older writer is left, or the time has come; gives back how
 * many there are.
 */
static int64
drain(TimestampTz since, bool everywhere, ClockMs end)
{
	for (;;)
	{
		int64		writers = du_cutover_count_writers(since, everywhere);
		long		left = du_clock_left(end);

		if (writers == 0 || left == 0)
			return writers;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(left, LONGEST_NAP_MS), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Raises where a fence could not be held. */
static void
check_place(void)
{
	if (!du_shared_exists())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot stop writes, because this library is not preloaded"),
				 errhint("Add documentdb_upgrade to shared_preload_libraries and restart the server.")));
	if (!du_shared_is_to_serve())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot stop writes to a database that the worker does not serve"),
				 errhint("Connect to database \"%s\", or change documentdb_upgrade.database.", du_guc_database)));
}

/*
 * What fence_writes() does; gives back how many writers are left.  A fence that
 * is up already is kept from being lifted until the end of this transaction:
 * what is said of it holds, and those who drain it are not left without.
 */
static int64
fence_writes(const char *text, const Interval *patience, bool everywhere, bool has_written,
			 Cutover *cutover)
{
	ClockMs		end = du_clock_after(patience);
	bool		is_new;
	bool		raised;
	int64		writers;

	if (has_written && end > du_clock_ms())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot wait for writers in a transaction that has written"),
				 errhint("Call fence_writes() in a transaction of its own.")));
	do
	{
		uint32		changes = du_fences()->changes; /* before the table is read */

		*cutover = du_cutover_lock(FENCE_MANUAL);
		is_new = cutover->id == 0;
		raised = !is_new ||
			du_cutover_begin(FENCE_MANUAL, changes, text,
							 GetUserNameFromId(GetSessionUserId(), false), everywhere, cutover);
	} while (!raised);
	if (!is_new)
	{
		Fence		fence = du_cutover_fence(cutover);

		if (everywhere && !cutover->everywhere)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("a write fence is up around this database alone"),
					 errdetail("%s", fence.why),
					 errhint("First run SELECT documentdb_upgrade.lift_fence();")));
		du_fence_raise_again(FENCE_MANUAL, &fence);
		ereport(NOTICE,
				(errmsg("writes are stopped already"),
				 errdetail("%s", fence.why)));
	}

	writers = drain(du_fence_since(), cutover->everywhere, end) + (has_written ? 1 : 0);
	if (writers == 0 && cutover->drained_at == 0)
	{
		du_cutover_set_drained(cutover);
		if (!is_new)
			(void) du_cutover_store_drained(cutover);
	}
	if (is_new)
		du_cutover_store(cutover);
	return writers;
}

/*
 * A caller who tries whether writes are stopped is not to be told by its own
 * writes that they are not.
 */
static void
tell_exempt_caller(void)
{
	const char *exempt = du_guc_fence_exempt_roles[0] ? du_guc_fence_exempt_roles :
		GetUserNameFromId(BOOTSTRAP_SUPERUSERID, false);

	if (!du_fence_is_exempt(GetSessionUserId()))
		return;
	ereport(NOTICE,
			(errmsg("you can still write, because the fence does not hold back role \"%s\"",
					GetUserNameFromId(GetSessionUserId(), false)),
			 errdetail("The roles of documentdb_upgrade.fence_exempt_roles can: %s.", exempt),
			 errhint("Try it as another role.")));
}

/*
 * fence_writes(reason text, drain interval, everywhere boolean)
 */
Datum
documentdb_upgrade_fence_writes(PG_FUNCTION_ARGS)
{
	char	   *reason = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool		has_written = TransactionIdIsValid(GetTopTransactionIdIfAny());

	/* The SQL objects may be those of a release before. */
	bool		everywhere = PG_NARGS() > 2 && !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	ExecutionContext context;
	TupleDesc	desc;
	Datum		values[4] = {0};
	bool		nulls[4] = {0};
	Cutover		cutover;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (reason[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reason of a write fence must not be empty")));
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the time to wait for writers must not be null")));
	check_place();
	begin_writing(&context, "fence_writes");
	PG_TRY();
	{
		values[3] = Int32GetDatum((int32) fence_writes(reason, PG_GETARG_INTERVAL_P(1), everywhere, has_written, &cutover));
	}
	PG_CATCH();
	{
		du_fence_end_writing();
		PG_RE_THROW();
	}
	PG_END_TRY();
	end_writing(&context);
	tell_exempt_caller();

	values[0] = TimestampTzGetDatum(cutover.raised_at);
	values[1] = TimestampTzGetDatum(cutover.drained_at);
	nulls[1] = cutover.drained_at == 0;
	values[2] = LSNGetDatum(cutover.drained_at != 0 ? cutover.drained_lsn : cutover.lsn);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* Says what stops writes all the same, or will at the next look. */
static void
tell_what_remains(bool maintenance)
{
	Fence		ahead = du_fence_read(FENCE_SCHEMA_AHEAD);
	Fence		general;

	if (maintenance)
		ereport(NOTICE,
				(errmsg("writes stay stopped, because the custom resource asks for it"),
				 errhint("Set its spec.maintenance to false.")));
	if (du_fence_from_elsewhere(&general))
		ereport(NOTICE,
				(errmsg("writes stay stopped, because they are in every database of this server"),
				 errdetail("%s", general.why),
				 errhint("%s", general.hint)));
	if (OidIsValid(ahead.database) && ahead.database == MyDatabaseId)
		ereport(NOTICE,
				(errmsg("writes stay stopped, because the binary is older than the schema"),
				 errhint("%s", ahead.hint)));
}

/*
 * Lifts what the caller can; the wish of the resource is the worker's, unless
 * there is none that would follow it.
 */
static bool
lift_fence(void)
{
	WorkerFacts worker;
	bool		served = du_shared_serving(&worker);
	bool		lifted = du_cutover_end(FENCE_MANUAL);
	bool		maintenance = served && du_cutover_find(FENCE_MAINTENANCE).id != 0;

	if (!served)
		lifted |= du_cutover_end(FENCE_MAINTENANCE);
	if (du_shared_exists())
		tell_what_remains(maintenance);
	return lifted;
}

/*
 * lift_fence() returns boolean
 */
Datum
documentdb_upgrade_lift_fence(PG_FUNCTION_ARGS)
{
	ExecutionContext context;
	volatile bool lifted = false;

	begin_writing(&context, "lift_fence");
	PG_TRY();
	{
		lifted = lift_fence();
	}
	PG_CATCH();
	{
		du_fence_end_writing();
		PG_RE_THROW();
	}
	PG_END_TRY();
	end_writing(&context);
	PG_RETURN_BOOL(lifted);
}

/*
 * note_parity(run bigint) returns void
 */
Datum
documentdb_upgrade_note_parity(PG_FUNCTION_ARGS)
{
	ExecutionContext context;
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(PG_GETARG_INT64(0))};

	begin_writing(&context, "note_parity");
	PG_TRY();
	{
		du_query("UPDATE documentdb_upgrade.cutovers"
				 " SET parity_run = $1, parity_at = pg_catalog.clock_timestamp()"
				 " WHERE server = (SELECT s.system_identifier FROM pg_catalog.pg_control_system() s)"
				 "   AND lifted_at IS NULL",
				 1, types, values);
	}
	PG_CATCH();
	{
		du_fence_end_writing();
		PG_RE_THROW();
	}
	PG_END_TRY();
	end_writing(&context);
	PG_RETURN_VOID();
}

/*
 * fence_notice() returns text
 *
 * Tells also of a fence that is wanted and that this server does not keep.
 */
Datum
documentdb_upgrade_fence_notice(PG_FUNCTION_ARGS)
{
	char	   *notice = du_fence_sentence();
	ExecutionContext context;
	MemoryContext memory = CurrentMemoryContext;

	if (notice == NULL && du_cutover_table_exists())
	{
		du_context_enter(&context);
		SPI_connect();
		MemoryContextSwitchTo(memory);
		for (int i = FENCE_MANUAL; i < FENCE_REASONS && notice == NULL; i++)
		{
			Cutover		cutover = du_cutover_find(i);

			if (cutover.id != 0)
				notice = psprintf("Writes to this database should be stopped, but are not%s. %s",
								  du_shared_exists() ? " yet" : ", because documentdb_upgrade is not preloaded",
								  du_cutover_fence(&cutover).why);
		}
		SPI_finish();
		MemoryContextSwitchTo(memory);
		du_context_leave(&context);
	}
	if (notice == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(notice));
}

/*
 * fence_since() returns timestamptz
 */
Datum
documentdb_upgrade_fence_since(PG_FUNCTION_ARGS)
{
	TimestampTz since = du_shared_exists() ? du_fence_since() : 0;

	if (since == 0)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(since);
}

/*
 * fence_exempts(role oid) returns boolean
 */
Datum
documentdb_upgrade_fence_exempts(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(du_fence_is_exempt(PG_GETARG_OID(0)));
}
