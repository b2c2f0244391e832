/*-------------------------------------------------------------------------
 *
 * statement_outcome.c
 *	  What has become of one statement, on this server or on another.
 *
 * A statement is to give one JSON value.  That it fails, or gives something
 * else, is a value too, so whoever has ordered it decides what follows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "parity/internal.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/base.h"

static char *
copy(const char *text)
{
	return text !=NULL ? pstrdup(text) : NULL;
}

/*
 * Makes it a failure, with copies of the texts.
 */
void
du_outcome_fail(StatementOutcome *outcome, int sqlstate, const char *message,
				const char *detail, const char *hint)
{
	outcome->value = NULL;
	outcome->sqlstate = sqlstate;
	outcome->message = copy(message);
	outcome->detail = copy(detail);
	outcome->hint = copy(hint);
}

/*
 * Makes a failure of the error that is being handled, and ends its handling;
 * transactions are left to the caller.
 */
void
du_outcome_take_error(StatementOutcome *outcome)
{
	ErrorData  *error = CopyErrorData();

	FlushErrorState();
	du_outcome_fail(outcome, error->sqlerrcode,
					error->message ? error->message : "unknown error",
					error->detail, error->hint);
}

/*
 * Raises a failure as an error.
 */
void
du_outcome_raise(const StatementOutcome *outcome)
{
	ereport(ERROR,
			(errcode(outcome->sqlstate),
			 errmsg_internal("%s", outcome->message),
			 outcome->detail ? errdetail_internal("%s", outcome->detail) : 0,
			 outcome->hint ? errhint("%s", outcome->hint) : 0));
}

/*
 * Makes it a failure when the value is no JSON that this server can take.
 * Needs no transaction: nothing but computation is done, so there is nothing
 * to restore.
 */
void
du_outcome_check(StatementOutcome *outcome)
{
	MemoryContext context = CurrentMemoryContext;

	if (outcome->sqlstate != 0 || outcome->value == NULL)
		return;
	PG_TRY();
	{
		pg_verifymbstr(outcome->value, strlen(outcome->value), false);
		(void) DirectFunctionCall1(jsonb_in, CStringGetDatum(outcome->value));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		du_outcome_take_error(outcome);
	}
	PG_END_TRY();
}

/*
 * Writes a failure as an object, which is what follows a key.
 */
void
du_outcome_write_error(StringInfo buf, const StatementOutcome *outcome)
{
	appendStringInfoChar(buf, '{');
	du_write_text(buf, "sqlstate", unpack_sql_state(outcome->sqlstate));
	du_write_text(buf, "message", outcome->message);
	du_write_text(buf, "detail", outcome->detail);
	du_write_text(buf, "hint", outcome->hint);
	appendStringInfoChar(buf, '}');
}

/*
 * Writes an object with the value or the failure, and the time.
 */
void
du_outcome_write(StringInfo buf, const char *key, const StatementOutcome *outcome)
{
	du_write_open(buf, key, '{');
	if (outcome->sqlstate == 0)
	{
		du_write_key(buf, "value");
		appendStringInfoString(buf, outcome->value != NULL ? outcome->value : "null");
	}
	else
	{
		du_write_key(buf, "error");
		du_outcome_write_error(buf, outcome);
	}
	du_write_number(buf, "ms", outcome->ms);
	du_write_close(buf, '}');
}
