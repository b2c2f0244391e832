/*-------------------------------------------------------------------------
 *
 * standby_reports.c
 *	  What the standbys below this server have reported.
 *
 * Each direct standby reports itself and everything below it; that is its
 * branch, which its next report replaces as a whole.  So what has left the
 * branch leaves here too, and no report outlives the one that brought it.  The
 * memory is of a fixed size, works in recovery, costs no WAL and does not
 * survive a restart of the server.
 *
 * A report is for one WAL sender.  Several senders can match its connection,
 * and which of them serves its standby is not told by the server: the one that
 * it had before is kept, else one that no other report stands for is taken.
 * So as many senders have a report as standbys report, and the others
 * are silent.  The report of a role that may vouch for standbys can be for
 * none of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fleet/internal.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"

#include "base/base.h"


typedef struct ReportRow
{
	bool		used;
	FleetEntry	entry;

	/* Of direct standbys. */
	char		replaced_incarnation[INCARNATION_LENGTH];
	ClockMs		contested;		/* 0: never */
} ReportRow;

typedef struct ReportTable
{
	LWLock	   *lock;
	int			nrows;			/* beyond these none was ever used */
	ReportRow	rows[FLEET_MEMBERS];
} ReportTable;

static ReportTable *table = NULL;

static void
start_memory(void *memory, LWLockPadded *locks, bool is_new)
{
	table = memory;
	if (is_new)
		table->lock = &locks->lock;
}

/*
 * Asks for the memory; to be called while libraries are preloaded.
 */
void
du_reports_install(void)
{
	static const SharedPart part = {"documentdb_upgrade_reports", sizeof(ReportTable), 1, start_memory};

	du_shared_memory_add(&part);
}

static bool
is_direct(const ReportRow *row)
{
	return row->used && row->entry.branch == row - table->rows;
}

static ReportRow *
find_direct(const char *identity)
{
	for (int i = 0; i < FLEET_MEMBERS; i++)
	{
		ReportRow  *row = &table->rows[i];

		if (is_direct(row) && strcmp(row->entry.member.identity, identity) == 0)
			return row;
	}
	return NULL;
}

static bool
is_expired(const ReportRow *direct)
{
	return du_clock_exceeds(direct->entry.received, du_guc_standby_report_timeout);
}

/* Frees all of a branch. */
static void
drop_branch(int branch)
{
	for (int i = 0; i < FLEET_MEMBERS; i++)
	{
		if (table->rows[i].used && table->rows[i].entry.branch == branch)
			table->rows[i].used = false;
	}
}

static bool
is_claimed(pid_t sender, const char *identity)
{
	for (int i = 0; i < FLEET_MEMBERS; i++)
	{
		const ReportRow *row = &table->rows[i];

		if (is_direct(row) && row->entry.sender == sender && !is_expired(row) &&
			strcmp(row->entry.member.identity, identity) != 0)
			return true;
	}
	return false;
}

/*
 * Frees the branches whose reports have expired and whose WAL sender has ended,
 * or serves somebody else.
 */
static void
drop_expired(void)
{
	for (int i = 0; i < FLEET_MEMBERS; i++)
	{
		ReportRow  *row = &table->rows[i];

		if (is_direct(row) && is_expired(row) &&
			(BackendPidGetProc(row->entry.sender) == NULL ||
			 is_claimed(row->entry.sender, row->entry.member.identity)))
			drop_branch(i);
	}
}

/* The WAL sender that a report is for, of those that match it. */
static pid_t
choose_sender(const ReportRow *earlier, const char *identity,
			  const pid_t *senders, int nsenders)
{
	for (int i = 0; earlier != NULL && i < nsenders; i++)
	{
		if (senders[i] == earlier->entry.sender && !is_claimed(senders[i], identity))
			return senders[i];
	}
	for (int i = 0; i < nsenders; i++)
	{
		if (!is_claimed(senders[i], identity))
			return senders[i];
	}
	return nsenders > 0 ? senders[0] : 0;
}

/* True when two members differ in more than their positions. */
static bool
differs(const FleetMember *a, const FleetMember *b)
{
	FleetMember copy = *b;

	copy.received = a->received;
	copy.replayed = a->replayed;

	/* Padding that differs can only write the same once more. */
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
	return memcmp(a, &copy, sizeof(FleetMember)) != 0;
}

/* Finds in a branch the row that held this member before. */
static const ReportRow *
find_in_branch(int branch, const FleetMember *member)
{
	for (int i = 0; i < FLEET_MEMBERS; i++)
	{
		const ReportRow *row = &table->rows[i];

		if (row->used && row->entry.branch == branch &&
			strcmp(row->entry.member.identity, member->identity) == 0 &&
			!differs(&row->entry.member, member))
			return row;
	}
	return NULL;
}

/* True when the branch is not what it was, apart from positions. */
static bool
is_changed(const ReportRow *earlier, const FleetMember *members, int nmembers, pid_t sender)
{
	int			before = 0;

	if (earlier == NULL || is_expired(earlier) || earlier->entry.sender != sender)
		return true;
	for (int i = 0; i < FLEET_MEMBERS; i++)
		before += table->rows[i].used && table->rows[i].entry.branch == earlier->entry.branch;
	if (before != nmembers)
		return true;
	for (int i = 0; i < nmembers; i++)
	{
		if (find_in_branch(earlier->entry.branch, &members[i]) == NULL)
			return true;
	}
	return false;
}

/*
 * Notes under which incarnation a direct standby reports.  When it goes back
 * to the one before, two servers share the identity.
 */
static void
note_incarnation(const ReportRow *earlier, const char *incarnation, ReportRow *row)
{
	if (earlier == NULL)
		return;
	row->contested = earlier->contested;
	strcpy(row->replaced_incarnation, earlier->replaced_incarnation);
	if (strcmp(earlier->entry.member.incarnation, incarnation) == 0)
		return;
	if (strcmp(earlier->replaced_incarnation, incarnation) == 0)
		row->contested = du_clock_ms();
	strcpy(row->replaced_incarnation, earlier->entry.member.incarnation);
}

/* Rows that are free, and those that this branch will free. */
static int
count_room(const ReportRow *earlier)
{
	int			room = 0;

	for (int i = 0; i < FLEET_MEMBERS; i++)
		room += !table->rows[i].used ||
			(earlier != NULL && table->rows[i].entry.branch == earlier->entry.branch);
	return room;
}

static ReportRow *
take_free_row(void)
{
	for (int i = 0; i < FLEET_MEMBERS; i++)
	{
		ReportRow  *row = &table->rows[i];

		if (row->used)
			continue;
		memset(row, 0, sizeof(ReportRow));
		row->used = true;
		table->nrows = Max(table->nrows, i + 1);
		return row;
	}
	elog(ERROR, "there is no room for the report of another standby");
}

static void
store_branch(const ReportRow *earlier, const FleetMember *members, const int64 *lags,
			 int nmembers, pid_t sender, Oid reporter)
{
	ReportRow	direct = {0};
	int			branch = -1;

	note_incarnation(earlier, members[0].incarnation, &direct);
	if (earlier != NULL)
		drop_branch(earlier->entry.branch);
	for (int i = 0; i < nmembers; i++)
	{
		ReportRow  *row = take_free_row();

		if (i == 0)
		{
			branch = row - table->rows;
			row->contested = direct.contested;
			strcpy(row->replaced_incarnation, direct.replaced_incarnation);
		}
		row->entry.member = members[i];
		row->entry.branch = branch;
		row->entry.lag_ms = lags[i];
		row->entry.sender = sender;
		row->entry.vouched_by = sender == 0 ? reporter : InvalidOid;
		row->entry.received = du_clock_ms();
		row->entry.received_at = GetCurrentTimestamp();
	}
}

/*
 * Stores the report of a direct standby, members[0], and of all below it, with
 * how far each lags.  senders are the WAL senders that match its connection,
 * those that match best first; where there is none, the role vouches for it.
 */
StoreOutcome
du_reports_store(const FleetMember *members, const int64 *lags, int nmembers,
				 const pid_t *senders, int nsenders, Oid reporter)
{
	StoreOutcome outcome = STORE_FULL;
	ReportRow  *earlier;

	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	drop_expired();
	earlier = find_direct(members[0].identity);
	if (count_room(earlier) >= nmembers)
	{
		pid_t		sender = choose_sender(earlier, members[0].identity, senders, nsenders);

		outcome = is_changed(earlier, members, nmembers, sender) ? STORE_CHANGED : STORE_SAME;
		store_branch(earlier, members, lags, nmembers, sender, reporter);
	}
	LWLockRelease(table->lock);
	return outcome;
}

/*
 * Copies what there is, palloc'd; branches refer to indexes of the result.
 */
int
du_reports_list(FleetEntry **entries)
{
	int			place[FLEET_MEMBERS] = {0};
	int			n = 0;

	*entries = NULL;
	if (table == NULL)
		return 0;
	LWLockAcquire(table->lock, LW_SHARED);
	for (int i = 0; i < table->nrows; i++)
	{
		if (table->rows[i].used)
			place[i] = n++;
	}
	if (n > 0)
		*entries = palloc(n * sizeof(FleetEntry));
	for (int i = 0; i < table->nrows; i++)
	{
		const ReportRow *row = &table->rows[i];
		const ReportRow *direct;

		if (!row->used)
			continue;
		direct = &table->rows[row->entry.branch];
		(*entries)[place[i]] = row->entry;
		(*entries)[place[i]].branch = place[row->entry.branch];
		(*entries)[place[i]].contested = direct->contested != 0 &&
			!du_clock_exceeds(direct->contested, 2 * du_guc_standby_report_timeout);
	}
	LWLockRelease(table->lock);
	return n;
}

/* The end of what is packed so far: where the empty name is or is to be. */
static size_t
packed_length(const FleetMember *member)
{
	MemberExtension extension;
	const char *position = NULL;

	while ((position = du_member_next_extension(member, position, &extension)) != NULL)
	{
		const char *next = extension.sha256 + strlen(extension.sha256) + 1;

		if (*next == '\0')
			return next - member->extensions;
	}
	return 0;
}

/*
 * Adds an extension to a member; false when there is no room.
 */
bool
du_member_add_extension(FleetMember *member, const MemberExtension *extension)
{
	const char *texts[] = {extension->name, extension->installed, extension->binary, extension->loaded, extension->sha256};
	size_t		length = packed_length(member);
	size_t		needed = 1;		/* for the empty name */

	for (int i = 0; i < lengthof(texts); i++)
		needed += strlen(texts[i]) + 1;
	if (length + needed > sizeof(member->extensions))
		return false;
	for (int i = 0; i < lengthof(texts); i++)
	{
		strcpy(member->extensions + length, texts[i]);
		length += strlen(texts[i]) + 1;
	}
	member->extensions[length] = '\0';
	return true;
}

/*
 * Steps through a member's extensions: from NULL to the first, and so on to
 * NULL again.
 */
const char *
du_member_next_extension(const FleetMember *member, const char *position,
						 MemberExtension *extension)
{
	const char *name = position == NULL ? member->extensions : position;

	if (position != NULL)
		for (int i = 0; i < 5; i++)
			name += strlen(name) + 1;
	if (*name == '\0')
		return NULL;
	extension->name = name;
	extension->installed = extension->name + strlen(extension->name) + 1;
	extension->binary = extension->installed + strlen(extension->installed) + 1;
	extension->loaded = extension->binary + strlen(extension->binary) + 1;
	extension->sha256 = extension->loaded + strlen(extension->loaded) + 1;
	return name;
}

/*
 * What a member says of one extension; false, with nothing known, when it says
 * nothing.
 */
bool
du_member_find_extension(const FleetMember *member, const char *name,
						 MemberExtension *extension)
{
	static const MemberExtension nothing = {"", "", "", "", ""};
	const char *position = NULL;

	while ((position = du_member_next_extension(member, position, extension)) != NULL)
	{
		if (strcmp(extension->name, name) == 0)
			return true;
	}
	*extension = nothing;
	return false;
}
