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

#include "status/internal.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "extension/extension.h"
#include "guards/guards.h"
#include "plan/plan.h"

static UpgradeState
state(const char *name, const char *next_step)
{
	UpgradeState s = {name, next_step};

	return s;
}

static const GuardResult *
first_failing(const GuardResults *guards)
{
	for (int i = 0; guards != NULL && i < guards->nresults; i++)
	{
		if (guards->results[i].status == GUARD_FAIL)
			return &guards->results[i];
	}
	return NULL;
}

/*
 * True when the version in force is known and is another than the installed
 * one.
 */
bool
du_state_gate_is_stale(const char *installed, const char *gate)
{
	ExtensionVersion in_force;
	ExtensionVersion version;
	const char *reason;

	return installed != NULL && gate != NULL &&
		du_version_parse(gate, &in_force, &reason) &&
		du_version_parse(installed, &version, &reason) &&
		du_version_compare(&in_force, &version) != 0;
}

/* The statement that would commit the target. */
static char *
finalize_statement(const StateInput *input)
{
	return du_plan_finalize_statement(input->decided.target, NULL, input->by_procedure);
}

/*
 * How to have the target committed, in a clause: where the desired version is
 * read from a resource, that is where to ask for it.
 */
static char *
way_to_commit(const StateInput *input)
{
	ExtensionVersion version;
	const char *reason;
	const char *wish = input->worker.wish;
	StringInfoData buf;

	if (wish == NULL || !du_version_parse(input->decided.target, &version, &reason))
		return psprintf("run %s", finalize_statement(input));
	initStringInfo(&buf);
	for (const char *rest; (rest = strstr(wish, WISH_VERSION)) != NULL; wish = rest + strlen(WISH_VERSION))
	{
		appendBinaryStringInfo(&buf, wish, rest - wish);
		appendStringInfoString(&buf, du_version_to_semver(&version));
	}
	appendStringInfoString(&buf, wish);
	return buf.data;
}

/* Why a guard stops it, in one sentence with what to do. */
static const char *
clear_guard(const GuardResult *guard)
{
	return psprintf("Guard %s refuses: %s %s", guard->guard, guard->detail,
					guard->hint ? guard->hint : "");
}

/*
 * What companions have to do where the main extension has nothing to: a clause
 * to go on from; NULL where it has.
 */
static const char *
companions_alone(const StateInput *input)
{
	const char *installed = du_managed_main(input->facts)->installed;

	if (input->plan->behind == NULL || strcmp(input->decided.target, installed) != 0)
		return NULL;
	return psprintf("Version %s is installed and a companion is behind: %s", installed,
					input->plan->behind);
}

/*
 * The state for a wish that nothing stands in the way of, where no worker
 * follows it.
 */
static UpgradeState
state_without_worker(const StateInput *input)
{
	const char *statement = finalize_statement(input);
	const char *companions = companions_alone(input);

	if (input->last_error != NULL)
		return state("failed",
					 psprintf("The last attempt failed (%s); correct the cause, then run %s",
							  input->last_error, statement));
	return state("update_available",
				 companions ?
				 psprintf("%s. No worker runs here to bring it along: %s; run %s", companions,
						  input->worker.absent_because, statement) :
				 psprintf("Version %s is desired and no worker runs here to follow it: %s; run %s",
						  input->decided.target, input->worker.absent_because, statement));
}

/*
 * The same where a worker does.
 */
static UpgradeState
state_with_worker(const StateInput *input)
{
	const WorkerView *worker = &input->worker;
	const char *error = input->last_error ? input->last_error : "cancelled";
	const char *companions = companions_alone(input);

	if (worker->gave_up)
		return state("failed",
					 psprintf("The last attempt failed (%s) and is not repeated by itself; correct the cause, then run SELECT documentdb_upgrade.retry(%s);",
							  error, du_main_argument(true)));
	if (worker->next_retry != 0)
		return state("pending",
					 psprintf("The worker tries again at %s after %s (%s); to try now, run SELECT documentdb_upgrade.retry(%s);",
							  du_time_words(worker->next_retry),
							  du_count_words(worker->failures, "failure", "failures"), error, du_main_argument(true)));
	return state("pending",
				 psprintf("%s; to stop it, run SELECT documentdb_upgrade.hold('reason');",
						  companions ? psprintf("%s. The worker is about to bring it along", companions) :
						  psprintf("The worker is about to finalize to %s", input->decided.target)));
}

static UpgradeState
state_of_running(const StateInput *input)
{
	const WorkerView *worker = &input->worker;

	if (worker->commits && input->missing_synchronous != NULL)
		return state("finalizing",
					 psprintf("An attempt commits and waits for synchronous standbys: %s Bring them back, or change synchronous_standby_names and reload; its schema is on this server already and cannot be taken back.",
							  input->missing_synchronous));
	if (worker->commits)
		return state("finalizing", "An attempt commits; it cannot be ended any more.");
	return state("finalizing",
				 psprintf("An attempt %s; to end it before its commit, run %s",
						  worker->step == 0 ? "has begun and runs no script yet" :
						  psprintf("runs step %d of %d", worker->step, worker->nsteps),
						  worker->attempt_of_session == 0 ? "SELECT documentdb_upgrade.cancel();" :
						  psprintf("SELECT pg_cancel_backend(%d);", worker->attempt_of_session)));
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
	return input->worker.present ? state_with_worker(input) : state_without_worker(input);
}

/*
 * The state for a desired version that this binary does not offer.
 */
static UpgradeState
state_of_wait(const StateInput *input)
{
	const char *spec_binary = input->worker.spec_binary;
	ExtensionVersion version;
	const char *reason;

	if (spec_binary == NULL)
		return state("waiting",
					 psprintf("%s Roll out that binary, then restart PostgreSQL.",
							  input->decided.reason));
	if (!du_version_parse(spec_binary, &version, &reason))
		return state("waiting",
					 psprintf("%s The custom resource names \"%s\" as its image version, which cannot be compared: make sure that it is the newer binary, and wait for its rollout to reach this instance.",
							  input->decided.reason, spec_binary));
	return state("waiting",
				 psprintf("%s The custom resource names image version %s: wait for its rollout to reach this instance, or raise it.",
						  input->decided.reason, spec_binary));
}

/* That nothing is to be done, and what remains to be said of the files. */
static const char *
nothing_to_do(const StateInput *input)
{
	const ExtensionFacts *extension = du_managed_main(input->facts);
	ExtensionVersion installed;
	ExtensionVersion binary;
	ExtensionVersion limit;
	const char *reason;

	if (extension->odds == NULL ||
		!du_version_parse(extension->installed, &installed, &reason) ||
		!du_version_parse(extension->binary, &binary, &reason) ||
		!du_version_parse(extension->limit, &limit, &reason) ||
		du_version_compare(&limit, &binary) == 0)
		return "Nothing is to be done.";
	if (du_version_compare(&installed, &binary) > 0)
		return psprintf("Nothing is to be done, but files contradict each other. %s Correct the control file; or, if an older binary has taken the place of a newer one, bring that one back.",
						extension->odds);
	return psprintf("Nothing is to be done, but files contradict each other. %s Correct the control file, or ask for that version by its name: %s",
					extension->odds, du_plan_finalize_statement(extension->limit, NULL, input->by_procedure));
}

/*
 * The state of a schema that is what is asked for.  It may not be in force
 * yet: an extension that gates features on a copy of the version may not have
 * taken this one up, the server may run the library of before, or a standby may
 * not have got there.
 */
static UpgradeState
state_of_done(const StateInput *input)
{
	const char *installed = du_managed_main(input->facts)->installed;

	if (du_state_gate_is_stale(installed, input->gate))
		return state("verifying",
					 psprintf("The schema is at %s and the version in force is %s; wait until the library has taken it up.",
							  installed, input->gate));
	if (input->libraries != NULL && input->libraries->state == LIBRARY_STALE)
		return state("verifying",
					 psprintf("The schema is at %s, but it is not served by the library that was made for it: %s %s",
							  installed, input->libraries->detail, input->libraries->hint));
	if (input->libraries != NULL && input->libraries->missing != NULL)
		return state("verifying",
					 psprintf("The schema is at %s. %s %s", installed, input->libraries->missing,
							  LIBRARY_MISSING_HINT));
	if (input->straggler != NULL)
		return state("verifying",
					 psprintf("The schema is at %s. %s", installed, input->straggler));
	if (input->others_behind != NULL)
		return state("up_to_date", psprintf("%s %s", nothing_to_do(input), input->others_behind));
	return state("up_to_date", nothing_to_do(input));
}

/* True when it is not known what is desired. */
static bool
is_unread(const WorkerView *worker)
{
	return worker->present ? !worker->source_ok : worker->unread_source != NULL;
}

/* The state while the desired version cannot be read. */
static UpgradeState
state_of_source(const StateInput *input)
{
	const WorkerView *worker = &input->worker;

	if (!worker->present)
		return state("waiting",
					 psprintf("What source \"%s\" desires is not known, because no worker runs here to read it: %s; for a single pass, run SELECT documentdb_upgrade.tick();",
							  worker->unread_source, worker->absent_because));
	return state("waiting",
				 psprintf("%s%s%s", worker->source_problem,
						  worker->source_hint ? " " : "",
						  worker->source_hint ? worker->source_hint : ""));
}

/*
 * The state of a schema that this binary is too old for.
 */
static UpgradeState
state_of_rollback(const StateInput *input)
{
	char	   *cure = psprintf("%s Bring back a binary of %s or later.", input->decided.reason,
								du_managed_main(input->facts)->installed);

	if (!input->fence_wanted || input->fence != NULL)
		return state("schema_ahead", cure);
	return state("schema_ahead",
				 psprintf("%s Writes are not stopped, because the worker %s.", cure,
						  input->worker.present ? "has not looked yet" :
						  psprintf("does not run: %s", input->worker.absent_because)));
}

/*
 * The state for an update that is announced only.  Where companions are behind
 * and none of them can go on, there is nothing to announce.
 */
static UpgradeState
state_of_announcement(const StateInput *input)
{
	const GuardResult *failing = first_failing(input->guards);
	const char *companions = companions_alone(input);

	if (failing != NULL && companions != NULL && input->plan->nsteps == 0)
		return state("blocked", clear_guard(failing));
	if (failing != NULL)
		return state("update_available",
					 psprintf("%s. %s",
							  companions ? companions : psprintf("An update to %s is available", input->decided.target),
							  clear_guard(failing)));
	return state("update_available",
				 companions ?
				 psprintf("%s, and no version is desired; to commit it, run %s", companions,
						  finalize_statement(input)) :
				 psprintf("An update to %s is available and no version is desired; to commit it, %s",
						  input->decided.target, way_to_commit(input)));
}

/* True when what is installed, or the binary, has no place in an order. */
static bool
cannot_be_ordered(const ExtensionFacts *extension)
{
	ExtensionVersion version;
	const char *reason;

	return !du_version_parse(extension->installed, &version, &reason) ||
		!du_version_parse(extension->binary, &version, &reason);
}

/* The same, and that something is broken until the update has run. */
static UpgradeState
state_until_update(const StateInput *input, UpgradeState found)
{
	if (input->missing != NULL && strstr(found.next_step, input->missing) == NULL)
		found.next_step = psprintf("%s %s", found.next_step, input->missing);
	return found;
}

static UpgradeState
state_of_primary(const StateInput *input)
{
	const ExtensionFacts *extension = du_managed_main(input->facts);

	/* One that has reached its target has committed, and is on its way out. */
	if (input->worker.attempt_runs && input->decided.decision != DECISION_NONE)
		return state_of_running(input);
	if (is_unread(&input->worker) &&
		input->decided.decision != DECISION_NOT_INSTALLED &&
		input->decided.decision != DECISION_SCHEMA_AHEAD)
		return state_of_source(input);

	switch (input->decided.decision)
	{
		case DECISION_NOT_INSTALLED:
			return state("not_installed",
						 psprintf("Extension %s is not installed in this database. %s",
								  extension->name, du_offered_creation_hint(extension)));
		case DECISION_SCHEMA_AHEAD:
			return state_of_rollback(input);
		case DECISION_REFUSE:
			if (extension->control->problem != NULL)
				return state("blocked",
							 psprintf("%s Install the extension's files for this binary, or correct them.",
									  extension->control->problem));
			if (extension->binary != NULL && cannot_be_ordered(extension))
				return state("blocked",
							 psprintf("%s Correct the extension's files; or, where a script leads on, name both ends: %s",
									  input->decided.reason,
									  du_plan_finalize_statement_named(extension->installed, extension->binary,
																	   input->by_procedure)));
			return state("blocked",
						 psprintf("%s Correct the desired version or the extension's files.",
								  input->decided.reason));
		case DECISION_WAIT:
			return state_of_wait(input);
		case DECISION_NONE:
			return state_of_done(input);
		case DECISION_UPDATE_AVAILABLE:
			return state_until_update(input, state_of_announcement(input));
		case DECISION_FINALIZE:
			return state_until_update(input, state_of_wish(input));
	}
	elog(ERROR, "unrecognized decision: %d", (int) input->decided.decision);
}

/* A standby changes nothing, and says how its reports fare. */
static UpgradeState
state_of_standby(const WorkerView *worker)
{
	const char *role = "This server is a standby and changes nothing; look at the primary.";

	if (!worker->present)
		return state("standby",
					 psprintf("%s It reports to nobody, because no worker runs here: %s.", role,
							  worker->absent_because));
	if (worker->upstream_problem != NULL)
		return state("standby",
					 psprintf("%s %s%s%s%s", role,
							  worker->upstream != NULL ? "Its upstream does not take its reports: " : "",
							  worker->upstream_problem, worker->upstream_hint ? " " : "",
							  worker->upstream_hint ? worker->upstream_hint : ""));
	if (worker->upstream == NULL || !worker->upstream_ok)
		return state("standby", role);
	return state("standby", psprintf("%s It reports to %s.", role, worker->upstream));
}

/* A worker node changes nothing by itself. */
static UpgradeState
state_of_node(const StateInput *input)
{
	if (input->coordinator == NULL)
		return state("worker_node",
					 "This server is a worker node of a Citus cluster; its coordinator upgrades it.");
	return state("worker_node",
				 psprintf("This server is a worker node of a Citus cluster; its coordinator upgrades it: look at documentdb_upgrade.status on %s.",
						  input->coordinator));
}

/*
 * The state where a library refuses every query, in its words, and only the
 * files and the catalogue can tell.
 */
UpgradeState
du_state_of_refused(const StateInput *input, const char *refusal)
{
	const char *name = du_managed_main(input->facts)->name;
	const char *why = psprintf("Every query in this database is refused (%s).", refusal);
	UpgradeState found;

	if (input->in_recovery)
		return state_of_standby(&input->worker);
	if (input->is_node)
		return state_of_node(input);
	if (input->worker.attempt_runs)
		return state_of_running(input);
	switch (input->decided.decision)
	{
		case DECISION_FINALIZE:
			if (is_unread(&input->worker))
				return state_of_source(input);
			found = state_of_wish(input);
			if (input->worker.gave_up)
				found.next_step = psprintf("%s Run ALTER EXTENSION %s UPDATE TO %s;", found.next_step,
										   quote_identifier(name),
										   quote_literal_cstr(input->decided.target));
			found.next_step = psprintf("%s %s", why, found.next_step);
			return found;
		case DECISION_UPDATE_AVAILABLE:
			return state("blocked",
						 psprintf("%s What works is CALL documentdb_upgrade.run_finalize_to(%s); or ALTER EXTENSION %s UPDATE TO %s;",
								  why, quote_literal_cstr(input->decided.target),
								  quote_identifier(name), quote_literal_cstr(input->decided.target)));
		case DECISION_NOT_INSTALLED:
		case DECISION_SCHEMA_AHEAD:
		case DECISION_REFUSE:
		case DECISION_WAIT:
		case DECISION_NONE:
			break;
	}
	return state("blocked", psprintf("%s %s", why, input->decided.reason));
}

/*
 * State and next step.  Texts are palloc'd or constant.
 */
UpgradeState
du_state_of(const StateInput *input)
{
	UpgradeState found;

	if (input->in_recovery || input->is_node)
	{
		found = input->in_recovery ? state_of_standby(&input->worker) : state_of_node(input);
		if (input->decided.decision == DECISION_SCHEMA_AHEAD)
			found.next_step = psprintf("%s %s Bring back a binary of %s or later%s.",
									   found.next_step, input->decided.reason,
									   du_managed_main(input->facts)->installed,
									   input->in_recovery ? " before it is promoted" : "");
		return found;
	}

	found = state_of_primary(input);
	if (input->fence != NULL)
		found.next_step = psprintf("%s %s", found.next_step, input->fence);
	return found;
}
