/*-------------------------------------------------------------------------
 *
 * node_figures.c
 *	  What the steps of a coordinator's rehearsal have done on this node.
 *
 * The session that has run them is in the middle of a transaction that will be
 * rolled back, and the coordinator asks in another one.  So they lie in a piece
 * of memory that the first session owns until the end of its transaction, and
 * shared memory says where that is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/dsm.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "processes/processes.h"

#define MOST_SESSIONS 8			/* more have no figures */

PG_FUNCTION_INFO_V1(documentdb_upgrade_node_rehearsed);

typedef struct NodeFigures
{
	pid_t		pid;			/* 0: free */
	Oid			database;
	char		rehearsal[NAMEDATALEN];
	dsm_handle	handle;
} NodeFigures;

/* This session's own. */
static dsm_segment *segment = NULL; /* NULL: it has none */
static StringInfo steps = NULL;
static char current[NAMEDATALEN];

static NodeFigures *
shared_figures(void)
{
	return du_shared_room(ROOM_NODE_FIGURES);
}

/* This session's place, or a free one; NULL when there is neither.  The lock must be held. */
static NodeFigures *
find_place(void)
{
	NodeFigures *figures = shared_figures();
	NodeFigures *place = NULL;

	StaticAssertStmt(MOST_SESSIONS * sizeof(NodeFigures) <= SHARED_ROOM_SIZE, "room is too small");
	for (int i = 0; i < MOST_SESSIONS; i++)
	{
		if (figures[i].pid == MyProcPid)
			return &figures[i];
		if (place == NULL && figures[i].pid == 0)
			place = &figures[i];
	}
	return place;
}

/* Nobody is to find them any more. */
static void
forget(void)
{
	NodeFigures *place;

	if (segment == NULL)
		return;
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	place = find_place();
	if (place != NULL)
		place->pid = 0;
	LWLockRelease(du_shared_lock());
	dsm_detach(segment);
	segment = NULL;
}

static void
end_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		forget();
}

static void
begin_rehearsal(const char *rehearsal)
{
	static bool registered = false;
	MemoryContext caller;

	if (!registered)
		RegisterXactCallback(end_transaction, NULL);
	registered = true;
	forget();
	strlcpy(current, rehearsal, sizeof(current));
	caller = MemoryContextSwitchTo(TopMemoryContext);
	if (steps == NULL)
		steps = makeStringInfo();
	MemoryContextSwitchTo(caller);
	resetStringInfo(steps);
}

/* Puts a text where others find it; the one before it is gone. */
static void
publish(const char *text)
{
	dsm_segment *next = dsm_create(strlen(text) + 1, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	NodeFigures *place;

	forget();
	if (next == NULL)
		return;
	strcpy(dsm_segment_address(next), text);
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	place = find_place();
	if (place != NULL)
	{
		place->pid = MyProcPid;
		place->database = MyDatabaseId;
		strcpy(place->rehearsal, current);
		place->handle = dsm_segment_handle(next);
	}
	LWLockRelease(du_shared_lock());
	if (place == NULL)
	{
		dsm_detach(next);
		return;
	}
	dsm_pin_mapping(next);
	segment = next;
}

/*
 * Adds what a step of a rehearsal has done, a JSON object, or why that could not
 * be found out.
 */
void
du_figures_add(const char *rehearsal, const char *step, const char *problem)
{
	StringInfoData text;

	if (!du_shared_exists())
		return;
	if (segment == NULL || strncmp(current, rehearsal, NAMEDATALEN - 1) != 0)
		begin_rehearsal(rehearsal);
	initStringInfo(&text);
	du_write_open(&text, NULL, '{');
	du_write_text(&text, "problem", problem);
	if (step != NULL)
		appendStringInfo(steps, "%s%s", steps->len > 0 ? "," : "", step);
	if (problem == NULL)
	{
		du_write_open(&text, "steps", '[');
		appendStringInfoString(&text, steps->data);
		du_write_close(&text, ']');
	}
	du_write_close(&text, '}');
	publish(text.data);
}

/* What one session keeps, palloc'd; NULL when it has just taken that away. */
static char *
read_figures(const NodeFigures *figures)
{
	dsm_segment *found;
	char	   *text = NULL;

	if (segment != NULL && figures->pid == MyProcPid)
		return pstrdup(dsm_segment_address(segment));
	found = dsm_attach(figures->handle);
	if (found == NULL)
		return NULL;
	text = pstrdup(dsm_segment_address(found));
	dsm_detach(found);
	return text;
}

/*
 * node_rehearsed(rehearsal text) returns text
 */
Datum
documentdb_upgrade_node_rehearsed(PG_FUNCTION_ARGS)
{
	char	   *rehearsal = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *text = NULL;

	if (du_shared_exists())
	{
		/* Who takes it away waits for the lock first. */
		LWLockAcquire(du_shared_lock(), LW_SHARED);
		for (int i = 0; i < MOST_SESSIONS && text == NULL; i++)
		{
			const NodeFigures *figures = &shared_figures()[i];

			if (figures->pid != 0 && figures->database == MyDatabaseId &&
				strncmp(figures->rehearsal, rehearsal, NAMEDATALEN - 1) == 0)
				text = read_figures(figures);
		}
		LWLockRelease(du_shared_lock());
	}
	if (text == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(text));
}
