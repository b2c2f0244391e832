/*-------------------------------------------------------------------------
 *
 * upstream_report.c
 *	  Tells a standby's upstream how the standby stands.
 *
 * A report goes out when a third of standby_report_timeout has passed since
 * the last one, and at once when what matters in it has changed, one at a
 * time.  Each has a connection of its own that is closed with the answer: a
 * lasting one would keep the upstream from a smart shutdown, and take one of
 * its connections for good.  An upstream takes reports only while the WAL
 * receiver is connected to it, so they wait for that for a moment.
 *
 * After a failure the next report comes later and later, up to the usual
 * pace, or slower where a server refuses it.  Where another database can take
 * it, that one is tried at once, and kept while it does.  What is reported is
 * left to others, who are asked for a fresh text each time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/standby/internal.h"

#include "common/pg_prng.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "fleet/fleet.h"
#include "processes/processes.h"
#include "worker/net/net.h"

#define SHORTEST_PAUSE_MS	100 /* between reports, whatever changes */
#define RECEIVER_LOOK_MS	100
#define RECEIVER_GRACE_MS	3000	/* that reports wait for the WAL receiver */
#define SHORTEST_TIMEOUT_MS 2000
#define LONGEST_TIMEOUT_MS	10000
#define LONGEST_ANSWER		8192
#define REFUSED_INTERVALS	6	/* usual paces between reports that are
								 * refused */
#define DIGEST_LENGTH		129

static const char statement[] = "CALL documentdb_upgrade.run_report_standby($1::pg_catalog.jsonb, NULL)";

struct UpstreamReport
{
	MemoryContext context;
	MemoryContext scratch;		/* of one step */
	bool		designated;		/* head of a replica region */
	bool		nowhere;		/* there is nobody to report to */

	char	   *body;			/* to be sent, NULL: none, or sent already */
	char		digest[DIGEST_LENGTH];	/* of the text set last */
	char		digest_sent[DIGEST_LENGTH];
	char		digest_taken[DIGEST_LENGTH];	/* "" when none was */
	bool		starved;		/* no text came when one was due */

	LibpqClient *client;		/* of the report under way */
	int64		due;			/* of the next one, by the clock */
	int64		not_before;		/* whatever changes */
	int64		receiver_away;	/* since when it is not connected, as far as
								 * was seen; -1: it is */
	int			failures;		/* in a row */
	bool		in_other_database;	/* of the two that are possible */

	/* What the first database has answered, while the other one is tried. */
	char		first_sqlstate[6];	/* "" when there is nothing */
	char		first_problem[SHARED_TEXT_LENGTH];
	char		first_hint[SHARED_TEXT_LENGTH];

	char		upstream[SHARED_TEXT_LENGTH];
	UpstreamVerdict verdict;	/* the last one; its texts are the next two */
	char		problem[SHARED_TEXT_LENGTH];
	char		hint[SHARED_TEXT_LENGTH];
	char		logged[SHARED_TEXT_LENGTH]; /* the problem that the log has */
	TimestampTz last_taken;		/* 0: never */
	uint64		taken;
	uint64		failed;
};

/* The usual pace. */
static int
get_interval(void)
{
	return du_guc_standby_report_timeout / 3;
}

/* Keeps a verdict, and says in the log what is new in it. */
static void
take_verdict(UpstreamReport *report, const UpstreamVerdict *verdict)
{
	UpstreamVerdict before = report->verdict;

	report->verdict = *verdict;
	report->verdict.problem = report->verdict.hint = NULL;
	du_shared_copy_text(report->problem, verdict->problem != NULL ? verdict->problem : "");
	du_shared_copy_text(report->hint, verdict->hint != NULL ? verdict->hint : "");

	/* Where it would lead is known until it is known to lead elsewhere. */
	if (!verdict->taken)
	{
		report->verdict.path_length = before.path_length;
		report->verdict.path_complete = before.path_complete;
		memcpy(report->verdict.path, before.path, sizeof(before.path));
	}

	if (strcmp(report->problem, report->logged) == 0)
		return;
	strlcpy(report->logged, report->problem, sizeof(report->logged));
	if (report->problem[0] == '\0')
		ereport(LOG,
				(errmsg("standby reports to its upstream again")));
	else
		ereport(LOG,
				(errmsg("standby does not report to its upstream"),
				 errdetail_internal("%s", report->problem),
				 report->hint[0] != '\0' ? errhint("%s", report->hint) : 0));
}

/*
 * Reads where reports go, into the current memory context.
 */
static UpstreamConninfo
find_upstream(UpstreamReport *report)
{
	UpstreamConninfo upstream = du_upstream_conninfo();
	UpstreamVerdict verdict;

	du_shared_copy_text(report->upstream, upstream.location);
	report->nowhere = upstream.kind != UPSTREAM_KNOWN;
	if (report->in_other_database && upstream.other_database != NULL)
	{
		upstream.database = upstream.other_database;
		du_upstream_set(&upstream, "dbname", upstream.database);
	}
	if (report->nowhere)
	{
		verdict = du_verdict_without_upstream(upstream.kind, report->designated);
		report->verdict.path_length = 0;
		report->verdict.path_complete = false;
		take_verdict(report, &verdict);
	}
	return upstream;
}

/*
 * Opens reports to the upstream, in a memory context of their own.
 * designated is true for the head of a replica region.
 */
UpstreamReport *
du_upstream_report_open(bool designated)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "documentdb_upgrade standby report",
												  ALLOCSET_DEFAULT_SIZES);
	UpstreamReport *report = MemoryContextAllocZero(context, sizeof(UpstreamReport));

	report->context = context;
	report->scratch = AllocSetContextCreate(context, "documentdb_upgrade report scratch",
											ALLOCSET_DEFAULT_SIZES);
	report->receiver_away = -1;
	du_upstream_report_reload(report, designated);
	return report;
}

/*
 * True when the WAL receiver is about to connect, as far as can be told: a
 * report would be refused now, and the log would have a failure for nothing.
 */
static bool
waits_for_receiver(const UpstreamReport *report)
{
	return !du_upstream_receiver_connected() &&
		(report->receiver_away < 0 || du_clock_ms() < report->receiver_away + RECEIVER_GRACE_MS);
}

/* Sees whether the WAL receiver is connected. */
static void
look_at_receiver(UpstreamReport *report)
{
	if (du_upstream_receiver_connected())
		report->receiver_away = -1;
	else if (report->receiver_away < 0)
		report->receiver_away = du_clock_ms();
}

/* When the next report is due, by the clock; -1 while none can be. */
static int64
get_due_time(const UpstreamReport *report)
{
	int64		now = du_clock_ms();
	int64		due = report->due;

	if (report->nowhere || report->client != NULL)
		return -1;
	if (report->digest[0] != '\0' && strcmp(report->digest, report->digest_taken) != 0)
		due = 0;
	due = Max(due, report->not_before);
	if (due <= now && waits_for_receiver(report))
		due = now + RECEIVER_LOOK_MS;
	return due;
}

/*
 * True when a fresh text is wanted.
 */
bool
du_upstream_report_is_due(const UpstreamReport *report)
{
	int64		due = get_due_time(report);

	return due >= 0 && due <= du_clock_ms();
}

/*
 * What is to be reported from now on; NULL when there is nothing to tell.
 * digest is of what is worth a report at once when it changes.
 */
void
du_upstream_report_set(UpstreamReport *report, const char *body, const char *digest)
{
	if (report->body != NULL)
		pfree(report->body);
	report->body = body != NULL ? MemoryContextStrdup(report->context, body) : NULL;

	strlcpy(report->digest, body != NULL ? digest : "", sizeof(report->digest));
	if (body != NULL && report->starved)
	{
		report->starved = false;
		report->not_before = 0;
	}
}

/*
 * How long to wait after so many failures.  Each one that a server has refused
 * is a line in its log, so those come less and less often; what cannot be
 * reached costs nobody anything and is tried at the usual pace.
 */
static long
get_delay(int failures, bool refused)
{
	double		delay = du_guc_retry_min * (double) (1 << Min(failures - 1, 20));
	double		longest = refused ? REFUSED_INTERVALS * (double) get_interval() : get_interval();

	return (long) (Min(delay, longest) * (0.75 + pg_prng_double(&pg_global_prng_state) / 4));
}

/* Takes a verdict on a report that was not taken. */
static void
fail(UpstreamReport *report, const UpstreamVerdict *verdict, bool refused)
{
	take_verdict(report, verdict);
	report->failed++;
	report->due = report->not_before = du_clock_ms() + get_delay(++report->failures, refused);
}

/* Sends the text, which is gone then. */
static void
send_text(UpstreamReport *report)
{
	UpstreamConninfo upstream = find_upstream(report);
	LibpqRequest request = {0};
	const char *params[1];
	const char *problem;

	report->due = du_clock_ms() + get_interval();
	report->not_before = du_clock_ms() + Min(SHORTEST_PAUSE_MS, get_interval());
	if (report->nowhere)
		return;
	problem = du_report_password_add(&upstream);
	if (problem != NULL)
	{
		UpstreamVerdict verdict = du_verdict_without_password(problem);

		fail(report, &verdict, false);
		return;
	}

	strlcpy(report->digest_sent, report->digest, sizeof(report->digest_sent));

	params[0] = report->body;
	request.keywords = upstream.keywords;
	request.values = upstream.values;
	request.statement = statement;
	request.nparams = lengthof(params);
	request.params = params;
	request.longest = LONGEST_ANSWER;
	request.timeout_ms = Min(Max(get_interval(), SHORTEST_TIMEOUT_MS), LONGEST_TIMEOUT_MS);

	MemoryContextSwitchTo(report->context);
	report->client = du_libpq_start(&request);
	MemoryContextSwitchTo(report->scratch);
	pfree(report->body);
	report->body = NULL;
}

/* Ends the report under way. */
static void
end_report(UpstreamReport *report)
{
	du_libpq_close(report->client);
	report->client = NULL;
}

/*
 * True when another database can be asked after this answer, and is to be at
 * once.  What is wrong with the first one is kept.
 */
static bool
turns_to_other_database(UpstreamReport *report, const UpstreamConninfo *upstream,
						const LibpqAnswer *answer, const UpstreamVerdict *verdict)
{
	if (report->in_other_database || upstream->other_database == NULL ||
		answer->failure == LIBPQ_UNREACHABLE || answer->failure == LIBPQ_TIMED_OUT)
		return false;
	report->in_other_database = true;
	strlcpy(report->first_sqlstate, answer->sqlstate[0] != '\0' ? answer->sqlstate : "?",
			sizeof(report->first_sqlstate));
	du_shared_copy_text(report->first_problem, verdict->problem);
	du_shared_copy_text(report->first_hint, verdict->hint != NULL ? verdict->hint : "");
	report->due = report->not_before = 0;
	return true;
}

/*
 * Neither database has taken it: the verdict on the first one is said, and
 * where that one only lacks this extension, how the other one would do.
 */
static void
merge_verdicts(UpstreamReport *report, const UpstreamConninfo *upstream,
			   const LibpqAnswer *answer, UpstreamVerdict *verdict)
{
	report->in_other_database = false;
	if (report->first_sqlstate[0] == '\0')
		return;
	if (strcmp(report->first_sqlstate, "3D000") != 0)
	{
		bool		lacks_us = strcmp(report->first_sqlstate, "3F000") == 0;

		verdict->problem = pstrdup(report->first_problem);
		verdict->hint = lacks_us ? du_hint_for_two_databases(upstream, answer) :
			pstrdup(report->first_hint);
	}
	report->first_sqlstate[0] = '\0';
}

/* Takes what has become of the report under way, when that is known. */
static void
conclude(UpstreamReport *report)
{
	const LibpqAnswer *answer = du_libpq_get_answer(report->client);
	UpstreamConninfo upstream;
	UpstreamVerdict verdict;
	char		identity[SHARED_IDENTITY_LENGTH];
	char		incarnation[INCARNATION_LENGTH];

	if (answer->state == LIBPQ_RUNNING)
		return;
	if (answer->failure == LIBPQ_REFUSED && strcmp(answer->sqlstate, "42501") == 0 &&
		waits_for_receiver(report))
	{
		/* The WAL sender has just gone; another is on its way. */
		end_report(report);
		report->due = 0;
		return;
	}
	du_identity_read(identity, incarnation);
	upstream = find_upstream(report);
	if (report->nowhere)
	{
		end_report(report);
		return;
	}
	verdict = du_verdict_of_answer(answer, &upstream, identity);

	if (verdict.taken)
	{
		take_verdict(report, &verdict);
		report->taken++;
		report->failures = 0;
		report->first_sqlstate[0] = '\0';
		report->last_taken = GetCurrentTimestamp();
		strlcpy(report->digest_taken, report->digest_sent, sizeof(report->digest_taken));
	}
	else if (!turns_to_other_database(report, &upstream, answer, &verdict))
	{
		merge_verdicts(report, &upstream, answer, &verdict);
		fail(report, &verdict, answer->sqlstate[0] != '\0');
	}
	end_report(report);
}

/*
 * Takes what has arrived and sends what is due, without waiting.
 */
void
du_upstream_report_advance(UpstreamReport *report)
{
	MemoryContext caller = MemoryContextSwitchTo(report->scratch);

	look_at_receiver(report);
	if (report->client != NULL)
	{
		du_libpq_advance(report->client);
		conclude(report);
	}
	if (du_upstream_report_is_due(report))
	{
		if (report->body != NULL)
			send_text(report);
		else
		{
			report->starved = true;
			report->not_before = du_clock_ms() + get_interval();
		}
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(report->scratch);
}

/*
 * True when a report was taken or has failed, or there is none to be made.
 */
bool
du_upstream_report_was_made(const UpstreamReport *report)
{
	return report->nowhere || report->starved || report->taken + report->failed > 0;
}

/*
 * Has the next report made now.
 */
void
du_upstream_report_hurry(UpstreamReport *report)
{
	report->due = 0;
	report->not_before = 0;
}

/*
 * Settings were reloaded: another upstream, perhaps, which knows nothing yet.
 */
void
du_upstream_report_reload(UpstreamReport *report, bool designated)
{
	MemoryContext caller = MemoryContextSwitchTo(report->scratch);

	report->designated = designated;
	report->failures = 0;
	report->in_other_database = false;
	report->first_sqlstate[0] = '\0';
	du_upstream_report_hurry(report);
	(void) find_upstream(report);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(report->scratch);
}

/*
 * Adds what is waited for.
 */
void
du_upstream_report_add_waits(const UpstreamReport *report, WaitList *list)
{
	int64		due = get_due_time(report);

	if (report->client != NULL)
		du_libpq_add_waits(report->client, list);
	else if (due >= 0)
		du_wait_at_most(list, Max(due - du_clock_ms(), 0));
}

/*
 * Tells in the facts how reports fare.
 */
void
du_upstream_report_tell(const UpstreamReport *report, WorkerFacts *facts)
{
	const UpstreamVerdict *verdict = &report->verdict;

	facts->upstream_ok = verdict->taken && report->problem[0] == '\0';
	strlcpy(facts->upstream, report->upstream, sizeof(facts->upstream));
	strlcpy(facts->upstream_problem, report->problem, sizeof(facts->upstream_problem));
	strlcpy(facts->upstream_hint, report->hint, sizeof(facts->upstream_hint));
	facts->path_length = verdict->path_length;
	memcpy(facts->path, verdict->path, sizeof(facts->path));
	facts->path_complete = verdict->path_complete;
	facts->last_report = report->last_taken;
}

/*
 * How many reports the upstream has taken, and how many it has not.
 */
uint64
du_standby_reports_taken(const UpstreamReport *report)
{
	return report->taken;
}

uint64
du_standby_reports_failed(const UpstreamReport *report)
{
	return report->failed;
}

/*
 * Ends a report under way and frees everything.
 */
void
du_upstream_report_close(UpstreamReport *report)
{
	MemoryContextDelete(report->context);
}
