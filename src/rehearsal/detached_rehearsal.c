/*-------------------------------------------------------------------------
 *
 * detached_rehearsal.c
 *	  Rehearses in a process of its own, which begins with the update.
 *
 * For libraries that refuse the update in a session that has used the old
 * version.  The process looks at the effects of a single step as ever; of
 * several it tells only that they ran, because a look between two of them would
 * be a use.  Nothing is asked after the rollback either, so it does not tell of
 * objects of others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "finalize/finalize.h"
#include "processes/processes.h"

#define LONGEST_LOCK_WAIT_MS 1000

PGDLLEXPORT void *documentdb_upgrade_detached_rehearsal(const void *order, Size length, Size *answer_length);

/* What is told to the process that rehearses elsewhere, and by it. */
typedef struct DetachedOrder
{
	Oid			caller;
	char		target[SHARED_VERSION_LENGTH];	/* "": the binary version */
} DetachedOrder;

typedef struct DetachedAnswer
{
	int			sqlstate;		/* 0: the text is the row */
	char		text[FLEXIBLE_ARRAY_MEMBER];
} DetachedAnswer;

static DetachedAnswer *
make_answer(int sqlstate, const char *text, Size *length)
{
	DetachedAnswer *answer;

	*length = offsetof(DetachedAnswer, text) + strlen(text) + 1;
	answer = palloc(*length);
	answer->sqlstate = sqlstate;
	strcpy(answer->text, text);
	return answer;
}

/* As ordered, in the current transaction. */
static char *
rehearse_as_ordered(const DetachedOrder *order)
{
	ExecutionContext execution;
	FailureCause cause;
	char	   *row;

	SetUserIdAndSecContext(order->caller, SECURITY_LOCAL_USERID_CHANGE);
	du_context_enter(&execution);
	row = du_rehearsal_run(order->target[0] ? order->target : NULL, order->caller, true, &cause);
	du_context_leave(&execution);
	return row;
}

/*
 * Serves in a process of its own: rehearses, and stores nothing.
 */
void *
documentdb_upgrade_detached_rehearsal(const void *order, Size length, Size *answer_length)
{
	MemoryContext context = CurrentMemoryContext;
	DetachedAnswer *volatile answer = NULL;
	DetachedOrder copy;

	memcpy(&copy, order, sizeof(DetachedOrder));
	du_attempt_pin_settings();
	PG_TRY();
	{
		const char *row;

		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		pgstat_report_activity(STATE_RUNNING, "rehearsing an upgrade");
		(void) du_own_relations_lock(LONGEST_LOCK_WAIT_MS);
		PushActiveSnapshot(GetTransactionSnapshot());
		row = rehearse_as_ordered(&copy);
		MemoryContextSwitchTo(context);
		answer = make_answer(0, row, answer_length);
		PopActiveSnapshot();
		AbortCurrentTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		answer = make_answer(edata->sqlerrcode, edata->message, answer_length);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return answer;
}

/*
 * Has a rehearsal done there, and gives back the row as du_rehearsal_run() does.
 */
char *
du_rehearsal_run_detached(const char *target, Oid caller)
{
	DetachedOrder order = {caller};
	DetachedAnswer *answer;
	Size		length;

	strlcpy(order.target, target ? target : "", sizeof(order.target));
	answer = du_detached_run("rehearsal", "documentdb_upgrade_detached_rehearsal",
							 &order, sizeof(order), &length);
	if (answer->sqlstate != 0)
		ereport(ERROR,
				(errcode(answer->sqlstate),
				 errmsg_internal("%s", answer->text)));
	return answer->text;
}
