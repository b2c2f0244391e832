/*-------------------------------------------------------------------------
 *
 * fleet_judgement.c
 *	  Whether a standby is ready for a schema, and what keeps it from that.
 *
 * Looks at what was gathered and reads nothing.  What a standby has not said
 * counts against it: it could become the primary.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fleet/internal.h"

#include "base/base.h"
#include "extension/extension.h"
#include "plan/plan.h"

#define DEFAULT_NAME "walreceiver"	/* of standbys that were given none */

/*
 * The status as SQL shows it.
 */
const char *
du_fleet_status_name(FleetStatus status)
{
	switch (status)
	{
		case FLEET_IGNORED:
			return "ignored";
		case FLEET_CONTESTED:
			return "contested";
		case FLEET_SILENT:
			return "silent";
		case FLEET_STALE:
			return "stale";
		case FLEET_OLD_BINARY:
			return "old_binary";
		case FLEET_OLD_LIBRARY:
			return "old_library";
		case FLEET_BEHIND:
			return "behind";
		case FLEET_OLD_GATE:
			return "old_gate";
		case FLEET_LAGGING:
			return "lagging";
		case FLEET_READY:
			return "ready";
	}
	elog(ERROR, "unrecognized status of a standby: %d", (int) status);
}

/* What people call it: a default name says nothing. */
static char *
name_of(const FleetMember *member)
{
	if (member->name[0] != '\0' && strcmp(member->name, DEFAULT_NAME) != 0)
		return psprintf("Standby \"%s\"", member->name);
	if (member->slot[0] != '\0')
		return psprintf("The standby of slot \"%s\"", member->slot);
	if (member->host[0] != '\0')
		return psprintf("The standby on host \"%s\"", member->host);
	return "A standby without a name";
}

/* True when a version is known and is not below the other. */
static bool
reaches(const char *text, const char *target)
{
	ExtensionVersion version;
	ExtensionVersion wanted;
	const char *reason;

	return du_version_parse(text, &version, &reason) &&
		du_version_parse(target, &wanted, &reason) &&
		du_version_compare(&version, &wanted) >= 0;
}

/* True when there is a version that cannot be ordered. */
static bool
is_unordered(const char *text)
{
	ExtensionVersion version;
	const char *reason;

	return text[0] != '\0' && !du_version_parse(text, &version, &reason);
}

static FleetVerdict
verdict(FleetStatus status, const char *problem, const char *hint)
{
	FleetVerdict v = {status, problem, hint};

	return v;
}

/* The verdict on one that says nothing, or nothing new. */
static FleetVerdict
judge_silence(const FleetInstance *instance)
{
	const FleetMember *member = &instance->member;
	const char *name = name_of(member);
	bool		streams = instance->depth == 1 ? instance->connected : member->name[0] != '\0';

	if (member->word == MEMBER_STALE)
		return verdict(FLEET_STALE,
					   psprintf("%s has not reported for longer than documentdb_upgrade.standby_report_timeout.", name),
					   "Look at view status there: its next_step says what keeps it from reporting.");
	if (streams)
		return verdict(FLEET_SILENT,
					   psprintf("%s streams and has sent no report.", name),
					   "Only that server knows why: look at next_step of view status there; where the view is missing or no worker runs, install or preload documentdb_upgrade. One that can never become the primary can be named in documentdb_upgrade.ignore_standbys.");
	if (instance->reported_at != 0 && instance->depth == 1)
		return verdict(FLEET_SILENT,
					   psprintf("%s has disconnected.", name),
					   "Wait for it to come back.");
	return verdict(FLEET_SILENT,
				   psprintf("%s is not connected.", name),
				   "Start it; drop its replication slot if it is gone for good.");
}

/* What one extension there must reach; NULL when nothing is asked for. */
static const char *
target_of(const UpgradeFacts *facts, const UpgradePlan *plan, int i)
{
	const char *installed = facts->extensions[i].installed;
	const char *target = plan != NULL && installed != NULL ? plan->targets[i].target : NULL;

	/* Beneath an older binary the schema is what counts. */
	return target != NULL && (installed == NULL || reaches(target, installed)) ? target : installed;
}

/*
 * The verdict on the versions of one extension; FLEET_READY when they do.  What
 * a report says to be installed is so in the database that it is about; of
 * other databases it tells the main extensions alone.
 */
static FleetVerdict
judge_extension(const FleetInstance *instance, const ExtensionFacts *facts, const char *target,
				bool is_main)
{
	const FleetMember *member = &instance->member;
	MemberExtension extension;
	const char *name = name_of(member);

	if (!du_member_find_extension(member, facts->name, &extension) && instance->elsewhere && !is_main)
		return verdict(FLEET_READY, NULL, NULL);
	if (is_unordered(extension.binary))
		return verdict(FLEET_OLD_BINARY,
					   psprintf("%s has binary \"%s\" of extension \"%s\", which cannot be compared with \"%s\".",
								name, extension.binary, facts->name, target),
					   "Correct the extension's files there.");
	if (is_main && is_unordered(extension.loaded))
		return verdict(FLEET_OLD_LIBRARY,
					   psprintf("%s has library version \"%s\" in memory, which cannot be compared with \"%s\".",
								name, extension.loaded, target),
					   "Install a library there that tells its version as extensions spell it, then restart PostgreSQL.");
	if (!reaches(extension.binary, target))
		return verdict(FLEET_OLD_BINARY,
					   extension.binary[0] == '\0' ?
					   psprintf("%s has no files of extension \"%s\".", name, facts->name) :
					   psprintf("%s has binary \"%s\" of extension \"%s\", older than \"%s\".",
								name, extension.binary, facts->name, target),
					   "Roll out the newer binary there first.");
	if (is_main && extension.loaded[0] != '\0' && !reaches(extension.loaded, target))
		return verdict(FLEET_OLD_LIBRARY,
					   psprintf("%s has library version \"%s\" in memory, older than \"%s\".",
								name, extension.loaded, target),
					   "Restart PostgreSQL there to load the new library.");
	if (!instance->elsewhere && !reaches(extension.installed, facts->installed))
		return verdict(FLEET_BEHIND,
					   psprintf("%s sees extension \"%s\" at \"%s\" and not yet at \"%s\".",
								name, facts->name, extension.installed, facts->installed),
					   member->paused ?
					   "Replay is paused there; run SELECT pg_wal_replay_resume();" :
					   "Wait for its replay.");
	return verdict(FLEET_READY, NULL, NULL);
}

/* True when its gate is known and is not what it sees installed. */
static bool
has_old_gate(const FleetMember *member, const char *main_extension)
{
	MemberExtension extension;

	return member->gate[0] != '\0' &&
		du_member_find_extension(member, main_extension, &extension) &&
		!(reaches(member->gate, extension.installed) && reaches(extension.installed, member->gate));
}

/* The verdict on what a standby with a fresh report has said. */
static FleetVerdict
judge_report(const FleetInstance *instance, const UpgradeFacts *facts, const UpgradePlan *plan)
{
	const FleetMember *member = &instance->member;
	FleetVerdict worst = verdict(FLEET_READY, NULL, NULL);

	for (int i = 0; i < facts->nextensions; i++)
	{
		const char *target = target_of(facts, plan, i);
		FleetVerdict one;

		if (facts->extensions[i].installed == NULL || target == NULL)
			continue;
		one = judge_extension(instance, &facts->extensions[i], target, i == facts->main);
		if (one.status < worst.status)
			worst = one;
	}
	if (worst.status > FLEET_OLD_LIBRARY && member->library == LIBRARY_STALE)
		return verdict(FLEET_OLD_LIBRARY,
					   psprintf("%s has libraries in memory that are not those on its disk.", name_of(member)),
					   "Restart PostgreSQL there to load the new library.");
	if (worst.status > FLEET_OLD_GATE && !instance->elsewhere &&
		has_old_gate(member, facts->extensions[facts->main].name))
		return verdict(FLEET_OLD_GATE,
					   psprintf("%s has version \"%s\" in force, which is not what is installed.",
								name_of(member), member->gate),
					   "Wait until its library has taken the new version up.");
	return worst;
}

/*
 * The verdict on how far it is behind alone.
 */
FleetVerdict
du_fleet_judge_lag(const FleetInstance *instance)
{
	if (instance->ignored || instance->lag_ms <= du_guc_max_replication_lag)
		return verdict(FLEET_READY, NULL, NULL);
	return verdict(FLEET_LAGGING,
				   psprintf("%s is %.1f s behind in replay.", name_of(&instance->member),
							instance->lag_ms / 1000.0),
				   instance->member.paused ?
				   "Replay is paused there; run SELECT pg_wal_replay_resume();" :
				   "Wait for it, or look at what holds its replay up.");
}

/*
 * The verdict on an instance: against the targets of a plan, or against what is
 * installed when plan is NULL.  Texts are palloc'd or constant.
 */
FleetVerdict
du_fleet_judge(const FleetInstance *instance, const UpgradeFacts *facts, const UpgradePlan *plan)
{
	FleetVerdict found;

	if (instance->ignored)
		return verdict(FLEET_IGNORED, NULL, NULL);
	if (instance->contested)
		return verdict(FLEET_CONTESTED,
					   psprintf("Two servers report as %s.", name_of(&instance->member)),
					   "Remove pg_stat_tmp/documentdb_upgrade.instance from the data directory of the copy and restart it.");
	if (instance->member.word != MEMBER_OK)
		return judge_silence(instance);
	found = judge_report(instance, facts, plan);
	return found.status == FLEET_READY ? du_fleet_judge_lag(instance) : found;
}

/*
 * True when nothing is known that keeps the installed schema from being in
 * force there.  Silence counts against it only when strict.
 */
static bool
sees_schema(FleetStatus status, bool strict)
{
	switch (status)
	{
		case FLEET_IGNORED:
		case FLEET_LAGGING:
		case FLEET_READY:
			return true;
		case FLEET_CONTESTED:
		case FLEET_SILENT:
		case FLEET_STALE:
			return !strict;
		case FLEET_OLD_BINARY:
		case FLEET_OLD_LIBRARY:
		case FLEET_BEHIND:
		case FLEET_OLD_GATE:
			return false;
	}
	elog(ERROR, "unrecognized status of a standby: %d", (int) status);
}

/* How many standbys there are in the region that a head leads; NULL: here. */
static int
count_region(const Fleet *fleet, const char *head)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, fleet->instances)
	{
		const FleetInstance *instance = lfirst(lc);

		if (instance->ignored)
			continue;
		if (head == NULL ? instance->in_region && !instance->member.designated :
			strcmp(instance->member.upstream, head) == 0)
			n++;
	}
	return n;
}

static char *
describe_missing(int present, int expected, const char *where)
{
	return psprintf("%d of %d expected standbys are known %s.", present, expected, where);
}

/*
 * Sentences about regions that have fewer standbys than expected.
 */
List *
du_fleet_missing(const Fleet *fleet)
{
	List	   *sentences = NIL;
	ListCell   *lc;
	int			present = count_region(fleet, NULL);

	if (present < fleet->expected)
		sentences = lappend(sentences, describe_missing(present, fleet->expected, "in this region"));
	foreach(lc, fleet->instances)
	{
		const FleetMember *member = &((FleetInstance *) lfirst(lc))->member;

		if (((FleetInstance *) lfirst(lc))->ignored || !member->designated || member->word != MEMBER_OK)
			continue;
		present = count_region(fleet, member->identity);
		if (present < member->expected)
			sentences = lappend(sentences,
								describe_missing(present, member->expected,
												 psprintf("in the region of \"%s\"", member->name)));
	}
	return sentences;
}

/*
 * One sentence about the standbys that do not see the installed schema in
 * force yet, with the first of them; NULL when all do.  When strict, those that
 * say nothing count too.
 */
const char *
du_fleet_straggler(const Fleet *fleet, const UpgradeFacts *facts, bool strict)
{
	FleetVerdict first = {FLEET_READY, NULL, NULL};
	int			n = 0;
	ListCell   *lc;

	foreach(lc, fleet->instances)
	{
		FleetVerdict found = du_fleet_judge(lfirst(lc), facts, NULL);

		if (sees_schema(found.status, strict))
			continue;
		if (n++ == 0 || found.status < first.status)
			first = found;
	}
	if (n == 0)
		return strict && du_fleet_missing(fleet) != NIL ? linitial(du_fleet_missing(fleet)) : NULL;
	if (n == 1)
		return psprintf("%s %s", first.problem, first.hint);
	return psprintf("%d standbys do not see it in force yet. %s %s", n, first.problem, first.hint);
}
