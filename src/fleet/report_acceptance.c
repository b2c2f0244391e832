/*-------------------------------------------------------------------------
 *
 * report_acceptance.c
 *	  Takes the report of a standby: allowed, read, stored, answered.
 *
 * Who is a standby is known by two things that a session cannot claim: it has
 * authenticated as a role with REPLICATION, and a WAL sender serves that role
 * at the same address (or with the slot that the report names) just now.
 *
 * Where a standby cannot connect to a database in the way in which it streams,
 * it reports as another role.  That one is believed because somebody has
 * granted it EXECUTE, which PUBLIC has anyway: so the grant says nothing else.
 * The WAL sender is looked for by what the report claims, and when there is
 * none the report is kept as the word of that role.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fleet/internal.h"

#include "access/xlog.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "base/base.h"
#include "processes/processes.h"

#define DEFAULT_NAME "walreceiver"	/* of standbys that were given none */

/*
 * True when the role, or one whose privileges it has, was granted EXECUTE by
 * name.  Owners have it without that.
 */
static bool
may_vouch(Oid role)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(role)};
	bool		isnull;
	bool		granted;

	du_query("SELECT EXISTS (SELECT FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a"
			 "   WHERE p.pronamespace = 'documentdb_upgrade'::pg_catalog.regnamespace"
			 "     AND p.proname IN ('report_standby', 'run_report_standby')"
			 "     AND a.grantee NOT IN (0, p.proowner)"
			 "     AND pg_catalog.pg_has_role($1, a.grantee, 'USAGE'))",
			 lengthof(values), types, values);
	granted = DatumGetBool(du_query_datum(0, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return granted;
}

/* The same, as it is asked from outside. */
static bool
is_vouching(Oid role)
{
	ExecutionContext context;
	bool		granted;

	du_context_enter(&context);
	SPI_connect();
	granted = may_vouch(role);
	SPI_finish();
	du_context_leave(&context);
	return granted;
}

static void
refuse(const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to report a standby"),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

static void
check_memory(void)
{
	if (du_shared_exists())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this server keeps no reports of standbys"),
			 errhint("Add documentdb_upgrade to shared_preload_libraries and restart PostgreSQL.")));
}

/*
 * How well a WAL sender matches the report's connection; 0: not at all.  From a
 * role that vouches, a name counts too; one that many have counts together with
 * the address.
 */
static int
match(const ReplicationSender *sender, const FleetMember *member, const char *address, bool vouched)
{
	bool		same_role = sender->role == GetSessionUserId();
	bool		same_slot = sender->slot != NULL && strcmp(sender->slot, member->slot) == 0;
	bool		same_address = strcmp(sender->address, address) == 0;
	bool		same_name = application_name != NULL && strcmp(sender->name, application_name) == 0;
	bool		claimed = vouched && same_name &&
		(same_address || (sender->name[0] != '\0' && strcmp(sender->name, DEFAULT_NAME) != 0));

	if (sender->pid == 0 || sender->is_backup || (!same_role && !vouched) ||
		!(same_slot || (same_address && same_role) || claimed))
		return 0;
	return 1 + same_address + (same_name ? 2 : 0) + (same_slot ? 4 : 0);
}

/*
 * The senders that match, the best first; the name and slot of the best become
 * the member's.
 */
static int
match_senders(FleetMember *member, bool vouched, pid_t *senders, int limit)
{
	List	   *all = du_senders_list();
	char	   *address = du_senders_own_address();
	int			n = 0;

	for (int score = 8; score > 0; score--)
	{
		ListCell   *lc;

		foreach(lc, all)
		{
			const ReplicationSender *sender = lfirst(lc);

			if (n == limit || match(sender, member, address, vouched) != score)
				continue;
			if (n == 0)
				strlcpy(member->name, sender->name, sizeof(member->name));
			senders[n++] = sender->pid;
		}
	}
	return n;
}

/* How far each member was behind this server when its report arrived. */
static int64 *
lags_of(const FleetMember *members, int n)
{
	int64	   *lags = palloc(n * sizeof(int64));

	for (int i = 0; i < n; i++)
		lags[i] = members[i].replayed == InvalidXLogRecPtr ? -1 :
			du_lsn_clock_lag(members[i].replayed);
	return lags;
}

/* Who this server is and whom it streams from itself. */
static char *
answer_of(const char *own_identity)
{
	StringInfoData buf;
	WorkerFacts worker = {0};
	bool		recovery = RecoveryInProgress();
	List	   *path = NIL;

	(void) du_shared_main_worker(&worker);
	for (int i = 0; recovery && i < worker.path_length; i++)
		path = lappend(path, pstrdup(worker.path[i]));

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	du_write_text(&buf, "identity", own_identity);
	du_write_bool(&buf, "recovery", recovery);
	du_write_bool(&buf, "root", !recovery || worker.path_complete);
	du_write_texts(&buf, "path", path);
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/*
 * Takes a report and gives the answer in JSON, palloc'd.  Raises 42501, 22023,
 * 54000, or 55000 where nothing is preloaded.
 */
char *
du_report_accept(Jsonb *report)
{
	MemoryContext memory = CurrentMemoryContext;
	ExecutionContext context;
	Oid			caller = GetUserId();
	bool		streams = has_rolreplication(caller);
	bool		vouched;
	char		own_identity[SHARED_IDENTITY_LENGTH];
	FleetMember *members;
	pid_t		senders[FLEET_MEMBERS];
	int			nmembers;
	int			nsenders;
	StoreOutcome outcome;

	/*
	 * The role that calls counts, not that of the session, which may serve
	 * others by SET ROLE.
	 */
	vouched = is_vouching(caller);
	if (!streams && !vouched)
		refuse("The role that calls does not have the REPLICATION attribute.",
			   "Standbys report as the role of their primary_conninfo, or as a role that was granted EXECUTE on procedure documentdb_upgrade.run_report_standby by name.");
	check_memory();
	du_identity_read(own_identity, NULL);
	nmembers = du_report_read(report, own_identity, &members);

	du_context_enter(&context);
	SPI_connect();
	MemoryContextSwitchTo(memory);
	nsenders = match_senders(&members[0], vouched, senders, lengthof(senders));
	SPI_finish();
	MemoryContextSwitchTo(memory);
	du_context_leave(&context);
	if (nsenders == 0 && !vouched)
		refuse("No WAL sender serves this role at the address of this session.",
			   "A standby reports while it streams, over the connection that its primary_conninfo describes, or as a role that was granted EXECUTE on procedure documentdb_upgrade.run_report_standby by name.");
	if (nsenders == 0 && application_name != NULL && application_name[0] != '\0')
		strlcpy(members[0].name, application_name, sizeof(members[0].name));

	du_lsn_clock_note();
	outcome = du_reports_store(members, lags_of(members, nmembers), nmembers, senders, nsenders, caller);
	if (outcome == STORE_FULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many standbys report"),
				 errdetail("This server keeps the reports of %d.", FLEET_MEMBERS)));
	if (outcome == STORE_CHANGED)
		du_shared_wake_workers();
	return answer_of(own_identity);
}
