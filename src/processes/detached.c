/*-------------------------------------------------------------------------
 *
 * detached.c
 *	  Runs one function of this library in a process of its own, and waits for
 *	  its answer.
 *
 * The process is connected to the same database and has used nothing there
 * yet, and it has the values that the session has of our own settings.  It
 * needs no preloading.  When the session that waits gives up, the process is
 * ended.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/shm_mq.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/base.h"

#define QUEUE_SIZE		65536
#define SETTINGS_PREFIX	"documentdb_upgrade."

/* What both tell each other. */
typedef struct DetachedMessage
{
	Oid			database;
	char		function[NAMEDATALEN];
	Size		settings_length;
	Size		order_length;
	char		data[FLEXIBLE_ARRAY_MEMBER];	/* settings, order; then the queue */
} DetachedMessage;

PGDLLEXPORT void documentdb_upgrade_detached_main(Datum main_arg);

static shm_mq *
queue_of(DetachedMessage *message)
{
	return (shm_mq *) ((char *) message +
					   MAXALIGN(offsetof(DetachedMessage, data) + message->settings_length +
								message->order_length));
}

/*
 * Pairs of name and value, each with its terminating NUL, of our settings that
 * a session can have values of its own of.
 */
static void
write_settings(StringInfo buf)
{
	int			nvariables;
	struct config_generic **variables = du_guc_variables(&nvariables);

	initStringInfo(buf);
	for (int i = 0; i < nvariables; i++)
	{
		const char *name = variables[i]->name;
		const char *value;

		/* History tells whose attempt it was. */
		if ((strncmp(name, SETTINGS_PREFIX, strlen(SETTINGS_PREFIX)) != 0 &&
			 strcmp(name, "application_name") != 0) ||
			(variables[i]->context != PGC_SUSET && variables[i]->context != PGC_USERSET))
			continue;
		value = GetConfigOption(name, false, false);
		appendBinaryStringInfo(buf, name, strlen(name) + 1);
		appendBinaryStringInfo(buf, value, strlen(value) + 1);
	}
}

static void
take_settings(const DetachedMessage *message)
{
	const char *p = message->data;

	while (p < message->data + message->settings_length)
	{
		const char *name = p;
		const char *value = name + strlen(name) + 1;
		const char *current = GetConfigOption(name, true, false);

		if (current != NULL && strcmp(current, value) != 0)
			SetConfigOption(name, value, PGC_SUSET, PGC_S_SESSION);
		p = value + strlen(value) + 1;
	}
}

static dsm_segment *
prepare_segment(const char *function, const void *order, Size length)
{
	StringInfoData settings;
	Size		size;
	dsm_segment *segment;
	DetachedMessage *message;

	write_settings(&settings);
	size = MAXALIGN(offsetof(DetachedMessage, data) + settings.len + length) + QUEUE_SIZE;
	segment = dsm_create(size, 0);
	message = dsm_segment_address(segment);
	memset(message, 0, offsetof(DetachedMessage, data));
	message->database = MyDatabaseId;
	strlcpy(message->function, function, NAMEDATALEN);
	message->settings_length = settings.len;
	message->order_length = length;
	memcpy(message->data, settings.data, settings.len);
	memcpy(message->data + settings.len, order, length);
	shm_mq_set_receiver(shm_mq_create(queue_of(message), QUEUE_SIZE), MyProc);
	return segment;
}

static BackgroundWorkerHandle *
start_process(const char *what, dsm_segment *segment)
{
	BackgroundWorker process;
	BackgroundWorkerHandle *handle;

	du_process_describe(&process, what, "documentdb_upgrade_detached_main");
	process.bgw_start_time = BgWorkerStart_RecoveryFinished;
	process.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	process.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&process, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a background worker for the %s", what),
				 errhint("Raise max_worker_processes.")));
	return handle;
}

/* What the process sends, palloc'd; NULL when it sends nothing. */
static void *
receive(dsm_segment *segment, BackgroundWorkerHandle *process, Size *length)
{
	shm_mq_handle *queue = shm_mq_attach(queue_of(dsm_segment_address(segment)), segment, process);
	void	   *data;
	void	   *answer = NULL;

	if (shm_mq_receive(queue, length, &data, false) == SHM_MQ_SUCCESS)
	{
		answer = palloc(*length);
		memcpy(answer, data, *length);
	}
	shm_mq_detach(queue);
	return answer;
}

/*
 * Has a DetachedFunction of this library run in a process of its own; what
 * names that.  Gives back its answer, palloc'd.  Raises 53400 when no process
 * can be had, and 57000 when it has ended without an answer.
 */
void *
du_detached_run(const char *what, const char *function, const void *order, Size length,
				Size *answer_length)
{
	dsm_segment *segment = prepare_segment(function, order, length);
	BackgroundWorkerHandle *process = start_process(what, segment);
	void	   *volatile answer = NULL;

	PG_TRY();
	{
		answer = receive(segment, process, answer_length);
		(void) WaitForBackgroundWorkerShutdown(process);
	}
	PG_CATCH();
	{
		TerminateBackgroundWorker(process);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dsm_detach(segment);

	if (answer == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OPERATOR_INTERVENTION),
				 errmsg("the process of the %s ended before its time", what),
				 errhint("See the server log, and look at the installed version.")));
	return answer;
}

/*
 * Entry point of the process; the argument is the segment's handle.
 */
void
documentdb_upgrade_detached_main(Datum main_arg)
{
	dsm_segment *segment;
	DetachedMessage *message;
	DetachedFunction function;
	shm_mq_handle *queue;
	void	   *answer;
	Size		length;

	/* As in an ordinary session: a shutdown ends it with an error. */
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "documentdb_upgrade detached");
	segment = dsm_attach(DatumGetUInt32(main_arg));
	if (segment == NULL)
		proc_exit(0);			/* the session has gone already */
	dsm_pin_mapping(segment);
	message = dsm_segment_address(segment);
	shm_mq_set_sender(queue_of(message), MyProc);
	queue = shm_mq_attach(queue_of(message), segment, NULL);

	BackgroundWorkerInitializeConnectionByOid(message->database, InvalidOid, 0);
	take_settings(message);
	function = (DetachedFunction) load_external_function("$libdir/documentdb_upgrade",
														 message->function, true, NULL);
	MemoryContextSwitchTo(TopMemoryContext);
	answer = function(message->data + message->settings_length, message->order_length, &length);
	(void) shm_mq_send(queue, length, answer, false, true);
	shm_mq_detach(queue);
	proc_exit(0);
}
