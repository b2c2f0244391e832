/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  The worker's loop: read what is desired, look, decide, act, publish.
 *
 * The loop waits in one place only, for its latch, for the sockets of its
 * source and of its reports, and for the next time something is due.  So it
 * answers a shutdown, a reload, a promotion, a hold and the end of an attempt
 * at once, while a watch is open.  It holds no transaction while it waits, and
 * the network is never inside one.
 *
 * Trouble that is expected is part of the state.  Anything else raises, ends
 * the process, and the launcher starts another.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/loop/internal.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/base.h"
#include "finalize/finalize.h"
#include "processes/processes.h"
#include "worker/kubernetes/kubernetes.h"
#include "worker/net/net.h"
#include "worker/source/source.h"
#include "worker/standby/standby.h"

PG_MODULE_MAGIC;

#define LOCK_TIMEOUT "100ms"	/* others would find a deadlock later */
#define TICK_LOCK_TIMEOUT "1s"	/* which bounds its attempt as well */
#define ATTEMPT_LOOK_MS 1000	/* should its end go unnoticed */
#define SMALL_STEP_US (1000 * 1000)	/* of a clock that is only corrected */
#define LONGEST_PASS_MS 60000	/* of tick() */
#define LONGEST_REPORT_MS 10000 /* that tick() waits for */

PGDLLEXPORT void documentdb_upgrade_worker_loop(void);
PGDLLEXPORT void documentdb_upgrade_worker_once(const char *role_name, char *state, Size size);

/*
 * Publishes the facts when they have changed; those of a single pass are for
 * this process alone.
 */
static void
publish(Worker *worker)
{
	du_worker_take_counters(worker);

	/* Padding that differs can only publish the same once more. */
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
	if (memcmp(&worker->facts, &worker->published, sizeof(WorkerFacts)) == 0)
		return;
	worker->published = worker->facts;
	if (worker->once)
		du_shared_pretend(&worker->published);
	else
		du_shared_set_worker(&worker->published);
}

/*
 * Answers what the server asks of this process.  True when it is a reason to
 * look.
 */
static bool
answer_requests(Worker *worker)
{
	bool		look = false;

	CHECK_FOR_INTERRUPTS();
	if (!worker->once && du_shared_asked_to_leave())
	{
		du_shared_want_restart();
		proc_exit(0);
	}
	if (ConfigReloadPending || (!worker->once && du_reloads_missed()))
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		if (worker->source != NULL)
			worker->source->reload(worker->source);
		du_worker_follow_role(worker);
		look = true;
	}
	if (worker->primary == RecoveryInProgress())
	{
		du_worker_follow_role(worker);
		look = true;
	}

	/* The read that an attempt waits for would have to begin again. */
	if (!worker->once && !worker->confirming &&
		worker->reads_seen != du_shared_reads_asked())
	{
		worker->reads_seen = du_shared_reads_asked();
		if (worker->source != NULL)
			worker->source->refresh(worker->source);
		if (worker->upstream_report != NULL)
			du_upstream_report_hurry(worker->upstream_report);
	}
	return look;
}

/*
 * Starts an attempt when the last pass wants one and what is desired was read
 * after it was decided, else has it read.
 */
static void
act(Worker *worker, bool confirmed)
{
	if (!worker->primary || !worker->wants_attempt || worker->attempt_runs)
		return;
	if (confirmed)
	{
		du_worker_start_attempt(worker);

		/*
		 * To see what has become of it.  A library that wants the update to
		 * be the first may not bear this process to look at the result.
		 */
		if (worker->once && !worker->order.alter_first)
			du_worker_pass(worker);
	}
	else if (!worker->confirming)
	{
		worker->confirming = true;
		worker->source->refresh(worker->source);
	}
}

/*
 * The server's timeouts go by the time of day.  When that is set back, those of
 * a running attempt come as much later: it may wait for a lock all that time, and
 * others behind it.  So it is ended, and comes again.
 */
static void
watch_clock(Worker *worker)
{
	int64		offset = GetCurrentTimestamp() - du_clock_us();

	if (worker->attempt_runs && offset < worker->clock_offset - SMALL_STEP_US)
		(void) du_running_cancel(MyDatabaseId, du_main_selected(), CANCELLED_BY_CLOCK);
	worker->clock_offset = offset;
}

/*
 * One round of the loop without its wait.  A pass runs when look is true or
 * something has changed.
 */
static void
work(Worker *worker, bool look)
{
	bool		confirmed = false;

	watch_clock(worker);
	if (worker->source != NULL)
	{
		look |= du_worker_advance_source(worker);
		if (worker->confirming && !worker->source->state.refreshing)
		{
			worker->confirming = false;
			confirmed = worker->source->state.health == SOURCE_OK;
		}
	}
	if (worker->upstream_report != NULL)
		look |= du_upstream_report_is_due(worker->upstream_report);
	if (worker->attempt_runs && !du_attempt_is_running())
	{
		du_worker_conclude_attempt(worker);
		look = true;
	}
	if (look || confirmed)
	{
		du_worker_take_retries(worker);
		publish(worker);		/* guards look at what the source says */
		du_worker_pass(worker);
		act(worker, confirmed);
	}
	if (worker->report != NULL)
		du_kube_report_advance(worker->report);
	if (worker->reads != NULL)
		du_kube_reads_advance(worker->reads);
	if (worker->upstream_report != NULL)
		du_upstream_report_advance(worker->upstream_report);
	publish(worker);
}

/* How long until something is due, and which sockets matter. */
static void
gather_waits(const Worker *worker, ClockMs next_look, WaitList *list)
{
	list->timeout_ms = -1;
	list->nsockets = 0;
	du_wait_at_most(list, du_clock_left(next_look));
	if (worker->facts.next_retry > du_clock_ms())
		du_wait_at_most(list, du_clock_left(worker->facts.next_retry));
	if (worker->attempt_runs)
		du_wait_at_most(list, ATTEMPT_LOOK_MS);
	if (worker->source != NULL)
		worker->source->add_waits(worker->source, list);
	if (worker->report != NULL)
		du_kube_report_add_waits(worker->report, list);
	if (worker->reads != NULL)
		du_kube_reads_add_waits(worker->reads, list);
	if (worker->upstream_report != NULL)
		du_upstream_report_add_waits(worker->upstream_report, list);
}

/*
 * Waits.  True when the latch was set, which somebody does who has changed
 * something.
 */
static bool
wait_for_work(const WaitList *list)
{
	WaitEventSet *set = du_create_wait_event_set(WAIT_LIST_SOCKETS + 2);
	WaitEvent	events[WAIT_LIST_SOCKETS + 2];
	bool		latch = false;
	int			n;

	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < list->nsockets; i++)
		AddWaitEventToSet(set, list->sockets[i].events, list->sockets[i].fd, NULL, NULL);

	n = WaitEventSetWait(set, list->timeout_ms, events, lengthof(events), PG_WAIT_EXTENSION);
	for (int i = 0; i < n; i++)
		latch |= (events[i].events & WL_LATCH_SET) != 0;
	FreeWaitEventSet(set);
	if (latch)
		ResetLatch(MyLatch);
	return latch;
}

static void
at_exit(int code, Datum arg)
{
	du_shared_clear_worker();
}

static void
start(Worker *worker)
{
	/* Nobody may slip us an operator, or stop the loop by holding a table. */
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", worker->once ? TICK_LOCK_TIMEOUT : LOCK_TIMEOUT,
					PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);

	/* Nor by keeping a synchronous standby away. */
	SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_OVERRIDE);

	worker->further = du_main_selected()[0] != '\0';
	worker->in_main_database = worker->once || du_shared_in_main_database();
	worker->main = worker->in_main_database && !worker->further;
	worker->facts.pid = MyProcPid;
	worker->facts.database = MyDatabaseId;
	worker->facts.is_main = worker->main;
	worker->facts.started_at = GetCurrentTimestamp();
	du_worker_follow_role(worker);
}

/*
 * The loop of the worker; ends with the process.
 */
void
documentdb_upgrade_worker_loop(void)
{
	Worker	   *worker = MemoryContextAllocZero(TopMemoryContext, sizeof(Worker));
	MemoryContext cycle = AllocSetContextCreate(TopMemoryContext, "documentdb_upgrade cycle",
												ALLOCSET_DEFAULT_SIZES);
	ClockMs		next_look = 0;
	bool		look = true;

	worker->actor = "worker";
	worker->role_name = "";
	worker->reads_seen = du_shared_reads_asked();
	before_shmem_exit(at_exit, (Datum) 0);
	start(worker);

	/* An attempt of an earlier worker's goes on; it is watched to its end. */
	worker->attempt_runs = du_attempt_is_running();
	if (worker->attempt_runs)
		du_attempt_order(&worker->order);

	for (;;)
	{
		WaitList	list;

		MemoryContextReset(cycle);
		MemoryContextSwitchTo(cycle);

		look |= answer_requests(worker);
		look |= du_clock_ms() >= next_look ||
			(worker->facts.next_retry != 0 && du_clock_ms() >= worker->facts.next_retry);
		work(worker, look);
		if (look)
			next_look = du_clock_ms() + du_guc_poll_interval;

		gather_waits(worker, next_look, &list);
		look = wait_for_work(&list);
	}
}

/* True when a single pass has nothing more to do. */
static bool
is_done(const Worker *worker, ClockMs started, bool looked)
{
	if (du_clock_exceeds(started, LONGEST_PASS_MS))
		return true;
	if (!looked || worker->confirming || worker->wants_attempt ||
		(worker->source != NULL && worker->source->state.health == SOURCE_STARTING))
		return false;
	if (du_clock_exceeds(started, LONGEST_REPORT_MS))
		return true;
	return (worker->report == NULL || du_kube_report_is_idle(worker->report)) &&
		(worker->upstream_report == NULL || du_upstream_report_was_made(worker->upstream_report));
}

/* One pass for tick() at the managed set that is selected. */
static Worker *
look_once(const char *role_name)
{
	Worker	   *worker = MemoryContextAllocZero(TopMemoryContext, sizeof(Worker));
	ClockMs		started = du_clock_ms();
	bool		looked = false;

	worker->once = true;
	worker->actor = "tick";
	worker->role_name = role_name;
	start(worker);

	while (!is_done(worker, started, looked))
	{
		WaitList	list;
		bool		look;

		(void) answer_requests(worker);
		look = worker->source == NULL ? !looked : worker->source->state.health != SOURCE_STARTING;
		work(worker, look);
		looked |= look;
		if (is_done(worker, started, looked))
			break;
		gather_waits(worker, du_clock_ms() + ATTEMPT_LOOK_MS, &list);
		(void) wait_for_work(&list);
	}
	du_worker_close(worker);
	return worker;
}

/*
 * One pass for tick(), in a process of its own, for the role that called it;
 * fills in the state that was found.  The other main extensions come after the
 * first, whose worker has read what is desired.
 */
void
documentdb_upgrade_worker_once(const char *role_name, char *state, Size size)
{
	Worker	   *first = look_once(role_name);
	ListCell   *lc;

	strlcpy(state, first->facts.state, size);
	du_shared_pretend_first(&first->facts);
	foreach(lc, du_main_extensions())
	{
		if (foreach_current_index(lc) == 0)
			continue;
		du_main_select(lfirst(lc));
		(void) look_once(role_name);
	}
}
