/*-------------------------------------------------------------------------
 *
 * kube_reads.c
 *	  Reads from the API server what the health reports ask about it.
 *
 * The objects are asked for in rounds, one request at a time: when the worker
 * begins, at each resync_interval, sooner after a failure, and when the custom
 * resource wants something else.  A check is answered when all of its objects
 * have been read.  The first one that cannot be ends it, with the reason: a rule
 * that is missing, an answer that makes no sense.  What passes by itself leaves
 * the last answer in place, with its time.
 *
 * Nothing else waits for this, and nothing else follows from it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include "utils/memutils.h"

#include "base/base.h"
#include "processes/processes.h"
#include "worker/net/net.h"
#include "worker/source/source.h"

#define PAUSE_AFTER_FAILURE_MS	60000	/* before the next round */
#define WISH_LENGTH				256
#define SHORTEST_PAUSE_MS		10000	/* between rounds, whatever changes */

struct KubernetesReads
{
	MemoryContext context;
	MemoryContext scratch;		/* of one advance() */
	MemoryContext check_context;	/* of the finding */
	const DesiredSource *source;
	KubernetesApi *api;

	HttpExchange *exchange;
	int			next;			/* question, of this round */
	bool		in_round;
	bool		failed;			/* something in it that can pass by itself */
	KubeFinding finding;		/* about the check that is being asked about */
	int64		started;		/* the last round did, by the clock */
	int64		due;			/* the next one is */
	int64		not_before;		/* the server has asked for a pause */
	char		wish[WISH_LENGTH];	/* version that was desired then */
};

/*
 * Opens the reads of a worker that follows a resource, in a memory context of
 * their own.  The source must stay open as long.
 */
KubernetesReads *
du_kube_reads_open(const DesiredSource *kubernetes_source)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "documentdb_upgrade kubernetes reads",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	KubernetesReads *reads = palloc0(sizeof(KubernetesReads));

	reads->context = context;
	reads->scratch = AllocSetContextCreate(context, "documentdb_upgrade reads scratch",
										   ALLOCSET_DEFAULT_SIZES);
	reads->check_context = AllocSetContextCreate(context, "documentdb_upgrade reads finding",
												 ALLOCSET_DEFAULT_SIZES);
	reads->source = kubernetes_source;
	reads->api = du_kube_open();
	MemoryContextSwitchTo(caller);
	return reads;
}

/* A path or a name with what is known of this pod filled in. */
static char *
fill_in(const KubernetesReads *reads, const char *pattern)
{
	StringInfoData text;

	initStringInfo(&text);
	while (*pattern != '\0')
	{
		if (strncmp(pattern, "{ns}", 4) == 0)
		{
			appendStringInfoString(&text, reads->api->namespace_name);
			pattern += 4;
		}
		else if (strncmp(pattern, "{cluster}", 9) == 0)
		{
			appendStringInfoString(&text, reads->api->cluster);
			pattern += 9;
		}
		else
			appendStringInfoChar(&text, *pattern++);
	}
	return text.data;
}

/* The first question after those of the same check. */
static int
skip_check(int n)
{
	const KubeQuestion *question = du_finding_question(n);
	const KubeQuestion *other;

	do
		other = du_finding_question(++n);
	while (other != NULL && strcmp(other->check_name, question->check_name) == 0);
	return n;
}

/* Forgets what was found about the last check. */
static void
clear_finding(KubernetesReads *reads)
{
	MemoryContext caller;

	MemoryContextReset(reads->check_context);
	caller = MemoryContextSwitchTo(reads->check_context);
	memset(&reads->finding, 0, sizeof(KubeFinding));
	initStringInfo(&reads->finding.text);
	MemoryContextSwitchTo(caller);
}

/* A check gets no answer, because of a sentence. */
static void
give_up_check(KubernetesReads *reads, const char *problem, bool passes)
{
	const KubeQuestion *question = du_finding_question(reads->next);

	du_outside_fail(question->check_name, problem, passes);
	reads->failed |= passes;
	reads->next = skip_check(reads->next);
	clear_finding(reads);
}

/* The objects of a check were all read. */
static void
answer_check(KubernetesReads *reads, const KubeQuestion *question)
{
	static const char *const statuses[] = {"pass", "warn", "fail"};
	const KubeFinding *finding = &reads->finding;

	if (finding->missing)
		du_outside_fail(question->check_name,
						"The worker has not found it under the name, the namespace or the label of this command.",
						false);
	else
		du_outside_answer(question->check_name, statuses[finding->grade], finding->text.data);
	clear_finding(reads);
}

/* Takes what an answer says, or that there is no such object. */
static void
take_object(KubernetesReads *reads, const KubeQuestion *question, const HttpAnswer *answer)
{
	const char *name = question->name != NULL ? fill_in(reads, question->name) : NULL;
	MemoryContext caller = MemoryContextSwitchTo(reads->check_context);
	const char *reason = NULL;
	int			next = reads->next + 1;

	if (answer->status == 404)
		du_finding_note_absence(&reads->finding, question, name);
	else
		reason = du_finding_read(&reads->finding, question, name, answer->body, answer->body_length);
	MemoryContextSwitchTo(caller);

	if (reason != NULL)
	{
		give_up_check(reads, psprintf("The API server's answer makes no sense: %s.", reason), false);
		return;
	}
	if (next == skip_check(reads->next))
		answer_check(reads, question);
	reads->next = next;
}

/* Takes the answer to the question under way, when it is there. */
static void
take_answer(KubernetesReads *reads)
{
	const KubeQuestion *question = du_finding_question(reads->next);
	const HttpAnswer *answer = du_http_get_answer(reads->exchange);
	KubeVerdict verdict;

	if (answer->state == HTTP_RUNNING)
		return;
	verdict = du_kube_judge_rule(reads->api, &question->rule, answer);
	if (verdict.retry_after_ms >= 0)
		reads->not_before = du_clock_ms() + verdict.retry_after_ms;
	if (verdict.health == SOURCE_OK || (verdict.health == SOURCE_MISSING && !verdict.kind_missing))
		take_object(reads, question, answer);
	else if (verdict.status == 403)
		give_up_check(reads, psprintf("The worker may not read it. %s", verdict.hint), false);
	else
		give_up_check(reads, verdict.problem,
					  verdict.health == SOURCE_UNREACHABLE || verdict.health == SOURCE_REFUSED);
	du_http_end(reads->exchange);
	reads->exchange = NULL;
}

/* Asks the next question. */
static void
ask(KubernetesReads *reads)
{
	const KubeQuestion *question = du_finding_question(reads->next);
	KubernetesApi *api = reads->api;
	KubeVerdict verdict;

	if (!du_kube_find_server(api, &verdict))
		give_up_check(reads, verdict.problem, true);
	else if (strstr(question->path, "{cluster}") != NULL &&
			 (api->cluster == NULL || !du_kube_is_name(api->cluster)))
		give_up_check(reads, "The name of the Cluster, environment variable CLUSTER_NAME, is not known.", false);
	else
	{
		reads->exchange = du_kube_get_path(api, fill_in(reads, question->path), &verdict);
		if (reads->exchange == NULL)
			give_up_check(reads, verdict.problem, true);
	}
}

/* What the resource desires, "" when that is not known. */
static const char *
get_wish(const KubernetesReads *reads)
{
	return reads->source->state.version != NULL ? reads->source->state.version : "";
}

/*
 * When the next round or question is due, by the clock.
 */
static int64
get_due_time(const KubernetesReads *reads)
{
	int64		due = reads->due;

	if (reads->in_round)
		return reads->not_before;
	if (strncmp(reads->wish, get_wish(reads), WISH_LENGTH - 1) != 0)
		due = Min(due, reads->started + SHORTEST_PAUSE_MS);
	return Max(due, reads->not_before);
}

/* Not before the resource was asked for, so that what it desires is known. */
static bool
is_due(const KubernetesReads *reads)
{
	return reads->source->state.health != SOURCE_STARTING && du_clock_ms() >= get_due_time(reads);
}

static void
begin_round(KubernetesReads *reads)
{
	reads->in_round = true;
	reads->failed = false;
	reads->next = 0;
	reads->started = du_clock_ms();
	strlcpy(reads->wish, get_wish(reads), sizeof(reads->wish));
	clear_finding(reads);
}

static void
end_round(KubernetesReads *reads)
{
	int			pause = du_guc_resync_interval;

	if (reads->failed)
		pause = Min(pause, PAUSE_AFTER_FAILURE_MS);
	reads->in_round = false;
	reads->due = du_clock_ms() + pause;
}

/*
 * Takes what has arrived and asks what is due, without waiting.
 */
void
du_kube_reads_advance(KubernetesReads *reads)
{
	MemoryContext caller = MemoryContextSwitchTo(reads->scratch);

	du_http_advance(reads->api->http);
	if (reads->exchange != NULL)
		take_answer(reads);
	if (reads->exchange == NULL && is_due(reads))
	{
		if (!reads->in_round)
			begin_round(reads);

		/* What cannot even be asked has its answer at once. */
		while (reads->exchange == NULL && du_finding_question(reads->next) != NULL)
			ask(reads);
		if (reads->exchange == NULL)
			end_round(reads);
		else
			du_http_advance(reads->api->http);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(reads->scratch);
}

/*
 * Adds the sockets and the time of the next du_kube_reads_advance().
 */
void
du_kube_reads_add_waits(KubernetesReads *reads, WaitList *list)
{
	du_http_add_waits(reads->api->http, list);
	if (reads->exchange == NULL && reads->source->state.health != SOURCE_STARTING)
		du_wait_at_most(list, Max(get_due_time(reads) - du_clock_ms(), 0));
}

/*
 * Ends the reads and takes back their answers.
 */
void
du_kube_reads_close(KubernetesReads *reads)
{
	du_outside_clear();
	MemoryContextDelete(reads->context);
}
