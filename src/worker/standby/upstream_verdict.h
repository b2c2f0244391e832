/*-------------------------------------------------------------------------
 *
 * upstream_verdict.h
 *	  What an upstream has made of a report.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_UPSTREAM_VERDICT_H
#define DU_UPSTREAM_VERDICT_H

#include "worker/net/libpq_client.h"
#include "processes/shared_status.h"
#include "worker/standby/upstream_conninfo.h"

/*
 * Texts are palloc'd or constant.
 */
typedef struct UpstreamVerdict
{
	bool		taken;			/* it has the report */
	const char *problem;		/* a sentence, or NULL; also when it was taken
								 * and something is wrong */
	const char *hint;			/* what to do about it, or NULL */
	int			path_length;	/* when taken: the servers above this one */
	char		path[SHARED_PATH_LENGTH][SHARED_IDENTITY_LENGTH];
	bool		path_complete;	/* it ends at a primary */
} UpstreamVerdict;

extern UpstreamVerdict du_verdict_of_answer(const LibpqAnswer *answer,
											const char *location,
											const char *identity);
extern UpstreamVerdict du_verdict_without_upstream(UpstreamKind kind, bool designated);

#endif							/* DU_UPSTREAM_VERDICT_H */
