/*-------------------------------------------------------------------------
 *
 * guard_overridable.c
 *	  The guards that a caller may override: one function for each.
 *
 * As in guard_hard.c they look at the gathered facts and read nothing; what
 * they find is a judgement, whose weight settings and callers decide.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "plan/plan.h"

/*
 * How to finalize in spite of a guard: a clause that ends with the statement.
 */
static const char *
override_clause(const GuardInput *input, const char *guard)
{
	if (input->plan->target == NULL)
		return "override this guard.";
	return psprintf("override this guard%s: %s",
					du_guards_find_protected(list_make1(unconstify(char *, guard))) == NULL ? "" :
					psprintf(", which takes a superuser or role \"%s\"", du_managed_main(input->facts)->owner_name),
					du_plan_finalize_statement(input->plan->target, guard,
											   input->server_facts->caller_has_procedure));
}

/*
 * The lock table holds what its settings promise and, out of a common reserve,
 * rather more; so only what is above the promise is refused.  What the scripts
 * name is the least they take; how many entries code takes that no text shows,
 * a rehearsal of exactly this upgrade has counted, or nobody knows.  Nobody
 * needs to: an attempt ends itself before it takes too many.
 */
GuardStatus
du_guard_lock_capacity(const GuardInput *input, GuardResult *result)
{
	const LockCount *locks = input->locks;
	const RememberedRehearsal *rehearsal = &input->rehearsal;
	bool		counted = rehearsal->in_place && rehearsal->is_current && rehearsal->lock_entries > 0;

	/* Tables that have come since, among those that the scripts name. */
	int64		grown = Max(locks->named - rehearsal->locks_named, 0);
	int64		needed = counted ? rehearsal->lock_entries + grown : locks->named;
	int64		total = needed + locks->held;
	int64		comfortable = locks->formula - locks->formula / 5;
	int64		wanted;
	char	   *detail;

	if (counted)
		detail = psprintf("Rehearsal " INT64_FORMAT " counted %s" INT64_FORMAT " lock entries", rehearsal->id,
						  rehearsal->passed ? "" : "at least ", needed);
	else
		detail = psprintf("The scripts name relations that take at least " INT64_FORMAT
						  " lock entries; rehearse to know how many the upgrade takes in all", locks->named);
	detail = psprintf("%s; others hold " INT64_FORMAT ", and the lock table has room for " INT64_FORMAT ".",
					  detail, locks->held, locks->formula);
	if (total <= comfortable)
		return du_guard_pass(result, detail);

	/* So that the total is within the comfortable part; a multiple of 16. */
	wanted = (total * 5 + locks->slots * 4 - 1) / (locks->slots * 4);
	wanted = (wanted + 15) / 16 * 16;
	(void) du_guard_fail(result, detail,
						 psprintf("Set max_locks_per_transaction = " INT64_FORMAT ", on standbys first, and restart PostgreSQL%s.",
								  wanted, counted && rehearsal->passed ? "" : "; then rehearse"));
	return total <= locks->formula ? GUARD_WARN : GUARD_FAIL;
}

/*
 * What a rehearsal saw is certain, what the scripts name may be: the members are
 * found by their names.
 */
GuardStatus
du_guard_outside_objects(const GuardInput *input, GuardResult *result)
{
	const OutsideObjects *outside = &input->outside;
	const char *target = input->plan->target ? quote_literal_cstr(input->plan->target) : "";
	const char *statements = psprintf("To get the statements that save and restore them around a finalize, in one transaction, run SELECT kind, identity, save_statement, restore_statement FROM documentdb_upgrade.outside_objects(%s%s);",
									  target, du_main_argument(input->plan->target == NULL));

	if (input->plan->nsteps == 0)
		return du_guard_skip(result, "There is nothing to upgrade.");
	if (outside->in_the_way && outside->nnamed > 0)
		return du_guard_fail(result,
							 psprintf("Rehearsal " INT64_FORMAT " failed, because objects outside the upgraded extensions stand on what it drops: %s",
									  outside->rehearsal, outside->message), statements);
	if (outside->nseen > 0)
		return du_guard_fail(result,
							 psprintf("Rehearsal " INT64_FORMAT " removed or changed %s outside the upgraded extensions: %s%s.",
									  outside->rehearsal, du_count_words(outside->nseen, "object", "objects"),
									  outside->seen,
									  outside->nseen + outside->naffected > 5 ? "; and more" : ""),
							 psprintf("To get the statements that save and restore them around a finalize, in one transaction, run SELECT documentdb_upgrade.rehearsal_report(" INT64_FORMAT "); or %s",
									  outside->rehearsal, override_clause(input, "outside_objects")));
	if (outside->naffected > 0)
	{
		(void) du_guard_fail(result,
							 psprintf("Rehearsal " INT64_FORMAT " replaced functions with which %s outside the upgraded extensions %s computed: %s.",
									  outside->rehearsal, du_count_words(outside->naffected, "object", "objects"),
									  outside->naffected == 1 ? "was" : "were", outside->seen),
							 "Where the new function gives other results, rebuild these indexes after the upgrade, and check the constraints.");
		return GUARD_WARN;
	}
	if (outside->rehearsal != 0 && !outside->in_the_way)
		return du_guard_pass(result, psprintf("Rehearsal " INT64_FORMAT " left everything outside the upgraded extensions as it is.",
											  outside->rehearsal));
	if (outside->nnamed > 0)
	{
		(void) du_guard_fail(result,
							 psprintf("%s outside the upgraded extensions %s on members that the scripts drop or replace: %s%s.",
									  du_count_words(outside->nnamed, "object", "objects"),
									  outside->nnamed == 1 ? "stands" : "stand", outside->named, outside->nnamed > 3 ? "; and more" : ""),
							 statements);
		return GUARD_WARN;
	}
	if (!outside->looked)
		return du_guard_skip(result, "Not evaluated: only failures were asked for, and without a rehearsal this guard only warns.");
	return du_guard_pass(result, "Nothing outside the upgraded extensions stands on members that the scripts name to drop them; what code drops, a rehearsal shows.");
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
	foreach(lc, input->server_facts->blockers)
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
			appendStringInfo(&buf, "%s%s has held %s for %s", nlong > 1 ? "; " : "",
							 blocker->who, blocker->holds, du_duration_words(blocker->age));
	}
	if (nlong > 5)
		appendStringInfo(&buf, "; and %d more", nlong - 5);
	if (nlong > 0)
	{
		appendStringInfoChar(&buf, '.');
		return du_guard_fail(result, buf.data,
							 first->pid == 0 ?
							 psprintf("Finish it with COMMIT PREPARED %s; or undo it with ROLLBACK PREPARED %s;",
									  quote_literal_cstr(first->gid), quote_literal_cstr(first->gid)) :
							 psprintf("Wait for it, or end it with SELECT pg_terminate_backend(%d);", first->pid));
	}
	if (nshort > 0)
		return du_guard_pass(result, psprintf("%s %s locks that the plan needs; the upgrade waits.",
											  du_count_words(nshort, "short transaction", "short transactions"),
											  nshort == 1 ? "holds" : "hold"));
	if (nautovacuum > 0)
		return du_guard_pass(result, psprintf("%s of autovacuum %s in the way; it is cancelled unless it works against wraparound.",
											  du_count_words(nautovacuum, "lock", "locks"),
											  nautovacuum == 1 ? "is" : "are"));
	return du_guard_pass(result, "No session holds a lock that the plan is known to need.");
}

GuardStatus
du_guard_backup_recent(const GuardInput *input, GuardResult *result)
{
	const ServerFacts *server_facts = input->server_facts;

	if (!server_facts->backup_known)
		return du_guard_unknown(result, GUARD_SKIP, "No backup was ever recorded here.",
								"Take a backup and record it: SELECT documentdb_upgrade.record_backup('label', now());");
	if (server_facts->backup_age <= du_guc_backup_max_age)
		return du_guard_pass(result, psprintf("Backup \"%s\" is %s old.", server_facts->backup_label,
											  du_duration_words(server_facts->backup_age)));
	return du_guard_fail(result,
						 psprintf("The last recorded backup \"%s\" is %s old, the limit is %s.",
								  server_facts->backup_label, du_duration_words(server_facts->backup_age),
								  du_duration_words(du_guc_backup_max_age)),
						 "Take a backup and record it: SELECT documentdb_upgrade.record_backup('label', now());");
}

GuardStatus
du_guard_soak_time(const GuardInput *input, GuardResult *result)
{
	const ServerFacts *server_facts = input->server_facts;

	if (du_guc_soak_time == 0)
		return du_guard_skip(result, "No soak time is set.");
	if (!server_facts->binary_known)
		return du_guard_fail(result, "This binary has not been seen before, so its soak time begins now.",
							 psprintf("Try again in %s; or %s", du_duration_words(du_guc_soak_time),
									  override_clause(input, "soak_time")));
	if (server_facts->binary_age >= du_guc_soak_time)
		return du_guard_pass(result, psprintf("This binary was first seen %s ago.",
											  du_duration_words(server_facts->binary_age)));
	return du_guard_fail(result,
						 psprintf("This binary was first seen %s ago, the soak time is %s.",
								  du_duration_words(server_facts->binary_age), du_duration_words(du_guc_soak_time)),
						 psprintf("Try again in %s; or %s",
								  du_duration_words(du_guc_soak_time - server_facts->binary_age),
								  override_clause(input, "soak_time")));
}

GuardStatus
du_guard_window(const GuardInput *input, GuardResult *result)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next;

	if (du_guc_window[0] == '\0')
		return du_guard_skip(result, "No window is set.");
	if (du_window_contains(du_guc_window, now))
		return du_guard_pass(result, psprintf("It is within the window \"%s\".", du_guc_window));
	next = du_window_next(du_guc_window, now);
	return du_guard_fail(result,
						 psprintf("It is outside the window \"%s\"%s.", du_guc_window,
								  next == 0 ? "" : psprintf(", which opens next at %s", du_time_words(next))),
						 psprintf("Wait for the window; or %s", override_clause(input, "window")));
}

GuardStatus
du_guard_hold(const GuardInput *input, GuardResult *result)
{
	if (!input->server_facts->held)
		return du_guard_pass(result, "No hold is placed.");
	return du_guard_fail(result, psprintf("A hold is placed: %s.", input->server_facts->hold_reason),
						 input->server_facts->hold_hint);
}

static char *
bytes(int64 n)
{
	return psprintf(INT64_FORMAT " MB", n / (1024 * 1024));
}

GuardStatus
du_guard_disk_headroom(const GuardInput *input, GuardResult *result)
{
	const ServerFacts *server_facts = input->server_facts;
	int64		least = Min(server_facts->bytes_free, server_facts->wal_bytes_free);

	if (least < 0)
		return du_guard_fail(result, "The free space on disk cannot be read.", NULL);
	if (least >= server_facts->bytes_needed)
		return du_guard_pass(result, psprintf("%s are free, at most %s are needed.",
											  bytes(least), bytes(server_facts->bytes_needed)));
	return du_guard_fail(result,
						 psprintf("%s are free under the data directory and %s under pg_wal; up to %s may be needed.",
								  bytes(server_facts->bytes_free), bytes(server_facts->wal_bytes_free),
								  bytes(server_facts->bytes_needed)),
						 "Make room on disk first.");
}

/* The statements that disable event triggers. */
static const char *
disabling(const List *triggers)
{
	StringInfoData buf;
	const ListCell *lc;

	initStringInfo(&buf);
	foreach(lc, triggers)
		appendStringInfo(&buf, "%sALTER EVENT TRIGGER %s DISABLE;", buf.len > 0 ? " " : "",
						 quote_identifier(lfirst(lc)));
	return buf.data;
}

GuardStatus
du_guard_event_triggers(const GuardInput *input, GuardResult *result)
{
	if (input->server_facts->event_triggers == NIL)
		return du_guard_pass(result, "There are no enabled event triggers.");
	return du_guard_fail(result,
						 psprintf("Event triggers will run with the upgrade's rights: %s.",
								  du_names_join(input->server_facts->event_triggers)),
						 psprintf("Disable those that could hinder it: %s", disabling(input->server_facts->event_triggers)));
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
	if (input->server_facts->standbys == NIL)
		return du_guard_pass(result, "No standby is streaming.");
	if (!may_lock_exclusively(input->plan))
		return du_guard_pass(result, "The plan takes no ACCESS EXCLUSIVE lock.");
	return du_guard_fail(result,
						 psprintf("The plan may take ACCESS EXCLUSIVE locks, which stall replay and then cancel long queries on: %s.",
								  du_names_join(input->server_facts->standbys)),
						 "Look for long queries on the standbys; max_standby_streaming_delay says how long replay waits for them.");
}

GuardStatus
du_guard_rehearsed(const GuardInput *input, GuardResult *result)
{
	const RememberedRehearsal *rehearsal = &input->rehearsal;
	const char *hint = psprintf("Try it, which rolls everything back: SELECT outcome, message FROM documentdb_upgrade.rehearse(%s%s);",
								input->plan->target ? quote_literal_cstr(input->plan->target) : "",
								du_main_argument(input->plan->target == NULL));

	if (input->plan->nsteps == 0)
		return du_guard_skip(result, "There is nothing to rehearse.");
	if (input->plan->named)
		return du_guard_skip(result, "A finalize that names both ends has no rehearsal; try it in a transaction that is rolled back.");
	if (rehearsal->id == 0)
		return du_guard_fail(result, "This upgrade has not been rehearsed here.", hint);
	if (!rehearsal->passed)
		return du_guard_fail(result,
							 psprintf("Rehearsal " INT64_FORMAT ", %s ago, did not pass: %s.",
									  rehearsal->id, du_duration_words(rehearsal->age), rehearsal->message),
							 psprintf("Clear the cause and rehearse again. What it saw is shown by SELECT documentdb_upgrade.rehearsal_report(" INT64_FORMAT ");",
									  rehearsal->id));
	if (!rehearsal->is_current)
		return du_guard_fail(result,
							 psprintf("Rehearsal " INT64_FORMAT ", %s ago, was of other files or versions.",
									  rehearsal->id, du_duration_words(rehearsal->age)), hint);
	return du_guard_pass(result, psprintf("Rehearsal " INT64_FORMAT " passed %s ago%s.", rehearsal->id,
										  du_duration_words(rehearsal->age),
										  rehearsal->in_place ? "" : ", in a database without data"));
}

GuardStatus
du_guard_members_intact(const GuardInput *input, GuardResult *result)
{
	const MemberChanges *members = input->members;

	if (input->plan->nsteps == 0)
		return du_guard_skip(result, "There is nothing to upgrade.");
	if (members == NULL)
		return du_guard_skip(result, "Not evaluated: only failures were asked for, and this guard only warns.");
	if (members->nrecorded == 0)
		return du_guard_unknown(result, GUARD_SKIP,
								"No finalize has recorded the members of the installed versions.",
								psprintf("Compare them by other means, and then, once, as each finalize records them, %s",
										 override_clause(input, "members_intact")));
	if (members->summary == NULL)
		return du_guard_pass(result, "The members are what the last finalize left.");
	return du_guard_fail(result,
						 psprintf("Since the last finalize members were altered: %s.", members->summary),
						 "Undo that, or keep a copy: update scripts may fail on such changes or replace them.");
}

/* Identifiers for a statement. */
static const char *
quoted_names(const List *names)
{
	List	   *quoted = NIL;
	const ListCell *lc;

	foreach(lc, names)
		quoted = lappend(quoted, unconstify(char *, quote_identifier(lfirst(lc))));
	return du_names_join(quoted);
}

GuardStatus
du_guard_caller_can_plan(const GuardInput *input, GuardResult *result)
{
	if (input->server_facts->unusable_schemas == NIL)
		return du_guard_pass(result, "The caller may use the extension's schemas.");
	return du_guard_fail(result,
						 psprintf("The caller lacks USAGE on: %s. An extension with a planner hook may refuse every SELECT.",
								  du_names_join(input->server_facts->unusable_schemas)),
						 psprintf("As a superuser, run GRANT USAGE ON SCHEMA %s TO %s; or, as the caller and without a planner, %s",
								  quoted_names(input->server_facts->unusable_schemas), input->server_facts->caller,
								  input->plan->target ? du_plan_finalize_statement(input->plan->target, NULL, true) :
								  "use procedure documentdb_upgrade.run_finalize_to."));
}
