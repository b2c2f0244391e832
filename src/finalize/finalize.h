/*-------------------------------------------------------------------------
 *
 * finalize.h
 *	  Commits an upgrade: one bounded, audited transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FINALIZE_H
#define DU_FINALIZE_H

#include "nodes/pg_list.h"

#include "finalize/history.h"

typedef struct FinalizeRequest
{
	const char *target;			/* NULL: the binary version */
	const char *expected_fingerprint;	/* NULL: any */
	List	   *skip_guards;	/* of strings */
	const char *actor;			/* who drives it, for history */
	const char *role_name;		/* who asked, NULL: the session user */
	const char *resource_uid;	/* of the custom resource, or NULL */
	int64		resource_generation;	/* 0: none */
	FailureCause *cause;		/* set where it raises; NULL: nobody asks */
} FinalizeRequest;

extern Datum du_finalize(const FinalizeRequest *request, bool *isnull);

#endif							/* DU_FINALIZE_H */
