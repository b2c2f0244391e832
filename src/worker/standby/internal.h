/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_STANDBY_INTERNAL_H
#define DU_STANDBY_INTERNAL_H

#include "postgres.h"

#include "processes/processes.h"
#include "worker/net/net.h"
#include "worker/standby/standby.h"

/* ----
 * upstream_conninfo.c
 *
 * Where a standby's upstream is, and how to connect to it.
 * ----
 */

typedef enum UpstreamKind
{
	UPSTREAM_NONE,				/* primary_conninfo is empty */
	UPSTREAM_INVALID,			/* it cannot be understood */
	UPSTREAM_KNOWN
} UpstreamKind;

typedef struct UpstreamConninfo
{
	UpstreamKind kind;
	const char **keywords;		/* for libpq; ends with NULL */
	const char **values;
	char	   *location;		/* "host:port" for people, "" when not known */
} UpstreamConninfo;

extern UpstreamConninfo du_upstream_conninfo(void);
extern bool du_upstream_receiver_connected(void);

/* ----
 * upstream_verdict.c
 *
 * What an upstream has made of a report.
 * ----
 */

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

#endif							/* DU_STANDBY_INTERNAL_H */
