/*-------------------------------------------------------------------------
 *
 * failure_memory.h
 *	  What history says of the attempts since the last success.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FAILURE_MEMORY_H
#define DU_FAILURE_MEMORY_H

#include "finalize/history.h"

typedef struct FailureMemory
{
	int64		attempts;		/* of anybody, repeated ones included */
	const char *last_error;		/* of the newest that failed, or NULL */

	/* The newest failure of the worker (or tick), unless retry() was called. */
	const char *message;		/* NULL: none */
	FailureCause cause;
	const char *target;
	const char *fingerprint;	/* NULL when it had come to none */
	int64		count;			/* how often in a row */
	TimestampTz at;
} FailureMemory;

extern PGDLLEXPORT void du_failures_recall(const char *extension, FailureMemory *memory);
extern bool du_failures_dismiss(const char *extension);

#endif							/* DU_FAILURE_MEMORY_H */
