/*-------------------------------------------------------------------------
 *
 * database_look.c
 *	  How the extensions of a database stand, whether or not it has this one.
 *
 * What the worker of a database finds is noted for the others to see.  Where
 * none is, a process comes that connects, looks as briefly as it can, and
 * ends.  It changes nothing, waits for no lock for long, and needs nothing of
 * this extension there but its settings, which are server-wide or set for the
 * database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "status/internal.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "extension/extension.h"
#include "plan/plan.h"
#include "processes/processes.h"

#define LOCK_TIMEOUT "100ms"	/* those who want the database wait as well */

PGDLLEXPORT void documentdb_upgrade_look_main(Datum main_arg);

/* The state of a database where nothing is desired, as far as versions say. */
static const char *
state_of_versions(const DecisionResult *decided)
{
	switch (decided->decision)
	{
		case DECISION_NOT_INSTALLED:
			return "not_installed";
		case DECISION_SCHEMA_AHEAD:
			return "schema_ahead";
		case DECISION_UPDATE_AVAILABLE:
		case DECISION_FINALIZE:
			return "update_available";
		case DECISION_NONE:
			return "up_to_date";
		case DECISION_REFUSE:
		case DECISION_WAIT:
			return "blocked";
	}
	elog(ERROR, "unrecognized decision: %d", (int) decided->decision);
}

static void
compose(DatabaseFindings *findings, const ExtensionFacts *extension, const DecisionResult *undesired)
{
	memset(findings, 0, sizeof(DatabaseFindings));
	findings->has_us = OidIsValid(du_context_own_extension());
	strlcpy(findings->extension, extension->name, sizeof(findings->extension));
	if (extension->installed != NULL)
		strlcpy(findings->installed, extension->installed, sizeof(findings->installed));
	if (extension->binary != NULL)
		strlcpy(findings->binary, extension->binary, sizeof(findings->binary));
	if (undesired->target != NULL)
		strlcpy(findings->target, undesired->target, sizeof(findings->target));
	strlcpy(findings->state, state_of_versions(undesired), sizeof(findings->state));
	findings->behind = undesired->decision == DECISION_UPDATE_AVAILABLE ||
		undesired->decision == DECISION_SCHEMA_AHEAD;
}

/*
 * Looks at this process's database.  SPI must be connected, and the search
 * path be pinned.
 */
void
du_look_here(DatabaseFindings *findings)
{
	UpgradeFacts *facts = du_managed_gather();
	const ExtensionFacts *extension = du_managed_main(facts);
	DecisionInput input = {0};
	DecisionResult decided;

	input.installed = extension->installed;
	input.binary = extension->binary;
	input.limit = extension->limit;
	input.behind = du_plan_make(facts, NULL)->behind;
	decided = du_decide(&input);
	compose(findings, extension, &decided);
}

/*
 * Notes what a worker has found in its database.  The state of a standby says
 * what it is; here its versions matter.
 */
void
du_look_note(const Assessment *assessment)
{
	DecisionResult undesired = du_assessment_decide_undesired(assessment);
	DatabaseFindings findings;

	if (du_main_selected()[0] == '\0')
		du_records_name_sets();
	compose(&findings, du_assessment_main(assessment), &undesired);
	if (!assessment->in_recovery)
	{
		strlcpy(findings.state, assessment->state.state, sizeof(findings.state));
		strlcpy(findings.target, assessment->decided.target ? assessment->decided.target : "",
				sizeof(findings.target));
	}
	du_records_note(&findings, NULL);
}

/* Looks and notes for one managed set. */
static void
look_and_note(void *arg)
{
	DatabaseFindings findings;

	du_look_here(&findings);
	du_records_note(&findings, NULL);
}

/*
 * Notes how a database stands that does not have this extension.  To be called
 * in a transaction of a process of ours.
 */
void
du_look_note_bare(void)
{
	MemoryContext context = CurrentMemoryContext;

	SPI_connect();
	MemoryContextSwitchTo(context);
	du_records_name_sets();
	du_main_run_each(look_and_note, NULL);
	SPI_finish();
	MemoryContextSwitchTo(context);
}

/* The look of a process that has come for it. */
static void
look(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	pgstat_report_activity(STATE_RUNNING, "looking at the extensions of this database");
	PushActiveSnapshot(GetTransactionSnapshot());
	du_look_note_bare();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * Entry point of that process; the argument is the database.
 */
void
documentdb_upgrade_look_main(Datum main_arg)
{
	Oid			database = DatumGetObjectId(main_arg);
	MemoryContext context;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (!du_visit_begin(database))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);

	context = AllocSetContextCreate(TopMemoryContext, "documentdb_upgrade look", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		look();
	}
	PG_CATCH();
	{
		/* What is wrong there is shown, and not logged at every look. */
		MemoryContextSwitchTo(context);
		du_records_note(NULL, CopyErrorData()->message);
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	proc_exit(0);
}
