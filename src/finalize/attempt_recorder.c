/*-------------------------------------------------------------------------
 *
 * attempt_recorder.c
 *	  Records attempts whose own transaction does not survive.
 *
 * An attempt that fails takes its history row with it, and so does one that
 * succeeds in a transaction that its caller rolls back.  The record then
 * goes, in dynamic shared memory, to a short-lived background worker that
 * stores it in a transaction of its own.  This works without preloading.
 * Where no worker can be had, or too many are asked for at once, the record
 * becomes one line in the server log.
 *
 * While an attempt runs, a record for the case that the whole session ends is
 * kept ready in the same way.
 *
 * A successful finalize also gets its commit forced to be synchronous here,
 * just before the commit: a setting made inside a function could be undone
 * by then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/base.h"
#include "processes/processes.h"

#define LONGEST_WAIT_MS		1000
#define LONGEST_LOCK_WAIT_MS	500 /* the caller may wait as well */
#define RECORDER_LOCK_MS	"100ms"
#define BURST				5	/* workers that may be started at once */
#define NO_SHARED_MEMORY	"no dynamic shared memory is free"

typedef struct RecordMessage
{
	Oid			database;
	char		json[FLEXIBLE_ARRAY_MEMBER];
} RecordMessage;

/* A record that is stored if its (sub)transaction aborts. */
typedef struct PendingRecord
{
	struct PendingRecord *next;
	SubTransactionId subid;
	dsm_segment *segment;		/* NULL when there was no memory for one */
	char	   *json;			/* in that case only */
} PendingRecord;

static PendingRecord *pending = NULL;
static bool callbacks_registered = false;

PGDLLEXPORT void documentdb_upgrade_recorder_main(Datum main_arg);

static void
log_record(const char *json, const char *why)
{
	ereport(LOG,
			(errmsg("could not record an upgrade attempt in history: %s", why),
			 errdetail_internal("The record is %s", json)));
}

typedef struct SegmentRequest
{
	const char *json;
	dsm_segment *segment;		/* NULL when there was none to be had */
} SegmentRequest;

static void
fill_segment(void *arg)
{
	SegmentRequest *request = arg;
	Size		size = offsetof(RecordMessage, json) + strlen(request->json) + 1;
	dsm_segment *segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	RecordMessage *message;

	if (segment == NULL)
		return;
	dsm_pin_mapping(segment);
	message = dsm_segment_address(segment);
	message->database = MyDatabaseId;
	strcpy(message->json, request->json);
	request->segment = segment;
}

/*
 * A message in a segment of its own, mapped until it is detached; NULL when
 * there is no shared memory left for it.  A full /dev/shm raises, hence the
 * subtransaction.
 */
static dsm_segment *
create_segment(const char *json)
{
	SegmentRequest request = {json, NULL};

	if (du_subtransaction_run(fill_segment, &request, SUBTRANSACTION_KEEP) != NULL)
		return NULL;
	return request.segment;
}

/*
 * True when another worker may be started: a burst of five, then one a
 * second.
 */
static bool
take_token(void)
{
	static double tokens = BURST;
	static ClockMs last = 0;
	ClockMs		now = du_clock_ms();

	if (last != 0)
		tokens = Min(BURST, tokens + (now - last) / 1000.0);
	last = now;
	if (tokens < 1)
		return false;
	tokens -= 1;
	return true;
}

/*
 * Starts the worker for a segment; NULL when none can be had.  The segment
 * stays until the worker has taken it over.
 */
static BackgroundWorkerHandle *
start_worker(dsm_segment *segment)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	du_process_describe(&worker, "recorder", "documentdb_upgrade_recorder_main");
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	worker.bgw_notify_pid = MyProcPid;

	dsm_pin_segment(segment);
	if (RegisterDynamicBackgroundWorker(&worker, &handle))
		return handle;
	dsm_unpin_segment(dsm_segment_handle(segment));
	return NULL;
}

/*
 * Hands a segment to a worker, or writes it to the log.  Detaches it.
 */
static BackgroundWorkerHandle *
submit(dsm_segment *segment)
{
	RecordMessage *message = dsm_segment_address(segment);
	BackgroundWorkerHandle *handle = NULL;

	if (!take_token())
		log_record(message->json, "too many attempts in a short time");
	else
	{
		handle = start_worker(segment);
		if (handle == NULL)
			log_record(message->json, "no background worker is free");
	}
	dsm_detach(segment);
	return handle;
}

/*
 * Waits until the worker has ended, one second at the most.
 */
static void
wait_for_worker(BackgroundWorkerHandle *handle)
{
	ClockMs		end = du_clock_ms() + LONGEST_WAIT_MS;

	for (;;)
	{
		pid_t		pid;
		long		left;

		ResetLatch(MyLatch);
		if (GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED)
			break;
		left = du_clock_left(end);
		if (left <= 0)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 left, WAIT_EVENT_BGWORKER_SHUTDOWN);
	}
	SetLatch(MyLatch);
}

/*
 * Stores a record now, whatever becomes of the current transaction; waits
 * for it one second at the most.  The caller must not be in an aborted
 * (sub)transaction and should hold no strong locks.
 */
void
du_recorder_record_now(const char *json)
{
	dsm_segment *segment = create_segment(json);
	BackgroundWorkerHandle *handle;

	if (segment == NULL)
	{
		log_record(json, NO_SHARED_MEMORY);
		return;
	}
	handle = submit(segment);
	if (handle != NULL)
		wait_for_worker(handle);
}

/*
 * Makes the commit wait for the disk and for synchronous standbys, whatever
 * the session has set.
 */
static void
force_synchronous_commit(void)
{
	ForceSyncCommit();
	if (synchronous_commit < SYNCHRONOUS_COMMIT_REMOTE_FLUSH)
		(void) set_config_option("synchronous_commit", "on",
								 PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
}

/* Takes the head of the list off, submitted or dropped. */
static void
resolve_first(bool aborted)
{
	PendingRecord *first = pending;

	pending = first->next;
	if (first->segment == NULL)
	{
		if (aborted)
			log_record(first->json, NO_SHARED_MEMORY);
		pfree(first->json);
	}
	else if (aborted)
		(void) submit(first->segment);
	else
		dsm_detach(first->segment);
	pfree(first);
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (pending != NULL)
				force_synchronous_commit();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			/* How a prepared transaction ends is for another session to say. */
			while (pending != NULL)
				resolve_first(event == XACT_EVENT_ABORT);
			break;
		default:
			break;
	}
}

/*
 * The newest records are at the head, and those of a subtransaction that
 * ends are newer than its parent's.
 */
static void
at_subtransaction_event(SubXactEvent event, SubTransactionId subid,
						SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (pending != NULL && pending->subid == subid)
			resolve_first(true);
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (PendingRecord *record = pending; record != NULL; record = record->next)
		{
			if (record->subid == subid)
				record->subid = parent;
		}
	}
}

/*
 * Stores a record if the current (sub)transaction is rolled back, and makes
 * its commit a synchronous one if not.
 */
void
du_recorder_record_on_abort(const char *json)
{
	PendingRecord *record;
	dsm_segment *segment = create_segment(json);

	if (!callbacks_registered)
	{
		RegisterXactCallback(at_transaction_event, NULL);
		RegisterSubXactCallback(at_subtransaction_event, NULL);
		callbacks_registered = true;
	}

	record = MemoryContextAllocZero(TopMemoryContext, sizeof(PendingRecord));
	record->subid = GetCurrentSubTransactionId();
	record->segment = segment;
	if (segment == NULL)
		record->json = MemoryContextStrdup(TopMemoryContext, json);
	record->next = pending;
	pending = record;
}

/*
 * Drops the newest record that was left for an abort.
 */
void
du_recorder_forget_newest(void)
{
	if (pending != NULL)
		resolve_first(false);
}

/*
 * Drops it and gives back what it was, palloc'd; NULL when there was none.
 * Needs no transaction.
 */
char *
du_recorder_take_newest(void)
{
	char	   *json;

	if (pending == NULL)
		return NULL;
	json = pstrdup(pending->segment == NULL ? pending->json :
				   ((RecordMessage *) dsm_segment_address(pending->segment))->json);
	resolve_first(false);
	return json;
}

/*
 * Stores one record in a transaction of its own.  May raise.
 */
static void
store(const char *json)
{
	ExecutionContext context;

	SetCurrentStatementStartTimestamp();
	SetConfigOption("lock_timeout", RECORDER_LOCK_MS, PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);

	/* A missing synchronous standby must not pile up recorders. */
	SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);

	StartTransactionCommand();
	pgstat_report_activity(STATE_RUNNING, "recording an upgrade attempt");
	(void) du_own_relations_lock(LONGEST_LOCK_WAIT_MS);
	PushActiveSnapshot(GetTransactionSnapshot());

	du_context_enter(&context);
	SPI_connect();
	du_history_insert_or_repeat(json);
	SPI_finish();
	du_context_leave(&context);

	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * Stores a record, or writes it to the log when that fails: this process
 * exists for the record, and its own troubles must not lose it.
 */
static void
store_or_log(const RecordMessage *message)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		store(message->json);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		log_record(message->json, edata->message);
	}
	PG_END_TRY();
}

/* A process that is ended must not take the record with it. */
static void
at_exit(int code, Datum arg)
{
	const RecordMessage *message = (const RecordMessage *) DatumGetPointer(arg);

	if (code != 0)
		log_record(message->json, "the background worker was ended");
}

/* True when this extension is installed, as others see it by now. */
static bool
is_installed(void)
{
	bool		installed;

	StartTransactionCommand();
	installed = OidIsValid(du_context_own_extension());
	CommitTransactionCommand();
	return installed;
}

/*
 * Entry point of the worker; the argument is the segment's handle.
 */
void
documentdb_upgrade_recorder_main(Datum main_arg)
{
	dsm_handle	handle = DatumGetUInt32(main_arg);
	dsm_segment *segment;
	RecordMessage *message;
	Size		size;

	/*
	 * The handler that background workers begin with ends them from within
	 * the signal, which in the middle of a commit takes the server down.
	 */
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "documentdb_upgrade recorder");
	segment = dsm_attach(handle);
	if (segment == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not map dynamic shared memory segment")));
	size = dsm_segment_map_length(segment);
	message = MemoryContextAlloc(TopMemoryContext, size);
	memcpy(message, dsm_segment_address(segment), size);
	dsm_unpin_segment(handle);
	dsm_detach(segment);
	before_shmem_exit(at_exit, PointerGetDatum(message));

	BackgroundWorkerInitializeConnectionByOid(message->database, InvalidOid, 0);

	if (is_installed())
		store_or_log(message);
	else
		log_record(message->json, "extension \"documentdb_upgrade\" is not installed in this database");

	proc_exit(0);
}
