/*-------------------------------------------------------------------------
 *
 * running_attempts.c
 *	  The attempts that run now: their progress, and how to end one.
 *
 * Each attempt has a slot in shared memory from its first lock to the end of
 * its transaction.  One that the worker drives can be cancelled through its
 * slot until its commit begins: the canceller looks, marks and signals under
 * the lock under which the attempt declares that its commit begins, so no
 * signal can arrive later than that.  Without shared memory attempts run
 * unseen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include <signal.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "base/base.h"

static RunningAttempt *own = NULL;
static bool announced = false;	/* this process runs attempts for the worker */
static bool callbacks_registered = false;

static RunningAttempt *
slots(void)
{
	StaticAssertStmt(sizeof(RunningAttempt) * RUNNING_ATTEMPTS <= SHARED_ROOM_SIZE,
					 "the slots must fit");
	return du_shared_room(ROOM_RUNNING_ATTEMPTS);
}

/* A slot of this process, or NULL when all are taken. */
static RunningAttempt *
take_slot(void)
{
	RunningAttempt *attempts = slots();

	for (int i = 0; i < RUNNING_ATTEMPTS; i++)
	{
		if (attempts[i].pid == 0)
			return &attempts[i];
	}
	return NULL;
}

static void
release_slot(void)
{
	bool		was_worker;

	if (own == NULL)
		return;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	was_worker = own->by_worker;
	memset(own, 0, sizeof(RunningAttempt));
	own = NULL;
	LWLockRelease(du_shared_lock());
	ConditionVariableBroadcast(du_shared_changed());
	if (was_worker)
		du_shared_wake_next();
	du_shared_wake_worker();
}

static void
at_exit(int code, Datum arg)
{
	release_slot();
}

/*
 * Declares that the commit begins, or raises when a cancel has come first.
 */
static void
begin_commit(void)
{
	bool		cancelled;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	cancelled = own->cancel_requested;
	own->commit_begun = !cancelled;
	LWLockRelease(du_shared_lock());
	if (cancelled)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("canceling the upgrade on request")));
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	if (own == NULL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (own->extension[0] != '\0')
				begin_commit();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			if (!announced)
				release_slot();
			break;
		default:
			break;
	}
}

static void
register_callbacks(void)
{
	if (callbacks_registered)
		return;
	RegisterXactCallback(at_transaction_event, NULL);
	before_shmem_exit(at_exit, (Datum) 0);
	callbacks_registered = true;
}

/* Takes a slot for this process if there is one. */
static void
enter(bool by_worker)
{
	register_callbacks();
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	own = take_slot();
	if (own != NULL)
	{
		own->pid = MyProcPid;
		own->database = MyDatabaseId;
		strlcpy(own->set, du_main_selected(), sizeof(own->set));
		own->by_worker = by_worker;
		own->started_at = GetCurrentTimestamp();
	}
	LWLockRelease(du_shared_lock());
}

/*
 * Makes this process known as one that runs an attempt for the worker, until
 * it ends: so that it can be cancelled, and found by a new worker, from its
 * first moment.
 */
void
du_running_announce(void)
{
	if (!du_shared_exists())
		return;
	announced = true;
	enter(true);
}

/*
 * Begins an attempt, to be ended by du_running_end when it fails; the end of
 * the transaction ends it too.
 */
void
du_running_begin(const char *actor, const char *extension,
				 const char *from, const char *target)
{
	if (!du_shared_exists())
		return;
	if (own == NULL)
		enter(false);
	if (own == NULL)
		return;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	strlcpy(own->actor, actor, sizeof(own->actor));
	strlcpy(own->extension, extension, sizeof(own->extension));
	strlcpy(own->from_version, from ? from : "", sizeof(own->from_version));
	strlcpy(own->target, target ? target : "", sizeof(own->target));
	own->step = own->nsteps = 0;
	LWLockRelease(du_shared_lock());
	ConditionVariableBroadcast(du_shared_changed());
}

/*
 * Tells which step begins, counted from 1.
 */
void
du_running_step(int step, int nsteps, const char *extension, const char *from, const char *to)
{
	if (own == NULL)
		return;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	own->step = step;
	own->nsteps = nsteps;
	strlcpy(own->step_extension, extension, sizeof(own->step_extension));
	strlcpy(own->step_from, from, sizeof(own->step_from));
	strlcpy(own->step_to, to, sizeof(own->step_to));
	LWLockRelease(du_shared_lock());
}

/*
 * Ends an attempt that failed.  May be called more than once.
 */
void
du_running_end(void)
{
	if (!announced)
		release_slot();
}

/*
 * Why somebody has asked this process's attempt to end, palloc'd; NULL when
 * nobody has.
 */
const char *
du_running_cancel_reason(void)
{
	char		reason[sizeof(own->cancel_reason)] = "";
	bool		requested = false;

	if (own == NULL)
		return NULL;
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	requested = own->cancel_requested;
	strlcpy(reason, own->cancel_reason, sizeof(reason));
	LWLockRelease(du_shared_lock());
	return requested ? pstrdup(reason) : NULL;
}

/*
 * Copies the running attempts into an array of RUNNING_ATTEMPTS; gives back
 * their number.
 */
int
du_running_list(RunningAttempt *attempts)
{
	int			n = 0;

	if (!du_shared_exists())
		return 0;
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	for (int i = 0; i < RUNNING_ATTEMPTS; i++)
	{
		if (slots()[i].pid != 0)
			attempts[n++] = slots()[i];
	}
	LWLockRelease(du_shared_lock());
	return n;
}

/*
 * Cancels the attempts that workers run in a database, at one managed set or at
 * any (set NULL), unless their commit has begun.  The reason completes "cancelled
 * because".
 */
CancelAnswer
du_running_cancel(Oid database, const char *set, const char *reason)
{
	CancelAnswer answer = CANCEL_NONE_RUNNING;

	if (!du_shared_exists())
		return answer;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	for (int i = 0; i < RUNNING_ATTEMPTS; i++)
	{
		RunningAttempt *attempt = &slots()[i];

		if (attempt->pid == 0 || !attempt->by_worker || attempt->database != database ||
			(set != NULL && strcmp(attempt->set, set) != 0))
			continue;
		if (attempt->commit_begun)
			answer = CANCEL_TOO_LATE;
		else
		{
			if (!attempt->cancel_requested)
				strlcpy(attempt->cancel_reason, reason, sizeof(attempt->cancel_reason));
			attempt->cancel_requested = true;
			(void) kill(attempt->pid, SIGINT);
			answer = CANCEL_SENT;
		}
	}
	LWLockRelease(du_shared_lock());
	return answer;
}

/*
 * The process that runs an attempt for the worker of a managed set, 0: none.
 */
pid_t
du_running_worker_attempt(Oid database, const char *set)
{
	RunningAttempt attempts[RUNNING_ATTEMPTS];
	int			n = du_running_list(attempts);

	for (int i = 0; i < n; i++)
	{
		if (attempts[i].by_worker && attempts[i].database == database &&
			strcmp(attempts[i].set, set) == 0)
			return attempts[i].pid;
	}
	return 0;
}

/*
 * True while an attempt of a worker runs in another database than this
 * process's, or at another managed set.
 */
bool
du_running_elsewhere(void)
{
	RunningAttempt attempts[RUNNING_ATTEMPTS];
	int			n = du_running_list(attempts);

	for (int i = 0; i < n; i++)
	{
		if (attempts[i].by_worker && (attempts[i].database != MyDatabaseId ||
									  strcmp(attempts[i].set, du_main_selected()) != 0))
			return true;
	}
	return false;
}
