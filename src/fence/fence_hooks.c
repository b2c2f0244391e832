/*-------------------------------------------------------------------------
 *
 * fence_hooks.c
 *	  Keeps the sessions of a database from writing while a fence is up.
 *
 * A fence makes transactions read-only at each statement anew, so that no
 * session gets out by setting them to read-write, and leaves it to the server
 * to know what writes: commands, functions that run commands, sequences, COPY
 * and, since 16, large objects.  What the server refuses gets a detail that
 * says why.  Temporary tables stay writable, commits go through.
 *
 * While no fence is up a statement costs a few unlocked reads of shared memory.
 * Only after a start of the server and after a promotion sessions wait, for the
 * worker to have looked once, and not for long.
 *
 * Not covered is what writes in C without the executor and without asking
 * whether it may: workers that apply logical replication, autovacuum and
 * background workers that act as the server itself are left alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fence/internal.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "postmaster/bgworker.h"
#include "replication/logicalworker.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"

#include "base/base.h"
#include "processes/processes.h"

/* How long sessions wait for the worker, all together. */
#define FIRST_LOOK_MS 5000

/* This process's copy of the fence of its database, as of so many changes. */
static Fence own_fence;
static uint32 own_changes = 0;

/* The transaction that a fence has made read-only, and who it was before. */
static LocalTransactionId stopped_transaction = InvalidLocalTransactionId;

/* While this process does a write that is meant to be let through. */
static bool letting_write = false;
static bool was_read_only;

static ExecutorStart_hook_type previous_start = NULL;
static ExecutorRun_hook_type previous_run = NULL;

/*
 * True for a background process in which pg_cron runs a job: a session of the
 * role that has scheduled it.
 */
static bool
is_job(void)
{
	return strcmp(MyBgworkerEntry->bgw_library_name, "pg_cron") == 0 &&
		strcmp(MyBgworkerEntry->bgw_function_name, "CronBackgroundWorker") == 0;
}

/*
 * True for processes that are not sessions of people: the server's own, those
 * of extensions (ours among them) that act as the server itself, workers of
 * logical replication, and parallel workers, which cannot write anyway.
 */
static bool
is_server_process(void)
{
	return IsParallelWorker() || IsLogicalWorker() || du_is_autovacuum_worker() ||
		(MyBgworkerEntry != NULL && GetSessionUserId() == BOOTSTRAP_SUPERUSERID && !is_job());
}

/*
 * True when a fence may have to be up that only the worker can find: after a
 * start because of the binary (others are in the file), and after a promotion
 * those that the primary before has raised last.
 */
static bool
must_await_look(FenceLook look)
{
	if (du_guc_schema_ahead_action == SCHEMA_AHEAD_READ_ONLY)
		return true;
	return look != LOOKED_NEVER && du_shared_serves(MyDatabaseId, "");
}

/*
 * The place of this process's database among the fences; NULL while there is
 * none.
 */
static FencedDatabase *
find_place(bool make)
{
	FencedDatabase *place;

	if (!OidIsValid(MyDatabaseId))
		return NULL;
	LWLockAcquire(du_shared_lock(), make ? LW_EXCLUSIVE : LW_SHARED);
	place = du_fence_place_of(MyDatabaseId, make);
	LWLockRelease(du_shared_lock());
	return place;
}

/*
 * Waits until the worker has looked, where it could raise a fence.  A worker
 * that cannot run must not stop the server: all sessions together give it
 * FIRST_LOOK_MS.
 */
static void
await_look(void)
{
	FencedDatabase *place = find_place(false);
	FenceLook	look = place != NULL ? place->looked : LOOKED_NEVER;
	ClockMs		until;

	if (!IsUnderPostmaster || !must_await_look(look) || is_server_process())
		return;
	if (!du_shared_is_to_serve() || (place = find_place(true)) == NULL)
		return;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	if (place->waiting_since == 0)
		place->waiting_since = du_clock_ms();
	until = place->waiting_since + FIRST_LOOK_MS;
	LWLockRelease(du_shared_lock());

	du_shared_wake_worker();
	ConditionVariablePrepareToSleep(du_shared_changed());
	while (place->looked != LOOKED_AS_PRIMARY && du_clock_ms() < until)
		(void) ConditionVariableTimedSleep(du_shared_changed(), 100, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
}

/*
 * True when a fence is up around this process's database; own_fence then says
 * which.
 */
static bool
is_fenced(void)
{
	static bool settled = false;	/* nothing is to be waited for any more */
	Fences	   *fences = du_fences();
	FencedDatabase *place;

	if (unlikely(!settled) && !RecoveryInProgress() && IsTransactionState())
	{
		place = find_place(false);
		if (place == NULL || place->looked != LOOKED_AS_PRIMARY)
			await_look();
		settled = true;
	}
	if (likely(fences->nraised == 0))
		return false;
	if (fences->changes == own_changes)
		return OidIsValid(own_fence.database);

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	memset(&own_fence, 0, sizeof(Fence));
	own_changes = fences->changes;
	place = OidIsValid(MyDatabaseId) ? du_fence_place_of(MyDatabaseId, false) : NULL;
	for (int i = 0; place != NULL && i < FENCE_REASONS; i++)
	{
		if (OidIsValid(place->fences[i].database))
		{
			own_fence = place->fences[i];
			break;
		}
	}
	LWLockRelease(du_shared_lock());
	if (!OidIsValid(own_fence.database))
		(void) du_fence_from_elsewhere(&own_fence);
	return OidIsValid(own_fence.database);
}

/*
 * True when sessions of a role are exempt, by its name.  Membership does not
 * count, nor does being a superuser.  Looks the name up in the catalogue.
 */
bool
du_fence_is_exempt(Oid role)
{
	const char *user;
	char	   *text;
	List	   *names;
	ListCell   *lc;
	bool		found = false;

	if (du_guc_fence_exempt_roles[0] == '\0')
		return role == BOOTSTRAP_SUPERUSERID;

	user = GetUserNameFromId(role, true);
	text = pstrdup(du_guc_fence_exempt_roles);

	if (SplitIdentifierString(text, ',', &names))
	{
		foreach(lc, names)
			found |= user != NULL && strcmp(lfirst(lc), user) == 0;
		list_free(names);
	}
	pfree(text);
	return found;
}

static bool
must_not_write(void)
{
	return is_fenced() && !letting_write && IsTransactionState() && !is_server_process() &&
		!du_fence_is_exempt(GetSessionUserId());
}

/*
 * Adds to what the server refuses in a read-only transaction why it is one.
 */
static void
say_why(void *arg)
{
	if (geterrcode() != ERRCODE_READ_ONLY_SQL_TRANSACTION)
		return;
	errdetail("Writes to %s are stopped. %s", own_fence.everywhere ? "every database of this server" : "this database",
			  own_fence.why);
	errhint("%s", own_fence.hint);
}

/*
 * Makes the transaction read-only when a fence says so.  What it gives back is
 * for leave_statement().
 */
static bool
enter_statement(ErrorContextCallback *callback)
{
	if (likely(!must_not_write()))
		return false;
	if (!XactReadOnly)
		stopped_transaction = du_proc_transaction(MyProc);
	XactReadOnly = true;
	callback->callback = say_why;
	callback->arg = NULL;
	callback->previous = error_context_stack;
	error_context_stack = callback;
	return true;
}

static void
leave_statement(bool entered, const ErrorContextCallback *callback)
{
	if (entered)
		error_context_stack = callback->previous;
}

static void
fence_executor_start(QueryDesc *query, int eflags)
{
	ErrorContextCallback callback;
	bool		entered = enter_statement(&callback);

	if (previous_start != NULL)
		previous_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	leave_statement(entered, &callback);
}

/*
 * A cursor may have been opened before the fence was raised; and what a query
 * calls is refused while it runs.
 */
static void
fence_executor_run(DU_EXECUTOR_RUN_PARAMETERS)
{
	ErrorContextCallback callback;
	bool		entered = enter_statement(&callback);

	if (previous_run != NULL)
		previous_run(DU_EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(DU_EXECUTOR_RUN_ARGUMENTS);
	leave_statement(entered, &callback);
}

/*
 * Transaction commands are let through: they write nothing by themselves, and
 * must work in a transaction that has failed, where no name can be looked up.
 */
static void
fence_utility(const UtilityCall *call)
{
	ErrorContextCallback callback;
	bool		entered = !IsA(call->pstmt->utilityStmt, TransactionStmt) &&
	enter_statement(&callback);

	du_hooks_pass_on(call);
	leave_statement(entered, &callback);
}

/* Before 16 large objects could be written in read-only transactions. */
static void
refuse_large_object_writers(Oid function)
{
#if PG_VERSION_NUM < 160000
	static const Oid writers[] = {
		F_LO_CREAT, F_LO_CREATE, F_LO_FROM_BYTEA, F_LO_IMPORT_TEXT,
		F_LO_IMPORT_TEXT_OID, F_LO_PUT, F_LO_TRUNCATE, F_LO_TRUNCATE64,
		F_LO_UNLINK, F_LOWRITE
	};

	for (int i = 0; i < lengthof(writers); i++)
	{
		if (writers[i] == function)
			PreventCommandIfReadOnly("large object functions");
	}
#endif
}

/*
 * Functions are called without any statement too: over the fast path of the
 * protocol, and in expressions of procedures after their COMMIT.
 */
static void
fence_object_access(ObjectAccessType access, Oid classid, Oid objid, int subid)
{
	ErrorContextCallback callback;

	if (access == OAT_FUNCTION_EXECUTE && enter_statement(&callback))
	{
		refuse_large_object_writers(objid);
		leave_statement(true, &callback);
	}
}

/*
 * Lets this process write although a fence is up, until du_fence_end_writing(),
 * which must be called however that ends.  A transaction that is read-only for
 * another reason stays so.
 */
void
du_fence_let_write(void)
{
	Assert(!letting_write);
	was_read_only = XactReadOnly;
	if (stopped_transaction == du_proc_transaction(MyProc))
		XactReadOnly = false;
	letting_write = true;
}

void
du_fence_end_writing(void)
{
	letting_write = false;
	XactReadOnly = was_read_only;
}

/*
 * Installs the hooks; to be called while libraries are preloaded.
 */
void
du_fence_install(void)
{
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = fence_executor_start;
	previous_run = ExecutorRun_hook;
	ExecutorRun_hook = fence_executor_run;
	du_hooks_add_utility(fence_utility);
	du_hooks_add_access(fence_object_access);
	du_fence_state_install();
	du_fence_file_install();
}

/*
 * A palloc'd sentence or more about the fences around this database, each with
 * what says(fence) makes of it; NULL when none is up.
 */
static char *
describe(char *(*says) (FenceReason reason, const Fence *fence))
{
	StringInfoData buf;
	Fence		general;

	if (!du_shared_exists())
		return NULL;
	initStringInfo(&buf);
	for (int i = 0; i < FENCE_REASONS; i++)
	{
		Fence		fence = du_fence_read(i);

		if (OidIsValid(fence.database) && fence.database == MyDatabaseId)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? " " : "", says(i, &fence));
	}
	if (du_fence_from_elsewhere(&general))
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? " " : "", says(FENCE_MANUAL, &general));
	return buf.len > 0 ? buf.data : NULL;
}

static char *
say_cause(FenceReason reason, const Fence *fence)
{
	return psprintf("%s", fence->why);
}

/* For whoever reads next_step, where the binary's age is told already. */
static char *
say_cure(FenceReason reason, const Fence *fence)
{
	switch (reason)
	{
		case FENCE_SCHEMA_AHEAD:
			return psprintf("Meanwhile only the roles of documentdb_upgrade.fence_exempt_roles (%s) can write to this database.",
							du_guc_fence_exempt_roles[0] ? du_guc_fence_exempt_roles :
							GetUserNameFromId(BOOTSTRAP_SUPERUSERID, false));
		case FENCE_MANUAL:
			return psprintf("Writes to %s are stopped. %s When that is over, run SELECT documentdb_upgrade.lift_fence();%s",
							fence->everywhere ? "every database of this server" : "this database", fence->why,
							fence->database == MyDatabaseId ? "" : " there.");
		case FENCE_MAINTENANCE:
			return psprintf("Writes to this database are stopped. %s When that is over, set its spec.maintenance to false.",
							fence->why);
	}
	elog(ERROR, "unrecognized reason of a fence: %d", (int) reason);
}

/*
 * What is to be known of the fences around this database where a next step is
 * told, palloc'd; NULL when none is up.  Works without the memory: then none
 * can be.
 */
char *
du_fence_notice(void)
{
	return describe(say_cure);
}

/*
 * Why writes to this database are stopped, palloc'd; NULL when they are not.
 */
char *
du_fence_sentence(void)
{
	char	   *causes = describe(say_cause);

	return causes == NULL ? NULL : psprintf("Writes to this database are stopped. %s", causes);
}
