/*-------------------------------------------------------------------------
 *
 * write_fence.c
 *	  Keeps the sessions of a database from writing while a fence is up.
 *
 * A fence makes transactions read-only at each statement anew, so that no
 * session gets out by setting them to read-write, and leaves it to the server
 * to know what writes: commands, functions that run commands, sequences, COPY
 * and, since 16, large objects.  What the server refuses gets a detail that
 * says why.  Temporary tables stay writable, commits go through.
 *
 * While no fence is up a statement costs a few unlocked reads of shared memory.
 * Only after a start of the server sessions wait, for the worker to have looked
 * once, and not for long.
 *
 * Not covered is what writes in C without the executor and without asking
 * whether it may: workers that apply logical replication, autovacuum and
 * background workers that act as the server itself are left alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "write_fence.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "postmaster/bgworker.h"
#include "replication/logicalworker.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "guc.h"
#include "shared_status.h"

/* How long sessions wait in a server that has just started. */
#define FIRST_LOOK_MS 5000

typedef struct Fence
{
	Oid			database;		/* InvalidOid: not up */
	char		why[SHARED_TEXT_LENGTH];	/* a sentence */
	char		hint[SHARED_TEXT_LENGTH];
} Fence;

typedef struct Fences
{
	/* These are read without the lock, to be quick. */
	volatile bool looked;		/* since the start it was found out which are
								 * to be up */
	volatile uint32 nraised;
	volatile uint32 changes;

	TimestampTz waiting_since;	/* for the first look; 0: nobody did */
	Fence		fences[FENCE_REASONS];
} Fences;

/* This process's copy of the fence of its database, as of so many changes. */
static Fence own_fence;
static uint32 own_changes = 0;

static ExecutorStart_hook_type previous_start = NULL;
static ExecutorRun_hook_type previous_run = NULL;
static ProcessUtility_hook_type previous_utility = NULL;
static object_access_hook_type previous_access = NULL;

static inline Fences *
shared_fences(void)
{
	static Fences *fences = NULL;

	StaticAssertStmt(sizeof(Fences) <= SHARED_ROOM_SIZE, "the fences must fit");
	if (fences == NULL)
		fences = du_shared_room(ROOM_WRITE_FENCE);
	return fences;
}

/*
 * Raises a fence around this process's database, or changes what an existing
 * one says.
 */
void
du_fence_raise(FenceReason reason, const char *why, const char *hint)
{
	Fences	   *fences = shared_fences();
	Fence		fence = {0};
	bool		changed;

	fence.database = MyDatabaseId;
	strlcpy(fence.why, why, sizeof(fence.why));
	strlcpy(fence.hint, hint, sizeof(fence.hint));

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	changed = memcmp(&fences->fences[reason], &fence, sizeof(Fence)) != 0;
	if (changed)
	{
		if (!OidIsValid(fences->fences[reason].database))
			fences->nraised++;
		fences->fences[reason] = fence;
		fences->changes++;
	}
	LWLockRelease(du_shared_lock());
	if (changed)
		ConditionVariableBroadcast(du_shared_changed());
}

/*
 * Takes a fence away, if it is up.
 */
void
du_fence_lift(FenceReason reason)
{
	Fences	   *fences = shared_fences();
	bool		changed;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	changed = OidIsValid(fences->fences[reason].database);
	if (changed)
	{
		memset(&fences->fences[reason], 0, sizeof(Fence));
		fences->nraised--;
		fences->changes++;
	}
	LWLockRelease(du_shared_lock());
	if (changed)
		ConditionVariableBroadcast(du_shared_changed());
}

/*
 * Says that the fences of the worker's database are up that are to be.
 */
void
du_fence_looked(void)
{
	Fences	   *fences = shared_fences();

	if (fences->looked)
		return;
	fences->looked = true;
	ConditionVariableBroadcast(du_shared_changed());
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
		(MyBgworkerEntry != NULL && GetSessionUserId() == BOOTSTRAP_SUPERUSERID);
}

/*
 * Waits until the worker has looked, where it could raise a fence.  A worker
 * that cannot run must not stop the server: all sessions together give it
 * FIRST_LOOK_MS.
 */
static void
await_first_look(Fences *fences)
{
	static bool waited = false;
	TimestampTz until;

	if (waited || du_guc_schema_ahead_action != SCHEMA_AHEAD_READ_ONLY ||
		!IsUnderPostmaster || !IsTransactionState() || is_server_process())
		return;
	if (strcmp(get_database_name(MyDatabaseId), du_guc_database) != 0)
	{
		waited = true;
		return;
	}

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	if (fences->waiting_since == 0)
		fences->waiting_since = GetCurrentTimestamp();
	until = TimestampTzPlusMilliseconds(fences->waiting_since, FIRST_LOOK_MS);
	LWLockRelease(du_shared_lock());

	ConditionVariablePrepareToSleep(du_shared_changed());
	while (!fences->looked && GetCurrentTimestamp() < until)
		(void) ConditionVariableTimedSleep(du_shared_changed(), 100, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
	waited = true;
}

/*
 * True when a fence is up around this process's database; own_fence then says
 * which.
 */
static bool
is_fenced(void)
{
	Fences	   *fences = shared_fences();

	if (unlikely(!fences->looked))
		await_first_look(fences);
	if (likely(fences->nraised == 0))
		return false;
	if (fences->changes == own_changes)
		return OidIsValid(own_fence.database);

	LWLockAcquire(du_shared_lock(), LW_SHARED);
	memset(&own_fence, 0, sizeof(Fence));
	own_changes = fences->changes;
	for (int i = 0; i < FENCE_REASONS; i++)
	{
		if (OidIsValid(MyDatabaseId) && fences->fences[i].database == MyDatabaseId)
		{
			own_fence = fences->fences[i];
			break;
		}
	}
	LWLockRelease(du_shared_lock());
	return OidIsValid(own_fence.database);
}

/*
 * True when the session's user is exempt by name.  Membership does not count,
 * nor does being a superuser.  Looks the name up in the catalogue.
 */
static bool
is_exempt(void)
{
	const char *user;
	char	   *text;
	List	   *names;
	ListCell   *lc;
	bool		found = false;

	if (du_guc_fence_exempt_roles[0] == '\0')
		return GetSessionUserId() == BOOTSTRAP_SUPERUSERID;

	user = GetUserNameFromId(GetSessionUserId(), true);
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
	return is_fenced() && IsTransactionState() && !is_server_process() && !is_exempt();
}

/*
 * Adds to what the server refuses in a read-only transaction why it is one.
 */
static void
say_why(void *arg)
{
	if (geterrcode() != ERRCODE_READ_ONLY_SQL_TRANSACTION)
		return;
	errdetail("Writes to this database are stopped. %s", own_fence.why);
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
fence_utility(PlannedStmt *pstmt, const char *query_string,
			  bool read_only_tree, ProcessUtilityContext context,
			  ParamListInfo params, QueryEnvironment *query_env,
			  DestReceiver *dest, QueryCompletion *qc)
{
	ErrorContextCallback callback;
	bool		entered = !IsA(pstmt->utilityStmt, TransactionStmt) &&
	enter_statement(&callback);

	if (previous_utility != NULL)
		previous_utility(pstmt, query_string, read_only_tree, context, params,
						 query_env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context,
								params, query_env, dest, qc);
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
fence_object_access(ObjectAccessType access, Oid class, Oid object,
					int column, void *arg)
{
	ErrorContextCallback callback;

	if (access == OAT_FUNCTION_EXECUTE && enter_statement(&callback))
	{
		refuse_large_object_writers(object);
		leave_statement(true, &callback);
	}
	if (previous_access != NULL)
		previous_access(access, class, object, column, arg);
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
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = fence_utility;
	previous_access = object_access_hook;
	object_access_hook = fence_object_access;
}

/*
 * A palloc'd sentence about the fence around this database, NULL when none is
 * up.  Works without the memory: then none can be.
 */
char *
du_fence_notice(void)
{
	if (!du_shared_exists() || !is_fenced())
		return NULL;
	return psprintf("Meanwhile only the roles of documentdb_upgrade.fence_exempt_roles (%s) can write to this database.",
					du_guc_fence_exempt_roles[0] ? du_guc_fence_exempt_roles :
					GetUserNameFromId(BOOTSTRAP_SUPERUSERID, false));
}
