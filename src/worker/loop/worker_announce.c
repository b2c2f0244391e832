/*-------------------------------------------------------------------------
 *
 * worker_announce.c
 *	  Tells people and programs what the worker has found: log, NOTIFY, and
 *	  the content of reports.
 *
 * Something is said when it changes.  Texts contain ages and names of
 * sessions that change at every look, so what counts as a change is the
 * state with what it depends on, not its wording.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/loop/internal.h"

#include "commands/async.h"
#include "commands/dbcommands.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "extension/extension.h"
#include "finalize/finalize.h"
#include "plan/plan.h"
#include "processes/processes.h"
#include "status/status.h"
#include "worker/kubernetes/kubernetes.h"

/* States and how the condition and Events of the custom resource call them. */
typedef struct StateAnnouncement
{
	const char *state;
	const char *reason;
	bool		settled;
	const char *event_type;		/* NULL: no Event */
	const char *event_reason;
} StateAnnouncement;

static const StateAnnouncement voices[] = {
	{"not_installed", "NotInstalled", false, NULL, NULL},
	{"up_to_date", "UpToDate", true, NULL, NULL},
	{"update_available", "UpdateAvailable", true, "Normal", "SchemaUpdateAvailable"},
	{"waiting", "Waiting", false, NULL, NULL},
	{"held", "Held", false, "Warning", "SchemaUpgradeBlocked"},
	{"blocked", "Blocked", false, "Warning", "SchemaUpgradeBlocked"},
	{"pending", "Pending", false, NULL, NULL},
	{"finalizing", "Finalizing", false, NULL, NULL},
	{"verifying", "Verifying", false, NULL, NULL},
	{"failed", "Failed", false, "Warning", "SchemaUpgradeFailed"},
	{"schema_ahead", "SchemaAhead", false, "Warning", "ExtensionRollback"},

	/* Of a designated primary; whether it is settled, the decision says. */
	{"standby", "ReplicaRegion", false, NULL, NULL},

	/* What the coordinator does is told by it. */
	{"worker_node", "WorkerNode", false, NULL, NULL},
};

static const StateAnnouncement *
find_voice(const char *state)
{
	for (int i = 0; i < lengthof(voices); i++)
	{
		if (strcmp(voices[i].state, state) == 0)
			return &voices[i];
	}
	return NULL;
}

static const char *
text_or(const char *value, const char *otherwise)
{
	return value != NULL ? value : otherwise;
}

/*
 * What a state depends on: when this is the same, nothing is new.
 */
static char *
key_of(const Worker *worker, const Assessment *assessment)
{
	const ExtensionFacts *extension = du_assessment_main(assessment);
	const WorkerFacts *facts = &worker->facts;
	StringInfoData key;
	ListCell   *lc;

	initStringInfo(&key);
	appendStringInfo(&key, "%s|%s|%s|%s|%s|%s|%s|%d|%s", assessment->state.state, assessment->decided.reason,
					 text_or(extension->installed, ""), text_or(extension->binary, ""),
					 facts->desired, facts->last_error, facts->hold_reason,
					 facts->gave_up, text_or(assessment->fence, ""));
	if (!facts->source_ok)
		appendStringInfo(&key, "|%s", facts->source_problem);
	foreach(lc, du_assessment_failing_guards(assessment))
		appendStringInfo(&key, "|%s", (char *) lfirst(lc));
	if (assessment->straggler != NULL)
		appendStringInfo(&key, "|%s", assessment->straggler);
	if (worker->main && assessment->others_behind != NULL)
		appendStringInfo(&key, "|%s", assessment->others_behind);
	if (assessment->in_recovery)
		appendStringInfo(&key, "|%d|%s", facts->upstream_ok, facts->upstream_problem);
	return key.data;
}

/* What listeners are told: a JSON object. */
static char *
notice_of(const Worker *worker, const Assessment *assessment)
{
	const ExtensionFacts *extension = du_assessment_main(assessment);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"event\": \"state\", \"extension\": ");
	escape_json(&buf, extension->name);
	appendStringInfoString(&buf, ", \"state\": ");
	escape_json(&buf, assessment->state.state);
	appendStringInfoString(&buf, ", \"desired\": ");
	escape_json(&buf, worker->facts.desired);
	if (extension->installed != NULL)
	{
		appendStringInfoString(&buf, ", \"installed\": ");
		escape_json(&buf, extension->installed);
	}
	if (assessment->decided.target != NULL)
	{
		appendStringInfoString(&buf, ", \"target\": ");
		escape_json(&buf, assessment->decided.target);
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

static char *
dotted(const char *text)
{
	ExtensionVersion version;
	const char *reason;

	if (text == NULL || !du_version_parse(text, &version, &reason))
		return NULL;
	return du_version_to_semver(&version);
}

#define IN_A_WORD "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_/+~"

/*
 * How the resource spells a word that is a version as extensions spell it
 * ("0.112-0"), or NULL for any other word.
 */
static char *
spell_word(const char *word, size_t length)
{
	char	   *copy = pnstrdup(word, length);
	size_t		digits = strspn(copy, "0123456789.");

	/* A date has no dot, and a file name does not begin with a digit. */
	if (digits == 0 || copy[digits] != '-' || memchr(copy, '.', digits) == NULL ||
		strpbrk(copy, "_/+~") != NULL || strchr(copy + digits + 1, '-') != NULL)
		return NULL;
	return dotted(copy);
}

/*
 * A text about the resource, with the versions in it as its fields have them:
 * one version is not to have two spellings there.  Our functions take both.
 */
static const char *
spell_for_resource(const char *text)
{
	StringInfoData buf;

	if (text == NULL)
		return NULL;
	initStringInfo(&buf);
	while (*text != '\0')
	{
		size_t		between = strcspn(text, IN_A_WORD);
		size_t		length;
		size_t		word;
		char	   *spelt;

		appendBinaryStringInfo(&buf, text, between);
		text += between;
		length = word = strspn(text, IN_A_WORD);
		while (word > 0 && text[word - 1] == '.')
			word--;				/* the end of a sentence */
		spelt = spell_word(text, word);
		if (spelt != NULL)
			appendStringInfoString(&buf, spelt);
		else
			appendBinaryStringInfo(&buf, text, word);
		appendBinaryStringInfo(&buf, text + word, length - word);
		text += length;
	}
	return buf.data;
}

static void
tell_event(Worker *worker, const char *type, const char *reason, const char *message)
{
	du_kube_report_event(worker->report, type, reason, spell_for_resource(message));
}

/*
 * The message of the Event, in the words that users of the operator know where
 * there are such.
 */
static const char *
event_message(const Assessment *assessment)
{
	const ExtensionFacts *extension = du_assessment_main(assessment);
	char	   *binary = dotted(extension->binary);

	/* A desired version changes nothing where only companions are behind. */
	if (assessment->decided.decision != DECISION_UPDATE_AVAILABLE || binary == NULL ||
		assessment->in_recovery || strcmp(assessment->decided.target, extension->installed) == 0)
		return assessment->state.next_step;
	return psprintf("Schema update available: binary version is %s, schema is at %s. Set spec.schemaVersion to \"%s\" or \"auto\" to finalize the upgrade.",
					binary, text_or(dotted(extension->installed), "none"), binary);
}

/*
 * True when there is nothing more to wish for.  What a replica region sees is
 * settled when nothing else is desired there; it comes from the primary.
 */
static bool
is_settled(const Assessment *assessment, const StateAnnouncement *voice)
{
	if (!assessment->in_recovery)
		return voice->settled;
	return assessment->decided.decision == DECISION_NONE ||
		assessment->decided.decision == DECISION_UPDATE_AVAILABLE;
}

static void
report(Worker *worker, const Assessment *assessment, const StateAnnouncement *voice, bool upgraded)
{
	const ExtensionFacts *extension = du_assessment_main(assessment);
	ReportContent content;

	if (worker->report == NULL || voice == NULL)
		return;
	content.schema_version = dotted(extension->installed);
	content.status = is_settled(assessment, voice) ? "True" : "False";
	content.reason = voice->reason;
	content.message = spell_for_resource(event_message(assessment));
	du_kube_report_set(worker->report, &content);

	if (upgraded)
		tell_event(worker, "Normal", "SchemaUpgraded",
						psprintf("Schema of extension %s is at %s. %s", extension->name,
								 text_or(content.schema_version, extension->installed),
								 assessment->state.next_step));
	if (voice->event_type != NULL)
		tell_event(worker, voice->event_type, voice->event_reason,
						content.message);
	if (!upgraded && assessment->straggler != NULL && strcmp(worker->announced_state, "up_to_date") == 0)
		tell_event(worker, "Warning", "StandbyNotReady", content.message);
}

/*
 * Tells of writes that are stopped for maintenance, and of the end of that.
 */
static void
report_fence(Worker *worker, const Assessment *assessment)
{
	bool		told = worker->fence_told;

	worker->fence_told = assessment->maintenance;
	if (worker->report == NULL || told == assessment->maintenance)
		return;
	if (assessment->maintenance)
		tell_event(worker, "Normal", "FenceRaised", assessment->fence);
	else
		tell_event(worker, "Normal", "FenceLifted",
						"Writes to this database are no longer stopped for maintenance.");
}

/*
 * One line in the log for what is new; of a standby that is nearly always the
 * same.
 */
static void
log_state(Worker *worker, const Assessment *assessment)
{
	bool		is_trouble = strcmp(assessment->state.state, "failed") == 0 ||
	strcmp(assessment->state.state, "schema_ahead") == 0 ||
	assessment->decided.decision == DECISION_REFUSE;

	if (assessment->in_recovery && !is_trouble && worker->standby_told)
		return;
	worker->standby_told = assessment->in_recovery;
	ereport(is_trouble ? WARNING : LOG,
			(is_trouble ? errcode(ERRCODE_WARNING) : 0,
			 errmsg("schema of extension \"%s\" is %s", du_assessment_main(assessment)->name,
					assessment->state.state),
			 errdetail_internal("%s", assessment->state.next_step)));
}

/* Remembers what is announced; false when it is nothing new. */
static bool
is_new(Worker *worker, const char *key)
{
	if (worker->announced != NULL && strcmp(worker->announced, key) == 0)
		return false;
	if (worker->announced != NULL)
		pfree(worker->announced);
	worker->announced = MemoryContextStrdup(TopMemoryContext, key);
	return true;
}

/*
 * True while an attempt commits, which may wait for a standby with the lock
 * that every NOTIFY needs for its commit.
 */
static bool
attempt_commits(void)
{
	RunningAttempt attempts[RUNNING_ATTEMPTS];
	int			n = du_running_list(attempts);

	for (int i = 0; i < n; i++)
	{
		if (attempts[i].commit_begun)
			return true;
	}
	return false;
}

/*
 * Says what a pass has found, if it is new.  assessment is NULL in a database
 * without this extension.  To be called in the pass's transaction.
 */
void
du_worker_announce(Worker *worker, const Assessment *assessment)
{
	const char *installed;
	bool		upgraded;

	if (assessment == NULL)
	{
		if (is_new(worker, ""))
			ereport(LOG,
					(errmsg("extension \"documentdb_upgrade\" is not installed in database \"%s\"",
							get_database_name(MyDatabaseId)),
					 errhint("Run CREATE EXTENSION documentdb_upgrade there.")));
		return;
	}
	if (attempt_commits())
		return;
	if (!is_new(worker, key_of(worker, assessment)))
	{
		if (worker->notice_pending)
			Async_Notify("documentdb_upgrade", notice_of(worker, assessment));
		return;
	}

	installed = text_or(du_assessment_main(assessment)->installed, "");
	upgraded = worker->announced_version[0] != '\0' && installed[0] != '\0' &&
		strcmp(worker->announced_version, installed) != 0;
	strlcpy(worker->announced_version, installed, sizeof(worker->announced_version));

	log_state(worker, assessment);
	worker->notice_pending = !assessment->in_recovery;
	if (worker->notice_pending)
		Async_Notify("documentdb_upgrade", notice_of(worker, assessment));
	report(worker, assessment, find_voice(assessment->state.state), upgraded);
	report_fence(worker, assessment);
	strlcpy(worker->announced_state, assessment->state.state, sizeof(worker->announced_state));
}

/*
 * Says that an attempt begins.
 */
void
du_announce_started(Worker *worker)
{
	const AttemptOrder *order = &worker->order;

	ereport(LOG,
			(worker->companions_alone ?
			 errmsg("finalizing the companions of extension \"%s\" at \"%s\"",
					order->extension, order->target) :
			 errmsg("finalizing extension \"%s\" to \"%s\"", order->extension, order->target),
			 errdetail_internal("What changes: %s.", worker->changes)));
	if (worker->report != NULL)
		tell_event(worker, "Normal", "SchemaUpgradeStarted",
						psprintf("Finalizing %s. SELECT * FROM documentdb_upgrade.progress; shows how far it is.",
								 worker->companions_alone ?
								 psprintf("the companions of extension %s at %s: %s",
										  order->extension, order->target, worker->changes) :
								 psprintf("extension %s to %s", order->extension, order->target)));
}

/*
 * Says that an attempt has succeeded, where no other version of the main
 * extension will tell it.
 */
void
du_announce_succeeded(Worker *worker)
{
	if (worker->report == NULL || worker->changes == NULL || !worker->companions_alone)
		return;
	tell_event(worker, "Normal", "SchemaUpgraded",
					psprintf("The companions of extension %s at %s are at their targets: %s.",
							 worker->order.extension, worker->order.target, worker->changes));
}
