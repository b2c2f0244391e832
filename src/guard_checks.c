/*-------------------------------------------------------------------------
 *
 * guard_checks.c
 *	  One function per guard.
 *
 * Each looks at the gathered facts, reads nothing itself, and gives back
 * whether the guard is met, with one sentence about why and, when it is not,
 * one about what to do.  What "not met" leads to is decided in guards.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guard_checks.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "extension_version.h"
#include "guc.h"
#include "window.h"

/* Says that a guard is met. */
static GuardStatus
pass(GuardResult *result, const char *detail)
{
	result->detail = detail;
	return GUARD_PASS;
}

/* Says that a guard is not met, and what to do. */
static GuardStatus
fail(GuardResult *result, const char *detail, const char *hint)
{
	result->detail = detail;
	result->hint = hint;
	return GUARD_FAIL;
}

/* Says that a guard has nothing to look at. */
static GuardStatus
skip(GuardResult *result, const char *detail)
{
	result->detail = detail;
	return GUARD_SKIP;
}

static const ExtensionFacts *
main_of(const GuardInput *input)
{
	return du_catalog_main(input->facts);
}

/* The names of a list of strings, separated by commas. */
static char *
join(List *names)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, names)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", (char *) lfirst(lc));
	return buf.data;
}

/* A number of seconds for people: "45 s", "12 min", "3.5 h". */
static char *
duration(double seconds)
{
	if (seconds < 120)
		return psprintf("%.0f s", seconds);
	if (seconds < 7200)
		return psprintf("%.0f min", seconds / 60);
	return psprintf("%.1f h", seconds / 3600);
}

GuardStatus
du_guard_installed(const GuardInput *input, GuardResult *result)
{
	const ExtensionFacts *extension = main_of(input);

	if (extension->installed != NULL)
		return pass(result, psprintf("Extension \"%s\" is installed at \"%s\".",
									 extension->name, extension->installed));
	return fail(result,
				psprintf("Extension \"%s\" is not installed in this database.", extension->name),
				psprintf("Run CREATE EXTENSION %s, or set documentdb_upgrade.extension to the extension you mean.",
						 quote_identifier(extension->name)));
}

/*
 * Compares the plan's target with another version; false when one of the two
 * is missing or cannot be ordered.
 */
static bool
compare_target(const GuardInput *input, const char *other, int *order)
{
	ExtensionVersion a;
	ExtensionVersion b;
	const char *reason;

	if (input->plan->target == NULL || other == NULL ||
		!du_version_parse(input->plan->target, &a, &reason) ||
		!du_version_parse(other, &b, &reason))
		return false;
	*order = du_version_compare(&a, &b);
	return true;
}

/* Why a version of the main extension cannot be ordered, or NULL. */
static const char *
unorderable(const char *what, const char *text)
{
	ExtensionVersion version;
	const char *reason;

	if (du_version_parse(text, &version, &reason))
		return NULL;
	return psprintf("The %s version \"%s\" cannot be ordered: %s", what, text, reason);
}

GuardStatus
du_guard_target_known(const GuardInput *input, GuardResult *result)
{
	const ExtensionFacts *extension = main_of(input);
	const char *problem = extension->control->problem;
	int			order;

	if (problem == NULL && extension->installed != NULL)
		problem = unorderable("installed", extension->installed);
	if (problem == NULL && extension->binary != NULL)
		problem = unorderable("binary", extension->binary);
	if (problem == NULL && extension->binary == NULL)
		problem = psprintf("The files of extension \"%s\" offer no version that can be ordered.",
						   extension->name);
	if (problem != NULL)
		return fail(result, problem,
					"Install the extension's files for this binary, or correct them.");
	if (input->plan->target_exists)
		return pass(result, psprintf("The files offer version \"%s\".", input->plan->target));

	/* Outside the range the next two guards have the better words. */
	if ((compare_target(input, extension->binary, &order) && order > 0) ||
		(compare_target(input, extension->installed, &order) && order < 0))
		return skip(result, psprintf("Version \"%s\" lies outside what can be reached from here.",
									 input->plan->target));
	return fail(result,
				psprintf("The files of extension \"%s\" do not offer version \"%s\".",
						 extension->name, input->plan->target),
				psprintf("Choose one of: %s.", join(du_catalog_choices(extension))));
}

GuardStatus
du_guard_not_downgrade(const GuardInput *input, GuardResult *result)
{
	const ExtensionFacts *extension = main_of(input);
	int			order;

	if (!compare_target(input, extension->installed, &order))
		return skip(result, "There are no two versions to compare.");
	if (order >= 0)
		return pass(result, psprintf("Version \"%s\" is not below the installed \"%s\".",
									 input->plan->target, extension->installed));
	if (input->plan->requested == NULL)
		return fail(result,
					psprintf("The schema is at \"%s\", newer than the binary's \"%s\".",
							 extension->installed, input->plan->target),
					"Bring back the binary that this schema was made for; a schema never goes back.");
	return fail(result,
				psprintf("Version \"%s\" is below the installed \"%s\", and a schema never goes back.",
						 input->plan->target, extension->installed),
				"To return to an older schema, restore a backup that was taken before the upgrade.");
}

GuardStatus
du_guard_within_binary(const GuardInput *input, GuardResult *result)
{
	const ExtensionFacts *extension = main_of(input);
	int			order;

	if (!compare_target(input, extension->binary, &order))
		return skip(result, "There are no two versions to compare.");
	if (order <= 0)
		return pass(result, psprintf("This binary offers up to \"%s\".", extension->binary));
	return fail(result,
				psprintf("Version \"%s\" is above the \"%s\" that this binary offers.",
						 input->plan->target, extension->binary),
				"Roll out the newer binary first, restart PostgreSQL, and then finalize.");
}

GuardStatus
du_guard_update_path(const GuardInput *input, GuardResult *result)
{
	const ExtensionFacts *extension = main_of(input);
	const ExtensionTarget *target = &input->plan->targets[input->facts->main];
	int			order;

	if (!compare_target(input, extension->installed, &order) || !input->plan->target_exists)
		return skip(result, "There is no target to find a path to.");
	if (order < 0)
		return skip(result, "There is no path downwards.");
	if (target->problem != NULL)
		return fail(result, target->problem,
					"Install the missing update scripts, or finalize to an intermediate version.");
	for (int i = 0; i < input->plan->nsteps; i++)
	{
		if (input->plan->steps[i].script->problem != NULL)
			return fail(result, input->plan->steps[i].script->problem,
						"Correct the extension's files on this instance.");
	}
	return pass(result, psprintf("The plan has %d step(s).", input->plan->nsteps));
}

GuardStatus
du_guard_not_in_recovery(const GuardInput *input, GuardResult *result)
{
	if (!input->surroundings->in_recovery)
		return pass(result, "This server is a primary.");
	return fail(result, "This server is a standby.",
				"Connect to the primary; its commit reaches every standby.");
}

/*
 * What cannot be found out is a warning: a hard guard cannot be overridden.
 */
GuardStatus
du_guard_library_loaded(const GuardInput *input, GuardResult *result)
{
	const LibraryFacts *libraries = &input->surroundings->libraries;

	switch (libraries->state)
	{
		case LIBRARY_NONE:
			return skip(result, "The managed set has no library.");
		case LIBRARY_CURRENT:
			return pass(result, "Each library of the managed set that is in memory is the file on disk.");
		case LIBRARY_STALE:
			return fail(result, libraries->detail, libraries->hint);
		case LIBRARY_UNKNOWN:
			(void) fail(result, libraries->detail, libraries->hint);
			return GUARD_WARN;
	}
	elog(ERROR, "unrecognized state of libraries: %d", (int) libraries->state);
}

/*
 * The server lets the owner run a script when the control files ask for no
 * superuser, when the owner is one, or when the extension is trusted and the
 * owner may create objects in this database.
 */
GuardStatus
du_guard_owner_can_update(const GuardInput *input, GuardResult *result)
{
	for (int i = 0; i < input->plan->nsteps; i++)
	{
		const PlanStep *step = &input->plan->steps[i];
		const ExtensionFacts *extension = &input->facts->extensions[step->extension];

		if (!step->script->superuser || extension->owner_is_superuser ||
			(step->script->trusted && extension->owner_can_create))
			continue;
		if (step->script->trusted)
			return fail(result,
						psprintf("Role \"%s\", which owns extension \"%s\", may not create objects in this database.",
								 extension->owner_name, extension->name),
						psprintf("Run GRANT CREATE ON DATABASE for this database TO %s.",
								 quote_identifier(extension->owner_name)));
		return fail(result,
					psprintf("Extension \"%s\" can be updated only by a superuser, and its owner \"%s\" is none.",
							 extension->name, extension->owner_name),
					psprintf("Make \"%s\" a superuser for the upgrade.", extension->owner_name));
	}
	return pass(result, "The owner of each extension may run its scripts.");
}

GuardStatus
du_guard_companions_aligned(const GuardInput *input, GuardResult *result)
{
	int			ncompanions = 0;

	for (int i = 0; i < input->facts->nextensions; i++)
	{
		if (i == input->facts->main)
			continue;
		ncompanions++;
		if (input->plan->targets[i].problem != NULL)
			return fail(result, input->plan->targets[i].problem,
						"Install the companion's files of the same release as the main extension's.");
	}
	if (ncompanions == 0)
		return pass(result, "There are no companions.");
	return pass(result, psprintf("%d companion(s) can be brought to their targets.", ncompanions));
}

GuardStatus
du_guard_no_other_upgrade(const GuardInput *input, GuardResult *result)
{
	const Blocker *other;

	if (input->surroundings->upgrades == NIL)
		return pass(result, "Nobody else changes the managed set.");
	other = linitial(input->surroundings->upgrades);
	return fail(result,
				psprintf("%s has held %s for %s.", other->who, other->holds, duration(other->age)),
				"Wait until it has ended.");
}

/*
 * The lock table holds what its settings promise and, out of a common reserve,
 * rather more; so only what is above the promise is refused.
 */
GuardStatus
du_guard_lock_capacity(const GuardInput *input, GuardResult *result)
{
	const LockEstimate *locks = input->locks;
	const RememberedRehearsal *rehearsal = &input->rehearsal;
	bool		counted = rehearsal->passed && rehearsal->in_place && rehearsal->is_current;

	/* What has come since then, tables above all, is estimated. */
	int64		grown = Max(locks->needed - rehearsal->lock_estimate, 0);
	int64		needed = counted ? rehearsal->lock_entries + grown : locks->needed;
	int64		total = needed + locks->held;
	int64		comfortable = locks->formula - locks->formula / 5;
	int64		wanted;
	char	   *detail;

	detail = psprintf("The plan needs %s" INT64_FORMAT " lock entries%s, others hold " INT64_FORMAT
					  ", and the lock table is made for " INT64_FORMAT ".",
					  counted && grown == 0 ? "" : "about ", needed,
					  counted ? psprintf(", as rehearsal " INT64_FORMAT " has counted", rehearsal->id) : "",
					  locks->held, locks->formula);
	if (!counted && locks->because != NULL)
		detail = psprintf("%s %s may lock " INT64_FORMAT " table(s).", detail,
						  locks->because, locks->ntables);
	if (total <= comfortable)
		return pass(result, detail);

	/* So that the total is within the comfortable part; a multiple of 16. */
	wanted = (total * 5 + locks->slots * 4 - 1) / (locks->slots * 4);
	wanted = (wanted + 15) / 16 * 16;
	(void) fail(result, detail,
				psprintf("Set max_locks_per_transaction = " INT64_FORMAT ", on standbys first, and restart PostgreSQL.",
						 wanted));
	return total <= locks->formula ? GUARD_WARN : GUARD_FAIL;
}

GuardStatus
du_guard_blocking_sessions(const GuardInput *input, GuardResult *result)
{
	StringInfoData buf;
	ListCell   *lc;
	int			nlong = 0;
	int			nshort = 0;
	int			nautovacuum = 0;
	const Blocker *first = NULL;

	initStringInfo(&buf);
	foreach(lc, input->surroundings->blockers)
	{
		const Blocker *blocker = lfirst(lc);

		/* Our own attempt cancels an autovacuum that is in its way. */
		if (blocker->autovacuum)
		{
			nautovacuum++;
			continue;
		}
		if (blocker->pid != 0 && blocker->age * 1000 <= du_guc_lock_timeout)
		{
			nshort++;
			continue;
		}
		if (first == NULL)
			first = blocker;
		if (++nlong <= 5)
			appendStringInfo(&buf, "%s%s holds %s since %s ago", nlong > 1 ? "; " : "",
							 blocker->who, blocker->holds, duration(blocker->age));
	}
	if (nlong > 5)
		appendStringInfo(&buf, "; and %d more", nlong - 5);
	if (nlong > 0)
	{
		appendStringInfoChar(&buf, '.');
		return fail(result, buf.data,
					first->pid == 0 ?
					"Finish it with COMMIT PREPARED or ROLLBACK PREPARED." :
					psprintf("Wait for it, or end it with SELECT pg_terminate_backend(%d).", first->pid));
	}
	if (nshort > 0)
		return pass(result, psprintf("%d short transaction(s) hold what the plan needs; they are waited for.",
									 nshort));
	if (nautovacuum > 0)
		return pass(result, psprintf("%d lock(s) of autovacuum are in the way; it is cancelled unless it works against wraparound.",
									 nautovacuum));
	return pass(result, "Nobody holds what the plan is known to need.");
}

GuardStatus
du_guard_backup_recent(const GuardInput *input, GuardResult *result)
{
	const Surroundings *surroundings = input->surroundings;

	if (!surroundings->backup_known)
		return skip(result, "No backup was ever recorded here.");
	if (surroundings->backup_age <= du_guc_backup_max_age)
		return pass(result, psprintf("Backup \"%s\" is %s old.", surroundings->backup_label,
									 duration(surroundings->backup_age)));
	return fail(result,
				psprintf("The last recorded backup \"%s\" is %s old, the limit is %s.",
						 surroundings->backup_label, duration(surroundings->backup_age),
						 duration(du_guc_backup_max_age)),
				"Take a backup and record it: SELECT documentdb_upgrade.record_backup('label', now()).");
}

GuardStatus
du_guard_soak_time(const GuardInput *input, GuardResult *result)
{
	const Surroundings *surroundings = input->surroundings;

	if (du_guc_soak_time == 0)
		return skip(result, "No soak time is set.");
	if (!surroundings->binary_known)
		return fail(result, "This binary has not been seen before, so its soak time begins now.",
					psprintf("Try again in %s, or override guard soak_time.", duration(du_guc_soak_time)));
	if (surroundings->binary_age >= du_guc_soak_time)
		return pass(result, psprintf("This binary was first seen %s ago.",
									 duration(surroundings->binary_age)));
	return fail(result,
				psprintf("This binary was first seen %s ago, the soak time is %s.",
						 duration(surroundings->binary_age), duration(du_guc_soak_time)),
				psprintf("Try again in %s, or override guard soak_time.",
						 duration(du_guc_soak_time - surroundings->binary_age)));
}

GuardStatus
du_guard_window(const GuardInput *input, GuardResult *result)
{
	if (du_guc_window[0] == '\0')
		return skip(result, "No window is set.");
	if (du_window_contains(du_guc_window, GetCurrentTimestamp()))
		return pass(result, psprintf("It is within the window \"%s\".", du_guc_window));
	return fail(result, psprintf("It is outside the window \"%s\".", du_guc_window),
				"Wait for the window, or override guard window.");
}

GuardStatus
du_guard_hold(const GuardInput *input, GuardResult *result)
{
	if (!input->surroundings->held)
		return pass(result, "No hold is placed.");
	return fail(result, psprintf("A hold is placed: %s.", input->surroundings->hold_reason),
				input->surroundings->hold_hint);
}

static char *
bytes(int64 n)
{
	return psprintf(INT64_FORMAT " MB", n / (1024 * 1024));
}

GuardStatus
du_guard_disk_headroom(const GuardInput *input, GuardResult *result)
{
	const Surroundings *surroundings = input->surroundings;
	int64		least = Min(surroundings->bytes_free, surroundings->wal_bytes_free);

	if (least < 0)
		return fail(result, "The free space on disk cannot be read.", NULL);
	if (least >= surroundings->bytes_needed)
		return pass(result, psprintf("%s are free, at most %s are needed.",
									 bytes(least), bytes(surroundings->bytes_needed)));
	return fail(result,
				psprintf("%s are free under the data directory and %s under pg_wal; up to %s may be needed.",
						 bytes(surroundings->bytes_free), bytes(surroundings->wal_bytes_free),
						 bytes(surroundings->bytes_needed)),
				"Make room on disk first.");
}

GuardStatus
du_guard_event_triggers(const GuardInput *input, GuardResult *result)
{
	if (input->surroundings->event_triggers == NIL)
		return pass(result, "There are no enabled event triggers.");
	return fail(result,
				psprintf("Event triggers will run with the upgrade's rights: %s.",
						 join(input->surroundings->event_triggers)),
				"Disable those that could hinder it: ALTER EVENT TRIGGER name DISABLE.");
}

/* True when the plan is known, or cannot be excluded, to lock exclusively. */
static bool
may_lock_exclusively(const UpgradePlan *plan)
{
	for (int i = 0; i < plan->nsteps; i++)
	{
		const PlanStep *step = &plan->steps[i];

		if (step->script->kinds & SCRIPT_OPAQUE)
			return true;
		for (int j = 0; j < step->nlocks; j++)
		{
			if (step->locks[j].mode == AccessExclusiveLock)
				return true;
		}
	}
	return false;
}

GuardStatus
du_guard_standby_queries(const GuardInput *input, GuardResult *result)
{
	if (input->surroundings->standbys == NIL)
		return pass(result, "No standby is streaming.");
	if (!may_lock_exclusively(input->plan))
		return pass(result, "The plan takes no ACCESS EXCLUSIVE lock.");
	return fail(result,
				psprintf("The plan may take ACCESS EXCLUSIVE locks, which stall replay and then cancel long queries on: %s.",
						 join(input->surroundings->standbys)),
				"Look for long queries on the standbys; max_standby_streaming_delay says how long replay waits for them.");
}

GuardStatus
du_guard_rehearsed(const GuardInput *input, GuardResult *result)
{
	const RememberedRehearsal *rehearsal = &input->rehearsal;
	const char *hint = psprintf("Run SELECT outcome FROM documentdb_upgrade.rehearse(%s), which rolls everything back.",
								input->plan->target ? quote_literal_cstr(input->plan->target) : "");

	if (input->plan->nsteps == 0)
		return skip(result, "There is nothing to rehearse.");
	if (rehearsal->id == 0)
		return fail(result, "This upgrade has not been rehearsed here.", hint);
	if (!rehearsal->passed)
		return fail(result,
					psprintf("Rehearsal " INT64_FORMAT ", %s ago, did not pass: %s.",
							 rehearsal->id, duration(rehearsal->age), rehearsal->message),
					psprintf("See SELECT documentdb_upgrade.rehearsal_report(" INT64_FORMAT "), clear the cause, and rehearse again.",
							 rehearsal->id));
	if (!rehearsal->is_current)
		return fail(result,
					psprintf("Rehearsal " INT64_FORMAT ", %s ago, was of other files or versions.",
							 rehearsal->id, duration(rehearsal->age)), hint);
	return pass(result, psprintf("Rehearsal " INT64_FORMAT " passed %s ago%s.", rehearsal->id,
								 duration(rehearsal->age),
								 rehearsal->in_place ? "" : ", in a database without data"));
}

GuardStatus
du_guard_members_intact(const GuardInput *input, GuardResult *result)
{
	const MemberChanges *members = input->members;

	if (input->plan->nsteps == 0)
		return skip(result, "There is nothing to upgrade.");
	if (members == NULL)
		return skip(result, "Only failures are asked for, and this guard only warns.");
	if (members->nrecorded == 0)
		return skip(result, "No finalize has recorded the members of the installed versions.");
	if (members->summary == NULL)
		return pass(result, "The members are what the last finalize left.");
	return fail(result,
				psprintf("Since the last finalize members were altered: %s.", members->summary),
				"Undo that, or keep a copy: update scripts may fail on such changes or replace them.");
}

GuardStatus
du_guard_caller_can_plan(const GuardInput *input, GuardResult *result)
{
	if (input->surroundings->unusable_schemas == NIL)
		return pass(result, "The caller may use the extension's schemas.");
	return fail(result,
				psprintf("The caller lacks USAGE on: %s. An extension with a planner hook may refuse every SELECT.",
						 join(input->surroundings->unusable_schemas)),
				"Grant USAGE on these schemas, or use CALL documentdb_upgrade.run_finalize_to(...), which enters no planner.");
}
