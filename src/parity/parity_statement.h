/*-------------------------------------------------------------------------
 *
 * parity_statement.h
 *	  What a parity process runs in its own database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_PARITY_STATEMENT_H
#define DU_PARITY_STATEMENT_H

#include "parity/parity_order.h"
#include "parity/remote_api.h"

/* What the engine wants next; strings are palloc'd, or NULL. */
typedef struct ParityStep
{
	char	   *action;
	char	   *local;
	char	   *remote;
	long		wait_ms;
} ParityStep;

extern const PinnedSetting du_parity_settings[];

extern void du_parity_collect_settings(StringInfo settings);
extern void du_parity_pin_settings(void);
extern void du_parity_run(const ParityOrder *order, const char *statement,
						  bool exported, StatementOutcome *outcome);
extern int64 du_parity_begin(const char *options, Oid role, int caller);
extern void du_parity_next(int64 run, int member, const char *answer, ParityStep *step);
extern void du_parity_fail(int64 run, const char *error);

#endif							/* DU_PARITY_STATEMENT_H */
