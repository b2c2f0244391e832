/*-------------------------------------------------------------------------
 *
 * statement_outcome.h
 *	  What has become of one statement, on this server or on another.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_STATEMENT_OUTCOME_H
#define DU_STATEMENT_OUTCOME_H

#include "lib/stringinfo.h"

/* Strings are palloc'd, or NULL. */
typedef struct StatementOutcome
{
	char	   *value;			/* text of a JSON value; NULL: null */
	double		ms;				/* that it took */
	int			sqlstate;		/* 0: it succeeded */
	char	   *message;		/* these when it failed */
	char	   *detail;
	char	   *hint;
} StatementOutcome;

extern PGDLLEXPORT void du_outcome_fail(StatementOutcome *outcome, int sqlstate,
										const char *message, const char *detail,
										const char *hint);
extern void du_outcome_take_error(StatementOutcome *outcome);
extern void du_outcome_raise(const StatementOutcome *outcome);
extern void du_outcome_check(StatementOutcome *outcome);
extern void du_outcome_write_error(StringInfo buf, const StatementOutcome *outcome);
extern void du_outcome_write(StringInfo buf, const char *key,
							 const StatementOutcome *outcome);

#endif							/* DU_STATEMENT_OUTCOME_H */
