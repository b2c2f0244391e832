/*-------------------------------------------------------------------------
 *
 * own_report.c
 *	  What a standby reports to its upstream.
 *
 * Itself first, then everything below it: so a tree of cascades and regions
 * reaches the primary over one connection per standby.  What is below is passed
 * on as it was told, judged by this server: who has gone silent here, the
 * primary has no other way to know.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/standby/internal.h"

#include "access/xlogrecovery.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "replication/walreceiver.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "extension/extension.h"
#include "fleet/fleet.h"
#include "guards/guards.h"
#include "processes/processes.h"
#include "status/status.h"

static const char *
word_name(MemberWord word)
{
	switch (word)
	{
		case MEMBER_OK:
			return "ok";
		case MEMBER_STALE:
			return "stale";
		case MEMBER_SILENT:
			return "silent";
	}
	elog(ERROR, "unrecognized word about a standby: %d", (int) word);
}

/* A text that is not known is left out. */
static void
write_known(StringInfo buf, const char *key, const char *text)
{
	du_write_text(buf, key, text[0] != '\0' ? text : NULL);
}

/* Copies a text as far as there is room, in whole characters. */
static void
set_text(char *field, const char *text, size_t size)
{
	int			length = text == NULL ? 0 : pg_mbcliplen(text, strlen(text), size - 1);

	memcpy(field, text == NULL ? "" : text, length);
	field[length] = '\0';
}

static void
write_lsn(StringInfo buf, const char *key, XLogRecPtr lsn)
{
	if (lsn != InvalidXLogRecPtr)
		du_write_text(buf, key, psprintf("%X/%X", LSN_FORMAT_ARGS(lsn)));
}

/*
 * Writes a member.  Without positions it is what counts for a report at once.
 */
static void
write_member(StringInfo buf, const FleetMember *member, bool positions)
{
	MemberExtension extension;
	const char *place = NULL;

	du_write_open(buf, NULL, '{');
	write_known(buf, "identity", member->identity);
	write_known(buf, "incarnation", member->incarnation);
	write_known(buf, "upstream", member->upstream);
	write_known(buf, "name", member->name);
	write_known(buf, "host", member->host);
	write_known(buf, "slot", member->slot);
	du_write_text(buf, "status", word_name(member->word));
	du_write_bool(buf, "designated", member->designated);
	du_write_int(buf, "expected", member->expected);
	du_write_int(buf, "timeline", member->timeline);
	if (positions)
	{
		write_lsn(buf, "received", member->received);
		write_lsn(buf, "replayed", member->replayed);
	}
	du_write_bool(buf, "paused", member->paused);
	du_write_text(buf, "library", du_library_state_name(member->library));
	du_write_int(buf, "server", member->server);
	write_known(buf, "program", member->program);
	write_known(buf, "gate", member->gate);
	write_known(buf, "fingerprint", member->fingerprint);
	write_known(buf, "problem", member->problem);
	du_write_open(buf, "extensions", '[');
	while ((place = du_member_next_extension(member, place, &extension)) != NULL)
	{
		du_write_open(buf, NULL, '{');
		du_write_text(buf, "name", extension.name);
		write_known(buf, "installed", extension.installed);
		write_known(buf, "binary", extension.binary);
		write_known(buf, "loaded", extension.loaded);
		write_known(buf, "sha256", extension.sha256);
		du_write_close(buf, '}');
	}
	du_write_close(buf, ']');
	du_write_close(buf, '}');
}

static const char *
known(const char *text)
{
	return text !=NULL ? text : "";
}

/* The managed set as it is seen here. */
static void
describe_extensions(FleetMember *member, const UpgradeFacts *facts)
{
	for (int i = 0; i < facts->nextensions; i++)
	{
		const ExtensionFacts *extension = &facts->extensions[i];
		MemberExtension seen = {extension->name, known(extension->installed),
		known(extension->limit), "", du_server_facts_binary_digest(extension)};

		if (i == facts->main)
			seen.loaded = known(du_loaded_version(extension));

		/* What there is no room for is not known upstream, and blocks. */
		if (extension->installed != NULL || extension->binary != NULL)
			(void) du_member_add_extension(member, &seen);
	}
}

/* Serves the next function. */
static void
describe_set(void *arg)
{
	if (du_main_selected()[0] != '\0')
		describe_extensions(arg, du_managed_gather());
}

/*
 * The main extensions of other databases, whose binaries are this server's too.
 * What is installed there is not told: it can differ between databases.
 */
static void
describe_other_databases(FleetMember *member)
{
	int			n;
	DatabaseRecord *records = du_records_list(&n);

	for (int i = 0; i < n; i++)
	{
		const DatabaseFindings *found = &records[i].found;
		MemberExtension seen = {found->extension, "", found->binary, "", ""};
		MemberExtension known_already;

		if (found->extension[0] != '\0' && found->binary[0] != '\0' && found->installed[0] != '\0' &&
			!du_member_find_extension(member, found->extension, &known_already))
			(void) du_member_add_extension(member, &seen);
	}
}

/* The positions of this server's replay. */
static void
describe_replay(FleetMember *member)
{
	TimeLineID	timeline = 0;

	member->replayed = GetXLogReplayRecPtr(&timeline);
	member->received = GetWalRcvFlushRecPtr(NULL, NULL);
	member->timeline = (int) timeline;
	member->paused = GetRecoveryPauseState() != RECOVERY_NOT_PAUSED;
}

static void
describe_self(FleetMember *member, const Assessment *assessment, const WorkerFacts *worker,
			  bool designated)
{
	const ExtensionFacts *extension = du_managed_main(assessment->facts);
	const char *program = du_extension_installed_version("documentdb_upgrade", NULL);

	du_identity_read(member->identity, member->incarnation);
	set_text(member->name, cluster_name, sizeof(member->name));
	set_text(member->host, du_identity_host(), sizeof(member->host));
	set_text(member->slot, PrimarySlotName, sizeof(member->slot));
	member->designated = designated;
	member->expected = designated ? worker->region_standbys : -1;
	describe_replay(member);
	member->library = du_library_facts(assessment->facts).state;
	member->server = PG_VERSION_NUM;
	set_text(member->program, known(program), sizeof(member->program));
	if (extension->installed != NULL)
		set_text(member->gate, known(du_loaded_gate(extension->installed)), sizeof(member->gate));
	set_text(member->fingerprint, du_assessment_fingerprint(assessment), sizeof(member->fingerprint));
	describe_extensions(member, assessment->facts);
	du_main_run_each(describe_set, member);
	describe_other_databases(member);
}

/*
 * Composes the report of this standby, palloc'd: what report_standby() takes,
 * and a digest of all of it but positions.  To be called while the assessment is
 * open.  worker is what this server's worker knows.
 */
OwnReport
du_own_report_compose(const Assessment *assessment, const WorkerFacts *worker, bool designated)
{
	OwnReport	report;
	FleetMember self = {0};
	const Fleet *fleet = du_fleet_gather();
	StringInfoData text;
	StringInfoData essence;
	ListCell   *lc;

	describe_self(&self, assessment, worker, designated);
	initStringInfo(&text);
	initStringInfo(&essence);
	appendStringInfoString(&text, "{\"protocol\": 1, \"members\": [");
	write_member(&text, &self, true);
	write_member(&essence, &self, false);
	foreach(lc, fleet->instances)
	{
		const FleetInstance *instance = lfirst(lc);

		write_member(&text, &instance->member, true);
		write_member(&essence, &instance->member, false);
	}
	appendStringInfoString(&text, "]}");
	report.text = text.data;

	report.digest = du_digest_bytes(essence.data, essence.len);
	return report;
}
