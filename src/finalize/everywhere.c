/*-------------------------------------------------------------------------
 *
 * everywhere.c
 *	  finalize_everywhere(): all databases of the server, one after the other.
 *
 * Each database has its own transaction in a process of its own, so what is
 * done stays done, and the first failure ends the rest: it is better to know
 * that one is broken than to break them all.  The caller's transaction changes
 * nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "extension/extension.h"
#include "processes/processes.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_finalize_everywhere);

static dsm_segment *
prepare_segment(Oid database, const char *target, bool alter_first)
{
	dsm_segment *segment = dsm_create(sizeof(EverywhereMessage), 0);
	EverywhereMessage *message = dsm_segment_address(segment);

	memset(message, 0, sizeof(EverywhereMessage));
	message->database = database;
	message->session_role = GetSessionUserId();
	message->role = GetUserId();
	message->is_superuser = superuser();
	strlcpy(message->main_extension, du_guc_extension, sizeof(message->main_extension));
	strlcpy(message->target, target != NULL ? target : "", sizeof(message->target));
	message->alter_first = alter_first;
	message->result = EVERYWHERE_LOST;
	return segment;
}

static BackgroundWorkerHandle *
start_process(dsm_segment *segment)
{
	BackgroundWorker process;
	BackgroundWorkerHandle *handle;

	du_process_describe(&process, "everywhere", "documentdb_upgrade_everywhere_main");
	process.bgw_start_time = BgWorkerStart_RecoveryFinished;
	process.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	process.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&process, &handle) ? handle : NULL;
}

/*
 * Waits for the process.  When the caller is ended instead, so is the attempt,
 * unless its commit has begun.
 */
static void
wait_for(BackgroundWorkerHandle *process, Oid database)
{
	PG_TRY();
	{
		(void) WaitForBackgroundWorkerShutdown(process);
	}
	PG_CATCH();
	{
		if (!du_shared_exists())
			TerminateBackgroundWorker(process);
		else
			(void) du_running_cancel(database, CANCELLED_BY_CALLER);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* What becomes of one database in one form of attempt. */
static EverywhereMessage
try_there(const DatabaseEntry *entry, const char *target, bool alter_first)
{
	dsm_segment *segment = prepare_segment(entry->oid, target, alter_first);
	BackgroundWorkerHandle *process;
	EverywhereMessage result;

	if (du_database_aclcheck(entry->oid, GetSessionUserId(), ACL_CONNECT) != ACLCHECK_OK)
	{
		result = *(EverywhereMessage *) dsm_segment_address(segment);
		dsm_detach(segment);
		result.result = EVERYWHERE_FAILED;
		du_shared_copy_text(result.detail, "permission denied for the database; grant CONNECT on it.");
		return result;
	}
	process = start_process(segment);
	if (process != NULL)
		wait_for(process, entry->oid);
	result = *(EverywhereMessage *) dsm_segment_address(segment);
	dsm_detach(segment);
	if (result.result != EVERYWHERE_LOST)
		return result;
	result.result = EVERYWHERE_FAILED;
	du_shared_copy_text(result.detail, process == NULL ?
						"No background worker is free; raise max_worker_processes." :
						"Its process has ended before its time; the server log says why.");
	return result;
}

/*
 * What becomes of one database.  Where a library refuses the update in a
 * process that has asked for anything before, another one begins with it.
 */
static EverywhereMessage
finalize_there(const DatabaseEntry *entry, const char *target)
{
	EverywhereMessage result = try_there(entry, target, false);

	return result.result == EVERYWHERE_TO_BEGIN_WITH_UPDATE ? try_there(entry, target, true) : result;
}

static const char *
word_for(const EverywhereMessage *message)
{
	switch (message->result)
	{
		case EVERYWHERE_SUCCEEDED:
			return strcmp(message->from_version, message->to_version) == 0 ? "unchanged" : "succeeded";
		case EVERYWHERE_SKIPPED:
			return "skipped";
		case EVERYWHERE_FAILED:
		case EVERYWHERE_LOST:
		case EVERYWHERE_TO_BEGIN_WITH_UPDATE:
			return "failed";
	}
	elog(ERROR, "unrecognized result: %d", (int) message->result);
}

static const char *
text_or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

static void
put(FunctionCallInfo fcinfo, const char *database, const EverywhereMessage *message)
{
	ResultRow	row = {0};

	du_row_add_text(&row, database);
	du_row_add_text(&row, text_or_null(message->extension));
	du_row_add_text(&row, text_or_null(message->from_version));
	du_row_add_text(&row, text_or_null(message->to_version));
	du_row_add_text(&row, word_for(message));
	du_row_add_text(&row, text_or_null(message->detail));
	du_row_put(fcinfo, &row);
}

static void
put_left(FunctionCallInfo fcinfo, const char *database, const char *failed)
{
	ResultRow	row = {0};

	du_row_add_text(&row, database);
	du_row_add_null(&row);
	du_row_add_null(&row);
	du_row_add_null(&row);
	du_row_add_text(&row, "left");
	du_row_add_text(&row, psprintf("Not tried, because database \"%s\" has failed.", failed));
	du_row_put(fcinfo, &row);
}

/* Tells how it goes while it goes. */
static void
tell(const char *database, const EverywhereMessage *message)
{
	if (message->result == EVERYWHERE_FAILED)
		ereport(WARNING,
				(errmsg("stopped at database \"%s\": %s", database, message->detail)));
	else if (message->result == EVERYWHERE_SUCCEEDED)
		ereport(NOTICE,
				(errmsg("database \"%s\": extension \"%s\" is at \"%s\"", database,
						message->extension, message->to_version)));
}

/*
 * finalize_everywhere(target text)
 */
Datum
documentdb_upgrade_finalize_everywhere(PG_FUNCTION_ARGS)
{
	char	   *target = du_version_argument(fcinfo, 0);
	const char *failed = NULL;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s() during recovery", "finalize_everywhere"),
				 errhint("Run it on the primary.")));
	foreach(lc, du_databases_list())
	{
		const DatabaseEntry *entry = lfirst(lc);
		EverywhereMessage message;

		if (!entry->connectable)
			continue;
		CHECK_FOR_INTERRUPTS();
		if (failed != NULL)
		{
			put_left(fcinfo, entry->name, failed);
			continue;
		}
		message = finalize_there(entry, target);
		if (message.result == EVERYWHERE_FAILED)
			failed = entry->name;
		tell(entry->name, &message);
		put(fcinfo, entry->name, &message);
	}
	return (Datum) 0;
}
