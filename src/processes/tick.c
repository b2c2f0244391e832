/*-------------------------------------------------------------------------
 *
 * tick.c
 *	  tick(): one pass of the worker's loop, asked for from SQL.
 *
 * For servers that cannot preload.  The pass runs in a background worker of
 * its own: it talks to the network, which must not happen inside the caller's
 * session, and needs a library that sessions never load.  The caller waits
 * for its end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

/* What caller and process tell each other. */
typedef struct PassMessage
{
	Oid			database;
	char		role_name[NAMEDATALEN]; /* of the caller */
	bool		done;
	char		state[NAMEDATALEN];
	char		problem[SHARED_TEXT_LENGTH];	/* why there was no pass, "" */
} PassMessage;

PGDLLEXPORT void documentdb_upgrade_pass_main(Datum main_arg);

PG_FUNCTION_INFO_V1(documentdb_upgrade_tick);

static BackgroundWorkerHandle *
start_process(dsm_segment *segment)
{
	BackgroundWorker process;
	BackgroundWorkerHandle *handle;

	du_process_describe(&process, "tick", "documentdb_upgrade_pass_main");
	process.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	process.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&process, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a background worker for the pass"),
				 errhint("Raise max_worker_processes.")));
	return handle;
}

/*
 * tick() returns text
 */
Datum
documentdb_upgrade_tick(PG_FUNCTION_ARGS)
{
	WorkerFacts worker;
	dsm_segment *segment;
	PassMessage *message;
	PassMessage result;

	if (du_shared_serving(&worker))
	{
		du_shared_ask_for_read();
		PG_RETURN_TEXT_P(cstring_to_text(worker.state));
	}

	segment = dsm_create(sizeof(PassMessage), 0);
	message = dsm_segment_address(segment);
	memset(message, 0, sizeof(PassMessage));
	message->database = MyDatabaseId;
	strlcpy(message->role_name, GetUserNameFromId(GetSessionUserId(), false),
			sizeof(message->role_name));
	(void) WaitForBackgroundWorkerShutdown(start_process(segment));
	result = *message;
	dsm_detach(segment);

	if (result.problem[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("could not load the worker's library: %s", result.problem),
				 errhint("%s.", du_process_library_help())));
	if (!result.done)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the pass ended before its time"),
				 errhint("The server log says why.")));
	PG_RETURN_TEXT_P(cstring_to_text(result.state));
}

/*
 * Entry point of the process; the argument is the segment's handle.
 */
void
documentdb_upgrade_pass_main(Datum main_arg)
{
	void		(*once) (const char *role_name, char *state, Size size);
	const char *problem = NULL;
	dsm_segment *segment;
	PassMessage *message;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "documentdb_upgrade tick");
	segment = dsm_attach(DatumGetUInt32(main_arg));
	if (segment == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not map dynamic shared memory segment")));
	dsm_pin_mapping(segment);
	message = dsm_segment_address(segment);

	BackgroundWorkerInitializeConnectionByOid(message->database, InvalidOid, 0);

	once = du_process_worker_function("documentdb_upgrade_worker_once", &problem);
	if (once == NULL)
	{
		strlcpy(message->problem, problem, sizeof(message->problem));
		proc_exit(0);
	}
	once(message->role_name, message->state, sizeof(message->state));
	message->done = true;
	proc_exit(0);
}
