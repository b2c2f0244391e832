/*-------------------------------------------------------------------------
 *
 * fleet.c
 *	  Every standby below this server, whether it has reported or not.
 *
 * Two sources are put together: WAL senders and slots, which say who is there,
 * and reports, which say what runs there.  A sender without a report is a
 * silent standby, and so is a slot that is not in use, unless a report
 * from elsewhere names it: its owner streams from another server now, or the
 * slot is the copy of one that another server keeps.  A report without a sender
 * counts for as long as it is fresh: its standby was there a moment ago, or a
 * role that may vouch for standbys says what it is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fleet/internal.h"

#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/varlena.h"

#include "base/base.h"
#include "processes/processes.h"

/* True for names that PostgreSQL's own receivers of WAL have. */
static bool
is_receiver(const char *name)
{
	return strcmp(name, "pg_receivewal") == 0 || strcmp(name, "pg_basebackup") == 0;
}

static bool
is_stale(const FleetEntry *entry)
{
	return du_clock_exceeds(entry->received, du_guc_standby_report_timeout);
}

static FleetInstance *
add_instance(Fleet *fleet, const FleetMember *member)
{
	FleetInstance *instance = palloc0(sizeof(FleetInstance));

	instance->member = *member;
	instance->lag_ms = -1;
	fleet->instances = lappend(fleet->instances, instance);
	return instance;
}

/*
 * The report for a WAL sender, or NULL.  An old one can still name the sender
 * of another standby: the newest counts.
 */
static FleetEntry *
find_report(FleetEntry *entries, int n, pid_t sender)
{
	FleetEntry *found = NULL;

	for (int i = 0; i < n; i++)
	{
		if (entries[i].branch == i && entries[i].sender == sender &&
			(found == NULL || entries[i].received > found->received))
			found = &entries[i];
	}
	return found;
}

/* True when a fresh report names the slot. */
static bool
is_slot_reported(const FleetEntry *entries, int n, const char *slot)
{
	for (int i = 0; i < n; i++)
	{
		if (entries[i].member.word == MEMBER_OK && strcmp(entries[i].member.slot, slot) == 0 &&
			!is_stale(&entries[entries[i].branch]))
			return true;
	}
	return false;
}

/* True when another branch has a fresh report of the same instance. */
static bool
is_elsewhere(const FleetEntry *entries, int n, const FleetEntry *entry)
{
	for (int i = 0; i < n; i++)
	{
		if (entries[i].branch != entry->branch && entries[i].member.word == MEMBER_OK &&
			strcmp(entries[i].member.identity, entry->member.identity) == 0 &&
			!is_stale(&entries[entries[i].branch]))
			return true;
	}
	return false;
}

static void
add_silent(Fleet *fleet, const ReplicationSender *sender)
{
	FleetMember member = {0};
	FleetInstance *instance;

	strlcpy(member.name, sender->name, sizeof(member.name));
	strlcpy(member.slot, sender->slot ? sender->slot : "", sizeof(member.slot));
	du_identity_read(member.upstream, NULL);
	member.replayed = sender->replayed;
	member.word = MEMBER_SILENT;
	member.expected = -1;
	instance = add_instance(fleet, &member);
	instance->depth = 1;
	instance->in_region = true;
	instance->connected = sender->pid != 0;
	if (sender->replayed != InvalidXLogRecPtr)
		instance->lag_ms = du_lsn_clock_lag(sender->replayed);
}

static void
add_direct(Fleet *fleet, const FleetEntry *entry, const ReplicationSender *sender)
{
	FleetInstance *instance = add_instance(fleet, &entry->member);
	FleetMember *member = &instance->member;

	instance->depth = 1;
	instance->in_region = true;
	instance->contested = entry->contested;
	instance->connected = sender != NULL;
	instance->reported_at = entry->received_at;
	instance->lag_ms = entry->lag_ms;
	if (sender == NULL && OidIsValid(entry->vouched_by))
		instance->vouched_by = entry->vouched_by;
	else if (sender == NULL)
		member->word = MEMBER_SILENT;
	else
	{
		if (is_stale(entry))
			member->word = MEMBER_STALE;
		if (sender->slot != NULL)
			strlcpy(member->slot, sender->slot, sizeof(member->slot));
		if (sender->replayed != InvalidXLogRecPtr)
		{
			member->replayed = sender->replayed;
			instance->lag_ms = du_lsn_clock_lag(sender->replayed);
		}
	}
}

/*
 * True when a standby that has been called like this one streams and has not
 * reported yet: it is back, most likely, and is not there twice.
 */
static bool
is_back(const Fleet *fleet, const FleetMember *member)
{
	const ListCell *lc;

	foreach(lc, fleet->instances)
	{
		const FleetInstance *instance = lfirst(lc);

		if (instance->connected && instance->reported_at == 0 &&
			strcmp(instance->member.name, member->name) == 0 &&
			strcmp(instance->member.slot, member->slot) == 0)
			return true;
	}
	return false;
}

/*
 * The standbys of this server itself.  Marks the reports that were used.
 */
static void
add_own_standbys(Fleet *fleet, const List *senders, FleetEntry *entries, int n, bool *used)
{
	const ListCell *lc;

	foreach(lc, senders)
	{
		const ReplicationSender *sender = lfirst(lc);
		FleetEntry *entry = sender->pid != 0 ? find_report(entries, n, sender->pid) : NULL;

		if (sender->is_backup || is_receiver(sender->name))
			continue;
		if (entry != NULL)
		{
			add_direct(fleet, entry, sender);
			used[entry - entries] = true;
		}
		else if (sender->pid != 0 || !is_slot_reported(entries, n, sender->slot))
			add_silent(fleet, sender);
	}
	for (int i = 0; i < n; i++)
	{
		if (entries[i].branch != i || used[i] || is_stale(&entries[i]) ||
			is_elsewhere(entries, n, &entries[i]) ||
			is_back(fleet, &entries[i].member))
			continue;
		add_direct(fleet, &entries[i], NULL);
		used[i] = true;
	}
}

/* True when this server has a slot of that name itself. */
static bool
has_slot(const List *senders, const char *slot)
{
	const ListCell *lc;

	foreach(lc, senders)
	{
		const ReplicationSender *sender = lfirst(lc);

		if (sender->slot != NULL && strcmp(sender->slot, slot) == 0)
			return true;
	}
	return false;
}

/*
 * The instance that a member streams from.  An instance that has moved may be
 * there twice for a moment; a fresh one is preferred.
 */
static FleetInstance *
find_upstream(const Fleet *fleet, const FleetMember *member)
{
	FleetInstance *found = NULL;
	ListCell   *lc;

	foreach(lc, fleet->instances)
	{
		FleetInstance *instance = lfirst(lc);

		if (member->upstream[0] == '\0' || &instance->member == member ||
			strcmp(instance->member.identity, member->upstream) != 0)
			continue;
		if (found == NULL || instance->member.word == MEMBER_OK)
			found = instance;
	}
	return found;
}

/*
 * The standbys of standbys whose reports were used.  What an upstream says is
 * as old as its own report.
 */
static void
add_others(Fleet *fleet, const List *senders, FleetEntry *entries, int n, const bool *used)
{
	for (int i = 0; i < n; i++)
	{
		const FleetEntry *direct = &entries[entries[i].branch];
		FleetInstance *instance;

		if (direct == &entries[i] || !used[entries[i].branch])
			continue;
		if (entries[i].member.word == MEMBER_SILENT && entries[i].member.slot[0] != '\0' &&
			(has_slot(senders, entries[i].member.slot) ||
			 is_slot_reported(entries, n, entries[i].member.slot)))
			continue;
		instance = add_instance(fleet, &entries[i].member);
		instance->lag_ms = entries[i].lag_ms;
		instance->reported_at = direct->received_at;
		if (is_stale(direct) && instance->member.word == MEMBER_OK)
			instance->member.word = MEMBER_STALE;
	}
}

/* True when ignore_standbys names it. */
static bool
is_ignored(const FleetMember *member)
{
	List	   *names;
	ListCell   *lc;
	bool		found = false;

	if (!SplitGUCList(pstrdup(du_guc_ignore_standbys), ',', &names))
		return false;
	foreach(lc, names)
		found |= pg_strcasecmp(lfirst(lc), member->name) == 0 ||
		pg_strcasecmp(lfirst(lc), member->slot) == 0;
	return found;
}

/*
 * Finds depth, region and whether it is ignored from the instances above; those
 * of a circle have no depth and are dropped.
 */
static void
place_instances(Fleet *fleet)
{
	bool		elsewhere = strcmp(get_database_name(MyDatabaseId), du_guc_main_database()) != 0;
	ListCell   *lc;

	foreach(lc, fleet->instances)
	{
		FleetInstance *instance = lfirst(lc);
		const FleetInstance *up = instance;
		int			hops = 1;

		instance->elsewhere = elsewhere;
		instance->ignored = is_ignored(&instance->member);
		instance->in_region = true;
		while (up != NULL && up->depth != 1 && hops <= FLEET_DEPTH)
		{
			up = find_upstream(fleet, &up->member);
			hops++;
			if (up == NULL)
				break;
			instance->ignored |= is_ignored(&up->member);
			instance->in_region &= !up->member.designated;
		}
		instance->depth = up != NULL && up->depth == 1 ? hops : 0;
	}
	foreach(lc, fleet->instances)
	{
		if (((FleetInstance *) lfirst(lc))->depth == 0)
			fleet->instances = foreach_delete_current(fleet->instances, lc);
	}
}

/* How many standbys this region should have, -1 when nobody says. */
static int
expected_here(void)
{
	WorkerFacts worker;

	if (du_guc_expected_standbys >= 0)
		return du_guc_expected_standbys;
	return du_shared_main_worker(&worker) ? worker.region_standbys : -1;
}

/*
 * All of it, palloc'd, with direct standbys first.  SPI must be connected.
 */
Fleet *
du_fleet_gather(void)
{
	Fleet	   *fleet = palloc0(sizeof(Fleet));
	List	   *senders = du_senders_list();
	FleetEntry *entries;
	bool	   *used;
	int			n;

	du_lsn_clock_note();
	fleet->known = du_shared_exists();
	fleet->expected = expected_here();
	fleet->missing_synchronous = du_senders_missing_synchronous(senders);
	n = du_reports_list(&entries);
	used = palloc0((n + 1) * sizeof(bool));
	add_own_standbys(fleet, senders, entries, n, used);
	add_others(fleet, senders, entries, n, used);
	place_instances(fleet);
	return fleet;
}
