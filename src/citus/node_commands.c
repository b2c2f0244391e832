/*-------------------------------------------------------------------------
 *
 * node_commands.c
 *	  Has Citus run a statement on nodes, within a time.
 *
 * Citus opens the connections, with its own credentials, and each statement is
 * a transaction of its own there.  It waits for as long as a node takes, so a
 * timer of ours ends the call in the way of a query cancel.  What the nodes
 * that were faster had said is lost with it: then each is asked by itself, and
 * those that say nothing are known.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "citus/internal.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timeout.h"

#include "base/base.h"

#define LEAST_PART		8		/* of the time, for one that is asked alone */

static bool registered = false;
static TimeoutId timer;
static volatile bool running = false;
static volatile bool fired = false;

/* One call. */
typedef struct Call
{
	const List *nodes;
	const char *command;
	NodeAnswer *answers;		/* in the order of the nodes */
} Call;

static void
handle_timer(void)
{
	if (!running)
		return;
	fired = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/* The first line of what was said, without the word that Citus leaves in front. */
static char *
tidy(const char *text)
{
	const char *start = text != NULL ? text : "nothing was said";
	size_t		length;

	if (strncmp(start, "ERROR:", strlen("ERROR:")) == 0)
		start += strlen("ERROR:");
	if (strncmp(start, "FATAL:", strlen("FATAL:")) == 0)
		start += strlen("FATAL:");
	start += strspn(start, " ");
	length = strcspn(start, "\n");
	return pnstrdup(start, length);
}

/* The work of the subtransaction: all nodes of a call at the same time. */
static void
run(void *arg)
{
	Call	   *call = arg;
	int			n = list_length(call->nodes);
	Datum	   *hosts = palloc(n * sizeof(Datum));
	Datum	   *ports = palloc(n * sizeof(Datum));
	Datum	   *commands = palloc(n * sizeof(Datum));
	Oid			types[] = {TEXTARRAYOID, INT4ARRAYOID, TEXTARRAYOID};
	Datum		values[3];
	int			rows;
	int			i = 0;
	ListCell   *lc;

	foreach(lc, call->nodes)
	{
		const CitusNode *node = lfirst(lc);

		hosts[i] = CStringGetTextDatum(node->host);
		ports[i] = Int32GetDatum(node->port);
		commands[i++] = CStringGetTextDatum(call->command);
	}
	values[0] = PointerGetDatum(construct_array(hosts, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[1] = PointerGetDatum(construct_array(ports, n, INT4OID, 4, true, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(commands, n, TEXTOID, -1, false, TYPALIGN_INT));
	rows = du_query("SELECT r.success, r.result FROM pg_catalog.master_run_on_worker($1, $2, $3, true) r",
					3, types, values);
	for (i = 0; i < Min(rows, n); i++)
	{
		bool		isnull;
		Datum		success = du_query_datum(i, 1, &isnull);
		const char *text = du_query_text(i, 2);

		call->answers[i].success = !isnull && DatumGetBool(success);
		call->answers[i].text = call->answers[i].success ? (text != NULL ? text : "") : tidy(text);
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * One call within a time; what fails is the answer of all its nodes.  False
 * when the time was over.
 */
static bool
run_bounded(Call *call, int limit_ms)
{
	ErrorData  *error;
	bool		in_time;

	if (!registered)
	{
		timer = RegisterTimeout(USER_TIMEOUT, handle_timer);
		registered = true;
	}
	fired = false;
	running = true;
	enable_timeout_after(timer, Max(limit_ms, 1));
	error = du_subtransaction_run(run, call, SUBTRANSACTION_ROLL_BACK);
	running = false;
	disable_timeout(timer, false);
	in_time = !fired;
	if (error == NULL)
	{
		/* It came too late to hit what it was for. */
		if (!in_time)
			QueryCancelPending = false;
		return true;
	}
	if (in_time && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	for (int i = 0; i < list_length(call->nodes); i++)
	{
		call->answers[i].success = false;
		call->answers[i].late = !in_time;
		call->answers[i].text = in_time ? tidy(error->message) :
			psprintf("no answer within %d ms", limit_ms);
	}
	return in_time || error->sqlerrcode != ERRCODE_QUERY_CANCELED;
}

/*
 * Asks nodes, palloc'd answers in their order.  All of them together take no
 * longer than the limit; a node that is not heard in time is one of the answers.
 * SPI must be connected.  Raises only when the caller is to stop.
 */
NodeAnswer *
du_citus_ask(const List *nodes, const char *command, int limit_ms)
{
	ClockMs		deadline = du_clock_ms() + limit_ms;
	NodeAnswer *answers = palloc0(Max(list_length(nodes), 1) * sizeof(NodeAnswer));
	Call		call = {nodes, command, answers};
	ListCell   *lc;
	int			i = 0;

	if (nodes == NIL)
		return answers;
	if (list_length(nodes) == 1)
	{
		(void) run_bounded(&call, limit_ms);
		return answers;
	}
	if (run_bounded(&call, limit_ms / 2))
		return answers;
	foreach(lc, nodes)
	{
		Call		single = {list_make1(lfirst(lc)), command, &answers[i++]};
		int			left = (int) du_clock_left(deadline);

		if (left > 0)
			(void) run_bounded(&single, Min(left, Max(left / (list_length(nodes) - i + 1), limit_ms / LEAST_PART)));
		else
		{
			single.answers->late = true;
			single.answers->text = psprintf("not asked again: the %d ms for all nodes were over", limit_ms);
		}
	}
	return answers;
}
