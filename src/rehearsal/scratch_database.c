/*-------------------------------------------------------------------------
 *
 * scratch_database.c
 *	  A throw-away database, in which one function runs.
 *
 * A database cannot be made inside a transaction, so a background worker, the
 * keeper, makes it, has another work in it, and drops it, however that has
 * ended.  One that a crash has left behind is dropped by the next keeper: its
 * name tells the keeper that it belonged to.
 *
 * A name alone says nothing, because anybody with CREATEDB can choose it.  So
 * a keeper knows its own database by OID, and whatever is to be dropped is
 * locked first and then looked at: whose it is, and whether it has the mark.
 *
 * The session that asks waits for the keeper.  When it gives up or goes away,
 * the keeper sees that, ends the process in the database, and cleans up all
 * the same.  It does so too when it is told to end itself: until the database
 * is gone it answers SIGTERM in its own time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "storage/shm_mq.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "processes/processes.h"

#define NAME_PREFIX		SCRATCH_PREFIX
#define QUEUE_SIZE		65536
#define LONGEST_PROBLEM 1024
#define LOOK_INTERVAL_MS 100	/* at whether the session still waits */

/* What session, keeper and the process in the database tell each other. */
typedef struct ScratchMessage
{
	Oid			database;		/* of the session */
	volatile bool abandoned;	/* the session waits no longer */
	Oid			made;			/* the throw-away database */
	char		function[NAMEDATALEN];	/* that is to run in it */
	int			sqlstate;		/* of the problem, or 0 */
	char		problem[LONGEST_PROBLEM];	/* why it did not come to that, "" */
	Size		order_length;
	char		order[FLEXIBLE_ARRAY_MEMBER];	/* then the queue */
} ScratchMessage;

/* Serves in the database: an order in, a text out. */
typedef char *(*ScratchFunction) (const char *order, Size length);

PGDLLEXPORT void documentdb_upgrade_scratch_keeper_main(Datum main_arg);
PGDLLEXPORT void documentdb_upgrade_scratch_main(Datum main_arg);

static shm_mq *
queue_of(ScratchMessage *message)
{
	return (shm_mq *) ((char *) message +
					   MAXALIGN(offsetof(ScratchMessage, order) + message->order_length));
}

static BackgroundWorkerHandle *
start_process(const char *what, const char *function, dsm_segment *segment)
{
	BackgroundWorker process;
	BackgroundWorkerHandle *handle;

	du_process_describe(&process, what, function);
	process.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	process.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&process, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a background worker for the throw-away database"),
				 errhint("Raise max_worker_processes; two are needed.")));
	return handle;
}

/* What the process in the database sends; NULL when it sends nothing. */
static char *
receive(ScratchMessage *message, dsm_segment *segment, BackgroundWorkerHandle *keeper)
{
	shm_mq_handle *queue = shm_mq_attach(queue_of(message), segment, keeper);
	Size		length;
	void	   *data;
	char	   *answer = NULL;

	if (shm_mq_receive(queue, &length, &data, false) == SHM_MQ_SUCCESS)
		answer = pnstrdup(data, length);
	shm_mq_detach(queue);
	return answer;
}

/* The session lets go of the segment, whatever has made it do so. */
static void
abandon(dsm_segment *segment, Datum arg)
{
	((ScratchMessage *) DatumGetPointer(arg))->abandoned = true;
}

/* A segment with an order in it, and a queue for the answer. */
static dsm_segment *
prepare_segment(const char *function, const StringInfoData *order)
{
	Size		size = MAXALIGN(offsetof(ScratchMessage, order) + order->len) + QUEUE_SIZE;
	dsm_segment *segment = dsm_create(size, 0);
	ScratchMessage *message = dsm_segment_address(segment);

	memset(message, 0, offsetof(ScratchMessage, order));
	message->database = MyDatabaseId;
	strlcpy(message->function, function, NAMEDATALEN);
	message->order_length = order->len;
	memcpy(message->order, order->data, order->len);
	shm_mq_set_receiver(shm_mq_create(queue_of(message), QUEUE_SIZE), MyProc);
	on_dsm_detach(segment, abandon, PointerGetDatum(message));
	return segment;
}

/* A lack of resources is one; everything else means that it cannot be done. */
static void
raise_problem(int sqlstate, const char *problem)
{
	bool		lacking = ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_INSUFFICIENT_RESOURCES;

	if (problem[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OPERATOR_INTERVENTION),
				 errmsg("could not rehearse in a throw-away database: its process ended before its time"),
				 errhint("Try again, or see the server log.")));
	ereport(ERROR,
			(errcode(lacking ? sqlstate : ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot rehearse in a throw-away database: %s", problem),
			 errhint("Rehearse in place: it takes the real locks for a moment.")));
}

/*
 * Has a function of this library run in a throw-away database, in one
 * transaction that is never committed, and gives back what it returns,
 * palloc'd.  It takes the order and its length.  Raises 0A000 with what it
 * has raised, codes of class 53 when there are no processes or no room for
 * it, and 57000 when somebody has ended it.
 */
char *
du_scratch_run(const char *function, const StringInfoData *order)
{
	dsm_segment *segment = prepare_segment(function, order);
	ScratchMessage *message = dsm_segment_address(segment);
	BackgroundWorkerHandle *keeper;
	char	   *answer;
	int			sqlstate;
	char	   *problem;

	keeper = start_process("scratch keeper", "documentdb_upgrade_scratch_keeper_main", segment);
	answer = receive(message, segment, keeper);
	(void) WaitForBackgroundWorkerShutdown(keeper);
	sqlstate = message->sqlstate;
	problem = pstrdup(message->problem);
	dsm_detach(segment);

	if (answer == NULL)
		raise_problem(sqlstate, problem);
	return answer;
}

/* Attaches to what the session has prepared. */
static ScratchMessage *
attach(Datum main_arg, dsm_segment **segment)
{
	BackgroundWorkerUnblockSignals();

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "documentdb_upgrade scratch");
	*segment = dsm_attach(DatumGetUInt32(main_arg));
	if (*segment == NULL)
		proc_exit(0);			/* the session has gone already */
	dsm_pin_mapping(*segment);
	return dsm_segment_address(*segment);
}

/* Notes an error as a value. */
static void
note_problem(ScratchMessage *message)
{
	ErrorData  *error;

	MemoryContextSwitchTo(TopMemoryContext);
	error = CopyErrorData();
	FlushErrorState();
	message->sqlstate = error->sqlerrcode;
	snprintf(message->problem, LONGEST_PROBLEM, "%s%s%s", error->message,
			 error->detail ? ". " : "", error->detail ? error->detail : "");
	AbortCurrentTransaction();
}

/*
 * True for what a keeper makes: the name, the owner, and the mark, which is
 * that nobody can connect; one half dropped has -2 there.
 */
static bool
is_ours(const FormData_pg_database *database)
{
	return strncmp(NameStr(database->datname), NAME_PREFIX, strlen(NAME_PREFIX)) == 0 &&
		database->datdba == BOOTSTRAP_SUPERUSERID &&
		database->datconnlimit <= 0 && database->datconnlimit != -1;
}

/* The name of a database that can be dropped; NULL when it cannot, or has gone. */
static char *
name_of_ours(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	char	   *name = NULL;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	if (is_ours((Form_pg_database) GETSTRUCT(tuple)))
		name = pstrdup(NameStr(((Form_pg_database) GETSTRUCT(tuple))->datname));
	ReleaseSysCache(tuple);
	return name;
}

/*
 * Drops a database, if it is ours.  The lock is the one of DROP and RENAME
 * DATABASE, so the name stays that of this database.
 */
static void
drop_database(Oid database)
{
	char	   *name;

	StartTransactionCommand();
	LockSharedObject(DatabaseRelationId, database, 0, AccessExclusiveLock);
	name = name_of_ours(database);
	if (name != NULL)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		dropdb(name, true, true);
		PopActiveSnapshot();
	}
	CommitTransactionCommand();
}

/* Drops what a keeper with the same process ID has left behind. */
static void
make_room(const char *name)
{
	Oid			database;

	StartTransactionCommand();
	database = get_database_oid(name, true);
	CommitTransactionCommand();
	if (OidIsValid(database))
		drop_database(database);
}

static Oid
make_database(const char *name)
{
	CreatedbStmt *statement = makeNode(CreatedbStmt);
	ParseState *pstate = make_parsestate(NULL);
	Oid			made;

	statement->dbname = pstrdup(name);
	statement->options = list_make2(makeDefElem("template", (Node *) makeString("template0"), -1),
									makeDefElem("connection_limit", (Node *) makeInteger(0), -1));
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	made = createdb(pstate, statement);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return made;
}

/* True when the keeper that has made a database has ended. */
static bool
is_abandoned(const FormData_pg_database *database)
{
	int			pid;

	if (!is_ours(database))
		return false;
	pid = atoi(NameStr(database->datname) + strlen(NAME_PREFIX));
	return pid > 0 && BackendPidGetProc(pid) == NULL;
}

/* The databases that crashes have left behind. */
static List *
find_abandoned(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		if (is_abandoned(database))
		{
			MemoryContext context = MemoryContextSwitchTo(caller);

			databases = lappend_oid(databases, database->oid);
			MemoryContextSwitchTo(context);
			ereport(LOG,
					(errmsg("dropping database \"%s\", which a crash has left behind",
							NameStr(database->datname))));
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return databases;
}

static void
drop_abandoned(void)
{
	ListCell   *lc;

	foreach(lc, find_abandoned())
		drop_database(lfirst_oid(lc));
}

/* Has the function run, and waits for its end, or brings it about. */
static void
run_process(ScratchMessage *message, dsm_segment *segment)
{
	BackgroundWorkerHandle *process =
	start_process("scratch", "documentdb_upgrade_scratch_main", segment);
	bool		ending = false;
	pid_t		pid;

	while (GetBackgroundWorkerPid(process, &pid) != BGWH_STOPPED)
	{
		if (!ending && (message->abandoned || ShutdownRequestPending))
		{
			TerminateBackgroundWorker(process);
			ending = true;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOOK_INTERVAL_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Entry point of the keeper; the argument is the segment's handle.
 */
void
documentdb_upgrade_scratch_keeper_main(Datum main_arg)
{
	dsm_segment *segment;
	ScratchMessage *message;
	MemoryContext context;

	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	message = attach(main_arg, &segment);
	BackgroundWorkerInitializeConnectionByOid(message->database, InvalidOid, 0);
	context = AllocSetContextCreate(TopMemoryContext, "documentdb_upgrade scratch", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	PG_TRY();
	{
		const char *name = psprintf(NAME_PREFIX "%d", MyProcPid);

		drop_abandoned();
		make_room(name);
		MemoryContextSwitchTo(context);
		message->made = make_database(name);
		MemoryContextSwitchTo(context);
		run_process(message, segment);
	}
	PG_CATCH();
	{
		note_problem(message);
	}
	PG_END_TRY();

	/* An immediate shutdown leaves it to the next keeper. */
	if (OidIsValid(message->made))
		drop_database(message->made);
	proc_exit(0);
}

/*
 * Entry point of the process in the database.
 */
void
documentdb_upgrade_scratch_main(Datum main_arg)
{
	dsm_segment *segment;
	ScratchMessage *message;
	ScratchFunction function;
	shm_mq_handle *queue;

	pqsignal(SIGTERM, die);
	message = attach(main_arg, &segment);
	shm_mq_set_sender(queue_of(message), MyProc);
	queue = shm_mq_attach(queue_of(message), segment, NULL);
	BackgroundWorkerInitializeConnectionByOid(message->made, InvalidOid, 0);
	function = (ScratchFunction) load_external_function("$libdir/documentdb_upgrade", message->function,
														true, NULL);

	PG_TRY();
	{
		char	   *answer;

		/* Whatever this server's defaults are. */
		StartTransactionCommand();
		XactIsoLevel = XACT_READ_COMMITTED;
		XactReadOnly = false;
		PushActiveSnapshot(GetTransactionSnapshot());
		pgstat_report_activity(STATE_RUNNING, "rehearsing in a throw-away database");
		answer = function(message->order, message->order_length);
		(void) shm_mq_send(queue, strlen(answer), answer, false, true);
		PopActiveSnapshot();
		AbortCurrentTransaction();
	}
	PG_CATCH();
	{
		note_problem(message);
	}
	PG_END_TRY();
	shm_mq_detach(queue);
	proc_exit(0);
}
