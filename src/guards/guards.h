/*-------------------------------------------------------------------------
 *
 * guards.h
 *	  The conditions that must hold before a schema may be committed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_GUARDS_H
#define DU_GUARDS_H

#include "utils/guc.h"

#include "guards/guard_input.h"

typedef enum GuardStatus
{
	GUARD_PASS,
	GUARD_WARN,
	GUARD_FAIL,
	GUARD_SKIP
} GuardStatus;

typedef struct GuardResult
{
	const char *guard;
	bool		hard;
	GuardStatus status;
	const char *detail;			/* one sentence */
	const char *hint;			/* what to do next, or NULL */
	int			sqlstate;		/* of the error that a failure raises */
	bool		unknown;		/* skipped or passed, because nothing is known */
} GuardResult;

typedef struct GuardResults
{
	int			nresults;
	GuardResult *results;
	int			nfailed;
} GuardResults;

extern GuardResults *du_guards_evaluate(const GuardInput *input, const List *skipped);
extern bool du_guards_can_fail(const char *name);
extern void du_guards_check_names(const List *names);
extern const char *du_guards_find_protected(const List *names);
extern const char *du_guards_status_name(GuardStatus status);
extern bool du_guards_check_severity(char **newval, void **extra, GucSource source);
extern bool du_guards_check_protected(char **newval, void **extra, GucSource source);

#endif							/* DU_GUARDS_H */
