/*-------------------------------------------------------------------------
 *
 * detached_attempt.c
 *	  One attempt in a process of its own, for somebody who waits for it.
 *
 * For libraries that refuse the update in a process that has used the old
 * version: this one begins with it.  Nothing is asked of the server afterwards
 * in the session that waits, because such a library may end a session that
 * finds another version than it has loaded.  So the row of history comes from
 * the process, as the datum that it is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/value.h"

#include "base/base.h"
#include "processes/processes.h"

PGDLLEXPORT void *documentdb_upgrade_detached_attempt(const void *order, Size length, Size *answer_length);

/* The answer: an outcome, and behind it, where it is a success, the row. */
#define ROW_OFFSET	MAXALIGN(sizeof(AttemptOutcome))

/*
 * Serves in the process: carries an order out.
 */
void *
documentdb_upgrade_detached_attempt(const void *order, Size length, Size *answer_length)
{
	AttemptOrder copy;
	AttemptOutcome outcome;
	Datum		row = (Datum) 0;
	Size		row_length = 0;
	char	   *answer;

	memcpy(&copy, order, sizeof(AttemptOrder));
	if (du_main_is_further(copy.extension))
		du_main_select(copy.extension);
	du_attempt_pin_settings();
	du_attempt_carry_out(&copy, &outcome, &row);
	if (outcome.result == ATTEMPT_SUCCEEDED)
		row_length = HeapTupleHeaderGetDatumLength(DatumGetHeapTupleHeader(row));
	*answer_length = ROW_OFFSET + row_length;
	answer = palloc0(*answer_length);
	memcpy(answer, &outcome, sizeof(AttemptOutcome));
	if (row_length > 0)
		memcpy(answer + ROW_OFFSET, DatumGetPointer(row), row_length);
	return answer;
}

/*
 * Makes the order for a process that does what a request of this session asks, as
 * the role that asks.  Raises 22023 for what does not fit.
 */
void
du_attempt_describe(const FinalizeRequest *request, AttemptOrder *order)
{
	List	   *names = NIL;
	ListCell   *lc;
	StringInfoData skipped;

	initStringInfo(&skipped);
	foreach(lc, request->skip_guards)
	{
		if (list_member(names, makeString(lfirst(lc))))
			continue;
		names = lappend(names, makeString(lfirst(lc)));
		appendStringInfo(&skipped, "%s%s", skipped.len > 0 ? "," : "", (char *) lfirst(lc));
	}
	memset(order, 0, sizeof(AttemptOrder));
	if (strlen(request->target) >= sizeof(order->target) || skipped.len >= (int) sizeof(order->skip_guards))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("target version or list of guards is too long")));

	strlcpy(order->actor, request->actor, sizeof(order->actor));
	strlcpy(order->role_name, GetUserNameFromId(GetSessionUserId(), false), sizeof(order->role_name));
	strlcpy(order->extension, du_main_extension(), sizeof(order->extension));
	strlcpy(order->target, request->target, sizeof(order->target));
	strlcpy(order->skip_guards, skipped.data, sizeof(order->skip_guards));
	order->caller = GetUserId();

	/* What is longer than any fingerprint must not become one. */
	if (request->expected_fingerprint != NULL)
		strlcpy(order->fingerprint, strlen(request->expected_fingerprint) < sizeof(order->fingerprint) &&
				request->expected_fingerprint[0] != '\0' ? request->expected_fingerprint : "none",
				sizeof(order->fingerprint));
}

/*
 * Has an order carried out in a process of its own, and waits for it.  Gives
 * back the row of history where the outcome is a success, palloc'd.  Raises
 * 53400 when no process can be had, and 57000 when it has ended without a word.
 */
Datum
du_attempt_detach(const AttemptOrder *order, AttemptOutcome *outcome)
{
	Size		length;
	char	   *answer = du_detached_run("attempt", "documentdb_upgrade_detached_attempt",
										 order, sizeof(AttemptOrder), &length);

	memcpy(outcome, answer, sizeof(AttemptOutcome));
	return PointerGetDatum(answer + ROW_OFFSET);
}
