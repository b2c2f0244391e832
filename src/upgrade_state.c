/*-------------------------------------------------------------------------
 *
 * upgrade_state.c
 *	  The state of a primary, and what would change it.
 *
 * One pure function maps decision, guards and the outcome of the last
 * attempt to a state.  Each state comes with one sentence that says why
 * nothing happens and the exact command that would change it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "upgrade_state.h"

#include "utils/builtins.h"

static UpgradeState
state(const char *name, const char *next_step)
{
	UpgradeState s = {name, next_step};

	return s;
}

static const GuardResult *
first_failing(const GuardResults *guards)
{
	for (int i = 0; i < guards->nresults; i++)
	{
		if (guards->results[i].status == GUARD_FAIL)
			return &guards->results[i];
	}
	return NULL;
}

/* The statement that would commit the target. */
static char *
finalize_statement(const char *target)
{
	return psprintf("SELECT documentdb_upgrade.finalize_to(%s);",
					quote_literal_cstr(target));
}

/* Why a guard stops it, in one sentence with what to do. */
static const char *
clear_guard(const GuardResult *guard)
{
	return psprintf("Guard %s refuses: %s %s", guard->guard, guard->detail,
					guard->hint ? guard->hint : "");
}

/*
 * The state for a decision that wants something to run.
 */
static UpgradeState
state_of_wish(const StateInput *input)
{
	const GuardResult *failing = first_failing(input->guards);

	if (failing != NULL && strcmp(failing->guard, "hold") == 0)
		return state("held", clear_guard(failing));
	if (failing != NULL)
		return state("blocked", clear_guard(failing));
	if (input->last_error != NULL)
		return state("failed",
					 psprintf("The last attempt failed (%s); correct the cause, then run %s",
							  input->last_error, finalize_statement(input->decided.target)));
	return state("update_available",
				 psprintf("Version %s is desired and no worker runs here to follow it; run %s",
						  input->decided.target, finalize_statement(input->decided.target)));
}

/*
 * The state for an update that is announced only.
 */
static UpgradeState
state_of_announcement(const StateInput *input)
{
	const GuardResult *failing = first_failing(input->guards);

	if (failing != NULL)
		return state("update_available",
					 psprintf("An update to %s is available. %s", input->decided.target,
							  clear_guard(failing)));
	return state("update_available",
				 psprintf("An update to %s is available and no version is desired; to commit it, run %s",
						  input->decided.target, finalize_statement(input->decided.target)));
}

/*
 * State and next step.  Texts are palloc'd or constant.
 */
UpgradeState
du_state_of(const StateInput *input)
{
	const ExtensionFacts *extension = du_catalog_main(input->facts);

	if (input->in_recovery)
		return state("standby",
					 "This server is a standby and changes nothing; look at the primary.");

	switch (input->decided.decision)
	{
		case DECISION_NOT_INSTALLED:
			return state("not_installed",
						 psprintf("Extension %s is not installed in this database; run CREATE EXTENSION %s;",
								  extension->name, quote_identifier(extension->name)));
		case DECISION_SCHEMA_AHEAD:
			return state("schema_ahead",
						 psprintf("%s Bring back a binary of %s or later.",
								  input->decided.reason, extension->installed));
		case DECISION_REFUSE:
			return state("blocked",
						 psprintf("%s Correct documentdb_upgrade.desired_schema_version or the extension's files.",
								  input->decided.reason));
		case DECISION_WAIT:
			return state("waiting",
						 psprintf("%s Roll out that binary, then restart PostgreSQL.",
								  input->decided.reason));
		case DECISION_NONE:
			return state("up_to_date", "Nothing is to be done.");
		case DECISION_UPDATE_AVAILABLE:
			return state_of_announcement(input);
		case DECISION_FINALIZE:
			return state_of_wish(input);
	}
	elog(ERROR, "unrecognized decision: %d", (int) input->decided.decision);
}
