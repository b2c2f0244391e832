/*-------------------------------------------------------------------------
 *
 * worker_launcher.c
 *	  Keeps the workers running.
 *
 * A worker is connected to one database and needs a library that may be
 * missing, so something must outlive it that needs neither: the launcher, a
 * process without a database.  It looks which databases there are and are to
 * be served, starts their workers, and starts them again when they have ended:
 * at once after a long life, ever later after short ones.  What keeps a worker
 * from running is said in shared memory, and logged when it changes.
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

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "base/base.h"

#define LONG_LIFE_MS 30000
#define FIRST_WAIT_MS 1000
#define LONGEST_WAIT_MS 60000
#define LEAVING_WAIT_MS 100

PGDLLEXPORT void documentdb_upgrade_launcher_main(Datum main_arg);
PGDLLEXPORT void documentdb_upgrade_worker_main(Datum main_arg);
PGDLLEXPORT void documentdb_upgrade_promotion_main(Datum main_arg);

/* A managed set of a database that is to be served. */
typedef struct Served
{
	Oid			database;
	char		set[NAMEDATALEN];	/* as in DatabaseRecord */
	char		name[NAMEDATALEN];	/* of the database */
	bool		wanted;			/* at the last look */
	BackgroundWorkerHandle *worker; /* NULL: none runs */
	ClockMs		started;
	ClockMs		next_start;
	long		next_wait;
	bool		waits_for_process;
} Served;

static LauncherFacts facts;
static List *served = NIL;		/* the main database first */

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

/* Logs what keeps a worker from running; name is NULL where there is one. */
static void
log_problem(const char *name, const char *set, const char *problem, const char *hint)
{
	ereport(LOG,
			(set[0] != '\0' && name != NULL ?
			 errmsg("documentdb_upgrade worker of extension \"%s\" in database \"%s\" does not run", set, name) :
			 set[0] != '\0' ? errmsg("documentdb_upgrade worker of extension \"%s\" does not run", set) :
			 name == NULL ? errmsg("documentdb_upgrade worker does not run") :
			 errmsg("documentdb_upgrade worker of database \"%s\" does not run", name),
			 errdetail_internal("%s", problem),
			 errhint("%s", hint)));
}

/* A name for the log, NULL where the setting means one database alone. */
static const char *
name_to_log(const char *name)
{
	bool		every;
	List	   *names = du_guc_databases(&every);

	return every || list_length(names) > 1 ? name : NULL;
}

/*
 * Says what keeps the worker of a database from running: to everybody, and to
 * the log when it is new.  "" takes it back.
 */
static void
set_problem(Oid database, const char *set, const char *name, const char *problem, const char *hint)
{
	if (du_records_set_problem(database, set, problem, hint) && problem[0] != '\0')
		log_problem(name_to_log(name), set, problem, hint);
}

/*
 * The same of the first database that is named and does not exist; NULL: all
 * do.
 */
static void
set_missing(const char *name)
{
	const char *problem = name == NULL ? "" : psprintf("Database \"%s\" does not exist.", name);
	const char *hint = name == NULL ? "" :
	"Create it, or set documentdb_upgrade.database and restart PostgreSQL.";

	if (strcmp(facts.problem, problem) == 0)
		return;
	strlcpy(facts.problem, problem, sizeof(facts.problem));
	strlcpy(facts.hint, hint, sizeof(facts.hint));
	du_shared_set_launcher(&facts);
	if (name != NULL)
		log_problem(name_to_log(name), "", problem, hint);
}

static DatabaseEntry *
find_entry(const List *databases, const char *name)
{
	const ListCell *lc;

	foreach(lc, databases)
	{
		if (strcmp(((DatabaseEntry *) lfirst(lc))->name, name) == 0)
			return lfirst(lc);
	}
	return NULL;
}

/*
 * Marks the databases that are to be served.
 */
static void
mark_wanted(List *databases)
{
	bool		every;
	List	   *names = du_guc_databases(&every);
	const char *main_database = du_guc_main_database();
	const char *missing = NULL;
	ListCell   *lc;

	foreach(lc, databases)
	{
		DatabaseEntry *entry = lfirst(lc);
		DatabaseRecord record;

		(void) du_records_read(entry->oid, "", &record);
		entry->is_main = strcmp(entry->name, main_database) == 0;
		entry->is_wanted = entry->allows_connections && !entry->is_invalid &&
			du_guc_means_database(entry->name, record.found.has_us && !entry->is_scratch);
	}
	foreach(lc, names)
	{
		if (missing == NULL && find_entry(databases, lfirst(lc)) == NULL)
			missing = lfirst(lc);
	}
	set_missing(missing);
}

static Served *
find_served(Oid database, const char *set)
{
	ListCell   *lc;

	foreach(lc, served)
	{
		Served	   *one = lfirst(lc);

		if (one->database == database && strcmp(one->set, set) == 0)
			return one;
	}
	return NULL;
}

/* Notes that a managed set of a database is to be served. */
static void
want_served(const DatabaseEntry *entry, const char *set)
{
	Served	   *one = find_served(entry->oid, set);
	MemoryContext context;

	if (one == NULL)
	{
		context = MemoryContextSwitchTo(TopMemoryContext);
		one = palloc0(sizeof(Served));
		one->database = entry->oid;
		strlcpy(one->set, set, sizeof(one->set));
		one->next_wait = FIRST_WAIT_MS;
		served = entry->is_main && set[0] == '\0' ? lcons(one, served) : lappend(served, one);
		MemoryContextSwitchTo(context);
	}
	one->wanted = true;
	strlcpy(one->name, entry->name, sizeof(one->name));
}

/*
 * Takes over which databases are to be served, with what is known of their
 * further main extensions.  One that is not to be served any more is forgotten
 * when its worker has ended, which it does by itself.
 */
static void
follow_databases(List *databases)
{
	int			nrecords;
	DatabaseRecord *records = du_records_list(&nrecords);
	ListCell   *lc;

	foreach(lc, served)
		((Served *) lfirst(lc))->wanted = false;
	foreach(lc, databases)
	{
		const DatabaseEntry *entry = lfirst(lc);

		if (!entry->is_wanted)
			continue;
		want_served(entry, "");
		for (int i = 0; i < nrecords; i++)
		{
			if (records[i].database == entry->oid && records[i].place > 0)
				want_served(entry, records[i].set);
		}
	}
	foreach(lc, served)
	{
		Served	   *one = lfirst(lc);

		if (one->wanted || one->worker != NULL)
			continue;
		(void) du_records_set_problem(one->database, one->set, "", "");
		pfree(one);
		served = foreach_delete_current(served, lc);
	}
}

/* How many workers may run. */
static int
most_workers(void)
{
	return du_guc_max_workers > 0 ? du_guc_max_workers : Max(1, max_worker_processes / 2);
}

static int
count_workers(void)
{
	ListCell   *lc;
	int			n = 0;

	foreach(lc, served)
		n += ((Served *) lfirst(lc))->worker != NULL ? 1 : 0;
	return n;
}

/*
 * Starts a worker; false when no process is to be had.
 */
static bool
start_worker(Served *one)
{
	BackgroundWorker process;
	MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
	bool		started;

	du_process_describe(&process, "worker", "documentdb_upgrade_worker_main");
	if (one->set[0] != '\0')
		snprintf(process.bgw_name, sizeof(process.bgw_name), "documentdb_upgrade worker of %s", one->set);
	process.bgw_main_arg = ObjectIdGetDatum(one->database);
	du_visit_prepare(&process, one->database, one->set);
	process.bgw_notify_pid = MyProcPid;
	started = RegisterDynamicBackgroundWorker(&process, &one->worker);
	MemoryContextSwitchTo(context);
	if (!started)
		one->worker = NULL;
	return started;
}

/*
 * Starts a worker if it can and may run now; else sets when to try again.  Two
 * would do everything twice, so one that an earlier launcher has started is
 * waited for.
 */
static void
try_to_start(Served *one)
{
	ClockMs		now = du_clock_ms();
	long		wait = Min(du_guc_poll_interval, LONGEST_WAIT_MS);

	if (du_shared_worker_lives(one->database, one->set))
		wait = Min(du_guc_poll_interval, FIRST_WAIT_MS);
	else if (du_shared_wanted_by_others(one->database))
		wait = LEAVING_WAIT_MS;
	else if (count_workers() >= most_workers())
	{
		set_problem(one->database, one->set, one->name,
					psprintf("The %d workers that may run serve other databases.", most_workers()),
					"Raise documentdb_upgrade.max_workers and reload; max_worker_processes, which needs a restart, must be larger by four at least.");
		wait = LONGEST_WAIT_MS;
		one->waits_for_process = true;
	}
	else if (!start_worker(one))
	{
		set_problem(one->database, one->set, one->name, "No background worker is free.",
					"Raise max_worker_processes by three and restart PostgreSQL.");
		wait = LONGEST_WAIT_MS;
		one->waits_for_process = true;
	}
	else
		one->started = now;
	one->next_start = now + wait;
}

/*
 * Has those without a worker tried again that wait for a process.
 */
static void
start_soon(void)
{
	ListCell   *lc;

	foreach(lc, served)
	{
		Served	   *one = lfirst(lc);

		if (one->waits_for_process)
			one->next_start = 0;
		one->waits_for_process = false;
	}
}

/*
 * Notes the end of a worker, and when the next one is due.
 */
static void
look_after_worker(Served *one)
{
	ClockMs		now = du_clock_ms();
	pid_t		pid;

	if (GetBackgroundWorkerPid(one->worker, &pid) != BGWH_STOPPED)
		return;
	pfree(one->worker);
	one->worker = NULL;

	start_soon();				/* there is room for another one now */

	if (now - one->started >= LONG_LIFE_MS)
		one->next_wait = FIRST_WAIT_MS;
	one->next_start = now;
	if (du_shared_restart_wanted(one->database, one->set))
		return;
	one->next_start = now + one->next_wait;
	one->next_wait = Min(one->next_wait * 2, LONGEST_WAIT_MS);
}

/*
 * Keeps the workers running.  Gives back when the next one is due, PG_INT64_MAX
 * when all run.
 */
static ClockMs
look_after_workers(void)
{
	ClockMs		next = PG_INT64_MAX;
	ListCell   *lc;

	foreach(lc, served)
	{
		Served	   *one = lfirst(lc);

		if (one->worker != NULL)
			look_after_worker(one);
	}
	foreach(lc, served)
	{
		Served	   *one = lfirst(lc);

		if (one->worker == NULL && one->wanted && du_clock_ms() >= one->next_start)
			try_to_start(one);
		if (one->worker == NULL && one->wanted)
			next = Min(next, one->next_start);
	}
	return next;
}

/*
 * True while a database that is to be served may appear without a word: on a
 * standby nobody tells.
 */
static bool
may_come_unheard(bool in_recovery)
{
	bool		every;

	(void) du_guc_databases(&every);
	return facts.problem[0] != '\0' || (every && in_recovery);
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
	du_reloads_follow(false);

	while (!ShutdownRequestPending)
	{
		List	   *databases;
		bool		seen;
		ClockMs		next;
		long		wait;

		MemoryContextReset(cycle);
		MemoryContextSwitchTo(cycle);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending || du_reloads_missed_by_launcher())
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			du_reloads_follow(true);
			start_soon();
		}
		if (in_recovery && !RecoveryInProgress())
		{
			in_recovery = false;
			du_shared_wake_workers();
		}

		du_records_begin_scan();
		seen = du_databases_try_list(&databases);
		if (seen)
		{
			mark_wanted(databases);
			du_records_follow(databases);
			follow_databases(databases);
		}
		next = look_after_workers();
		if (!seen)
			next = Min(next, du_clock_ms() + FIRST_WAIT_MS);
		else if (may_come_unheard(in_recovery))
			next = Min(next, du_clock_ms() + Min(du_guc_poll_interval, LONGEST_WAIT_MS));
		next = Min(next, du_looks_advance());
		wait = next == PG_INT64_MAX ? -1 :
			Max(du_clock_left(next), LEAVING_WAIT_MS);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
						 (wait >= 0 ? WL_TIMEOUT : 0), wait, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	proc_exit(1);
}

/*
 * Entry point of a worker; the argument is its database.
 */
void
documentdb_upgrade_worker_main(Datum main_arg)
{
	Oid			database = DatumGetObjectId(main_arg);
	void		(*loop) (void);
	const char *problem = NULL;
	const char *name;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (!du_visit_begin(database))
		proc_exit(0);			/* the launcher hears when it may */
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	du_shared_leave_other_set();

	loop = du_process_worker_function("documentdb_upgrade_worker_loop", &problem);
	if (loop == NULL)
	{
		StartTransactionCommand();
		name = get_database_name(MyDatabaseId);
		set_problem(database, du_main_selected(), name ? name : "",
					psprintf("The worker's library cannot be loaded: %s.", problem),
					psprintf("%s; the worker then starts within a minute.", du_process_library_help()));
		proc_exit(0);
	}
	set_problem(database, du_main_selected(), "", "", "");
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
