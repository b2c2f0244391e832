/*-------------------------------------------------------------------------
 *
 * worker_launcher.c
 *	  Keeps the worker running.
 *
 * The worker is connected to one database and needs a library that may be
 * missing, so something must outlive it that needs neither: the launcher, a
 * process without a database.  It looks whether the database exists, starts
 * the worker, and starts it again when it has ended: at once after a long
 * life, ever later after short ones.  What keeps the worker from running is
 * said in shared memory, and logged when it changes.
 *
 * On a standby the launcher also asks for a process that the server starts
 * when recovery ends.  All that this process does is start: the launcher and
 * through it the worker hear of the promotion at once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include <signal.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/base.h"

#define LONG_LIFE_MS 30000
#define FIRST_WAIT_MS 1000
#define LONGEST_WAIT_MS 60000
#define LEAVING_WAIT_MS 100

PGDLLEXPORT void documentdb_upgrade_launcher_main(Datum main_arg);
PGDLLEXPORT void documentdb_upgrade_worker_main(Datum main_arg);
PGDLLEXPORT void documentdb_upgrade_promotion_main(Datum main_arg);

static LauncherFacts facts;
static BackgroundWorkerHandle *worker = NULL;
static TimestampTz worker_started = 0;
static TimestampTz next_start = 0;
static long next_wait = FIRST_WAIT_MS;

/*
 * Has the launcher started with the server; to be called while libraries are
 * preloaded.
 */
void
du_launcher_register(void)
{
	BackgroundWorker process;

	du_process_describe(&process, "launcher", "documentdb_upgrade_launcher_main");
	process.bgw_restart_time = 5;
	RegisterBackgroundWorker(&process);
}

/*
 * Says what keeps the worker from running: to everybody, and to the log when
 * it is new.  "" takes it back.
 */
static void
set_problem(const char *problem, const char *hint)
{
	LauncherFacts current;

	du_shared_read_launcher(&current);
	if (strcmp(current.problem, problem) == 0)
		return;
	strlcpy(current.problem, problem, sizeof(current.problem));
	strlcpy(current.hint, hint, sizeof(current.hint));
	du_shared_set_launcher(&current);
	if (problem[0] != '\0')
		ereport(LOG,
				(errmsg("documentdb_upgrade worker does not run"),
				 errdetail_internal("%s", problem),
				 errhint("%s", hint)));
}

/*
 * True when the worker's database is among these.
 */
static bool
find_database(const List *databases, Oid *database)
{
	const ListCell *lc;

	foreach(lc, databases)
	{
		const DatabaseEntry *entry = lfirst(lc);

		*database = entry->oid;
		if (strcmp(entry->name, du_guc_database) == 0)
			return true;
	}
	return false;
}

/*
 * True while a worker runs that an earlier launcher has started: two would do
 * everything twice.
 */
static bool
earlier_worker_runs(void)
{
	WorkerFacts earlier;

	du_shared_read_worker(&earlier);
	return earlier.pid != 0 && kill(earlier.pid, 0) == 0;
}

/*
 * Starts the worker; false when no process is to be had.
 */
static bool
start_worker(void)
{
	BackgroundWorker process;
	MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
	bool		started;

	du_process_describe(&process, "worker", "documentdb_upgrade_worker_main");
	process.bgw_notify_pid = MyProcPid;
	started = RegisterDynamicBackgroundWorker(&process, &worker);
	MemoryContextSwitchTo(context);
	if (!started)
		worker = NULL;
	return started;
}

/*
 * Starts the worker if it can and may run now; else sets when to try again.
 */
static void
try_to_start(const List *databases)
{
	TimestampTz now = GetCurrentTimestamp();
	long		wait = Min(du_guc_poll_interval, LONGEST_WAIT_MS);
	Oid			database;

	if (earlier_worker_runs())
		wait = Min(du_guc_poll_interval, FIRST_WAIT_MS);
	else if (!find_database(databases, &database))
		set_problem(psprintf("Database \"%s\" does not exist.", du_guc_database),
					"Create it, or set documentdb_upgrade.database and restart PostgreSQL.");
	else if (du_shared_wanted_by_others(database))
		wait = LEAVING_WAIT_MS;
	else if (!start_worker())
	{
		set_problem("No background worker is free.",
					"Raise max_worker_processes by three and restart PostgreSQL.");
		wait = LONGEST_WAIT_MS;
	}
	else
		worker_started = now;
	next_start = TimestampTzPlusMilliseconds(now, wait);
}

/*
 * Notes the end of the worker, and when the next one is due.
 */
static void
look_after_worker(void)
{
	TimestampTz now = GetCurrentTimestamp();
	pid_t		pid;

	if (GetBackgroundWorkerPid(worker, &pid) != BGWH_STOPPED)
		return;
	pfree(worker);
	worker = NULL;

	if (TimestampDifferenceMilliseconds(worker_started, now) >= LONG_LIFE_MS)
		next_wait = FIRST_WAIT_MS;
	next_start = now;
	if (du_shared_restart_wanted())
		return;
	next_start = TimestampTzPlusMilliseconds(now, next_wait);
	next_wait = Min(next_wait * 2, LONGEST_WAIT_MS);
}

/*
 * Asks the server to start a process when recovery ends, which sets our
 * latch.
 */
static BackgroundWorkerHandle *
ask_for_promotion(void)
{
	BackgroundWorker process;
	BackgroundWorkerHandle *handle = NULL;

	du_process_describe(&process, "promotion", "documentdb_upgrade_promotion_main");
	process.bgw_start_time = BgWorkerStart_RecoveryFinished;
	process.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&process, &handle))
		return NULL;			/* then it is noticed at the worker's next
								 * look */
	return handle;
}

static void
at_exit(int code, Datum arg)
{
	BackgroundWorkerHandle *promotion = (BackgroundWorkerHandle *) DatumGetPointer(arg);

	if (promotion != NULL)
		TerminateBackgroundWorker(promotion);
	du_shared_read_launcher(&facts);
	facts.pid = 0;
	du_shared_set_launcher(&facts);
}

/*
 * Entry point of the launcher.
 */
void
documentdb_upgrade_launcher_main(Datum main_arg)
{
	BackgroundWorkerHandle *promotion = NULL;
	MemoryContext cycle = AllocSetContextCreate(TopMemoryContext, "documentdb_upgrade cycle",
												ALLOCSET_DEFAULT_SIZES);
	bool		in_recovery;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	in_recovery = RecoveryInProgress();
	if (in_recovery)
		promotion = ask_for_promotion();
	before_shmem_exit(at_exit, PointerGetDatum(promotion));
	facts.pid = MyProcPid;
	du_shared_set_launcher(&facts);

	while (!ShutdownRequestPending)
	{
		List	   *databases;
		TimestampTz now;
		TimestampTz next;
		long		wait;

		MemoryContextReset(cycle);
		MemoryContextSwitchTo(cycle);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (in_recovery && !RecoveryInProgress())
		{
			in_recovery = false;
			du_shared_wake_worker();
		}

		databases = du_databases_list();
		du_records_follow(databases);
		now = GetCurrentTimestamp();
		if (worker != NULL)
			look_after_worker();
		if (worker == NULL && now >= next_start)
			try_to_start(databases);
		next = du_looks_advance();
		if (worker == NULL)
			next = Min(next, next_start);

		wait = next == PG_INT64_MAX ? -1 :
			Max(TimestampDifferenceMilliseconds(now, next), LEAVING_WAIT_MS);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
						 (wait >= 0 ? WL_TIMEOUT : 0), wait, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	proc_exit(1);
}

/*
 * Entry point of the worker.
 */
void
documentdb_upgrade_worker_main(Datum main_arg)
{
	void		(*loop) (void);
	const char *problem = NULL;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(du_guc_database, NULL, 0);

	loop = du_process_worker_function("documentdb_upgrade_worker_loop", &problem);
	if (loop == NULL)
	{
		set_problem(psprintf("The worker's library cannot be loaded: %s.", problem),
					"Install what it needs (" WORKER_PACKAGES "); the worker then starts within a minute.");
		proc_exit(0);
	}
	set_problem("", "");
	loop();
}

/*
 * Entry point of the process whose start tells of a promotion.
 */
void
documentdb_upgrade_promotion_main(Datum main_arg)
{
	proc_exit(0);
}
