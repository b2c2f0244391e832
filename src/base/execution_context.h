/*-------------------------------------------------------------------------
 *
 * execution_context.h
 *	  As whom, and with which settings, our own code runs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_EXECUTION_CONTEXT_H
#define DU_EXECUTION_CONTEXT_H

#include "executor/spi.h"

typedef struct ExecutionContext
{
	Oid			caller;			/* user before the switch */
	int			caller_security;
	int			guc_nestlevel;
} ExecutionContext;

extern PGDLLEXPORT Oid du_context_own_extension(void);
extern Oid	du_context_own_owner(void);
extern void du_context_enter(ExecutionContext *context);
extern void du_context_leave(const ExecutionContext *context);
extern void du_context_set(const char *name, const char *value);

extern PGDLLEXPORT int du_query(const char *sql, int nargs, Oid *types, Datum *values);
extern void du_execute(const char *sql);
extern Datum du_oid_array(const List *oids);
extern PGDLLEXPORT char *du_query_text(int row, int column);
extern Datum du_query_datum(int row, int column, bool *isnull);
extern PGDLLEXPORT int64 du_query_int(int row, int column);
extern double du_query_double(int row, int column);

#endif							/* DU_EXECUTION_CONTEXT_H */
