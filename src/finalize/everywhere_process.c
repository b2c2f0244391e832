/*-------------------------------------------------------------------------
 *
 * everywhere_process.c
 *	  Finalizes one database on behalf of a session that is in another.
 *
 * The process connects as the role whose session has asked, and acts as the
 * role that it acts as: what that may not do in a session of its own there, it
 * may not do here.
 * Whatever becomes of the attempt, it is in the history of its own database,
 * as if somebody had called finalize_to() there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/base.h"
#include "extension/extension.h"
#include "processes/processes.h"

PGDLLEXPORT void documentdb_upgrade_everywhere_main(Datum main_arg);

/*
 * Why nothing is to be done here, palloc'd; NULL when something may be.  Notes
 * what is here.
 */
static const char *
reason_to_skip(EverywhereMessage *message)
{
	const char *installed = du_extension_installed_version(du_main_extension(), NULL);

	strlcpy(message->extension, du_main_extension(), sizeof(message->extension));
	if (installed == NULL)
		return psprintf("Extension %s is not installed there.", du_main_extension());
	strlcpy(message->from_version, installed, sizeof(message->from_version));
	strlcpy(message->to_version, installed, sizeof(message->to_version));
	if (!OidIsValid(du_context_own_extension()))
		return "First run there: CREATE EXTENSION documentdb_upgrade;";
	if (message->target[0] != '\0' && strcmp(message->main_extension, du_main_extension()) != 0)
		return psprintf("The target is a version of %s; the main extension there is %s.",
						message->main_extension, du_main_extension());
	return NULL;
}

/* False, and the message says why, when this database is left alone. */
static bool
look_before(EverywhereMessage *message)
{
	MemoryContext context = CurrentMemoryContext;
	const char *reason;
	bool		may = true;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	reason = reason_to_skip(message);
	if (reason == NULL)
		may = du_context_may_execute(message->role, "finalize_to");
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);

	if (reason != NULL)
	{
		message->result = EVERYWHERE_SKIPPED;
		du_shared_copy_text(message->detail, reason);
	}
	else if (!may)
	{
		message->result = EVERYWHERE_FAILED;
		du_shared_copy_text(message->detail,
							"permission denied for function finalize_to; grant EXECUTE on it there.");
	}
	return reason == NULL && may;
}

/*
 * Selects the main extension that is this process's turn; false when there are
 * not so many.
 */
static bool
select_set(EverywhereMessage *message)
{
	List	   *names = du_main_extensions();

	message->nsets = list_length(names);
	if (message->place > 0 && message->place < message->nsets)
		du_main_select(list_nth(names, message->place));
	return message->place < message->nsets;
}

/* What is installed when it is over. */
static void
look_after(EverywhereMessage *message)
{
	MemoryContext context = CurrentMemoryContext;
	const char *installed;

	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	installed = du_extension_installed_version(du_main_extension(), NULL);
	strlcpy(message->to_version, installed ? installed : "", sizeof(message->to_version));
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

static void
finalize(EverywhereMessage *message)
{
	AttemptOrder order = {0};
	AttemptOutcome outcome;

	strlcpy(order.actor, "function", sizeof(order.actor));
	strlcpy(order.extension, du_main_extension(), sizeof(order.extension));
	strlcpy(order.target, message->target, sizeof(order.target));
	order.alter_first = message->alter_first;
	du_attempt_carry_out(&order, &outcome, NULL);
	look_after(message);
	if (outcome.result == ATTEMPT_SUCCEEDED)
		message->result = EVERYWHERE_SUCCEEDED;
	else if (outcome.cause == CAUSE_LIBRARY && !message->alter_first)
		message->result = EVERYWHERE_TO_BEGIN_WITH_UPDATE;
	else
		message->result = EVERYWHERE_FAILED;
	if (outcome.result != ATTEMPT_SUCCEEDED)
		du_shared_copy_text(message->detail, psprintf("%s%s%s", outcome.message,
													  outcome.detail[0] ? ": " : "", outcome.detail));
}

/*
 * Entry point of the process; the argument is the segment's handle.
 */
void
documentdb_upgrade_everywhere_main(Datum main_arg)
{
	dsm_segment *segment;
	EverywhereMessage *message;
	MemoryContext context;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "documentdb_upgrade everywhere");
	segment = dsm_attach(DatumGetUInt32(main_arg));
	if (segment == NULL)
		proc_exit(0);			/* the session has gone */
	dsm_pin_mapping(segment);
	message = dsm_segment_address(segment);

	BackgroundWorkerInitializeConnectionByOid(message->database, message->session_role, 0);
	if (message->role != message->session_role)
		SetCurrentRoleId(message->role, message->is_superuser);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
	du_attempt_pin_settings();
	context = AllocSetContextCreate(TopMemoryContext, "documentdb_upgrade everywhere",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	if (select_set(message) && look_before(message))
	{
		du_running_announce();
		finalize(message);
	}
	proc_exit(0);
}
