/*-------------------------------------------------------------------------
 *
 * guard_standbys.c
 *	  The guards that look at the standbys.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "lib/stringinfo.h"

#include "base/base.h"
#include "fleet/fleet.h"

#define NAMED_BLOCKERS 5		/* more are counted */

/* What speaks against a finalize, sentence by sentence. */
typedef struct Blockers
{
	int			n;
	StringInfoData text;
	const char *hint;			/* of the first that has one */
} Blockers;

static void
add_blocker(Blockers *blockers, const char *problem, const char *hint)
{
	if (blockers->n++ == 0)
		initStringInfo(&blockers->text);
	if (blockers->n <= NAMED_BLOCKERS)
		appendStringInfo(&blockers->text, "%s%s", blockers->n > 1 ? " " : "", problem);
	if (blockers->hint == NULL)
		blockers->hint = hint;
}

static GuardStatus
refuse(const Blockers *blockers, GuardResult *result)
{
	return du_guard_fail(result,
						 blockers->n <= NAMED_BLOCKERS ? blockers->text.data :
						 psprintf("%s And %d more.", blockers->text.data, blockers->n - NAMED_BLOCKERS),
						 blockers->hint);
}

/* How many standbys are to be looked at. */
static int
count_required(const Fleet *fleet)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, fleet->instances)
		n += !((FleetInstance *) lfirst(lc))->ignored;
	return n;
}

/*
 * True when there is nothing to be said about standbys here; says why.
 */
static bool
is_beside_the_point(const GuardInput *input, GuardResult *result)
{
	if (input->server_facts->in_recovery)
		result->detail = "This server is a standby.";
	else if (count_required(input->fleet) == 0 && input->fleet->expected <= 0)
		result->detail = "There are no standbys to wait for.";
	return result->detail != NULL;
}

GuardStatus
du_guard_standbys_ready(const GuardInput *input, GuardResult *result)
{
	const Fleet *fleet = input->fleet;
	Blockers	blockers = {0};
	ListCell   *lc;

	if (is_beside_the_point(input, result))
		return input->server_facts->in_recovery ? GUARD_SKIP : GUARD_PASS;
	if (!fleet->known)
	{
		return du_guard_fail(result,
							 psprintf("%s cannot say what is run there, because documentdb_upgrade is not preloaded here.",
									  du_count_words(count_required(fleet), "standby", "standbys")),
							 "Add documentdb_upgrade to shared_preload_libraries here and on the standbys; or name those that need not be waited for in documentdb_upgrade.ignore_standbys.");
	}
	foreach(lc, fleet->instances)
	{
		FleetVerdict found = du_fleet_judge(lfirst(lc), input->facts, input->plan);

		if (found.status != FLEET_IGNORED && found.status < FLEET_OLD_GATE)
			add_blocker(&blockers, found.problem, found.hint);
	}
	foreach(lc, du_fleet_missing(fleet))
		add_blocker(&blockers, lfirst(lc),
					"Start the missing standbys, or correct documentdb_upgrade.expected_standbys.");
	if (blockers.n > 0)
		return refuse(&blockers, result);
	return du_guard_pass(result, psprintf("%s %s that understand the target.",
										  du_count_words(count_required(fleet), "standby", "standbys"),
										  count_required(fleet) == 1 ? "runs a binary" : "run binaries"));
}

GuardStatus
du_guard_replication_lag(const GuardInput *input, GuardResult *result)
{
	Blockers	blockers = {0};
	int			nunknown = 0;
	ListCell   *lc;

	if (is_beside_the_point(input, result))
		return input->server_facts->in_recovery ? GUARD_SKIP : GUARD_PASS;
	foreach(lc, input->fleet->instances)
	{
		const FleetInstance *instance = lfirst(lc);
		FleetVerdict found = du_fleet_judge_lag(instance);

		if (found.status == FLEET_LAGGING)
			add_blocker(&blockers, found.problem, found.hint);
		nunknown += !instance->ignored && instance->lag_ms < 0;
	}
	if (blockers.n > 0)
		return refuse(&blockers, result);
	if (nunknown > 0)
		return du_guard_unknown(result, GUARD_PASS,
								psprintf("No standby is known to be behind; of %d it is not known.", nunknown),
								"Start replication on them, or name those that need not be waited for in documentdb_upgrade.ignore_standbys.");
	return du_guard_pass(result, "No standby is known to be behind.");
}
