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

#include "libpq-fe.h"

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
	UPSTREAM_NONE,				/* no setting names one */
	UPSTREAM_INVALID,			/* primary_conninfo cannot be understood */
	UPSTREAM_INVALID_OWN,		/* report_conninfo cannot */
	UPSTREAM_KNOWN
} UpstreamKind;

typedef struct UpstreamConninfo
{
	UpstreamKind kind;
	const char **keywords;		/* for libpq; ends with NULL */
	const char **values;
	char	   *location;		/* "host:port" for people, "" when not known */
	char	   *user;			/* "" when libpq finds it */
	bool		own_user;		/* report_conninfo names it */
	bool		has_certificate;	/* it names one for the client */
	char	   *database;		/* where reports are handed in */
	char	   *first_database; /* the one that is tried first */
	char	   *other_database; /* where else they could be, or NULL */
} UpstreamConninfo;

extern UpstreamConninfo du_upstream_conninfo(void);
extern void du_upstream_set(UpstreamConninfo *upstream, const char *keyword, const char *value);
extern bool du_upstream_receiver_connected(void);

/* ----
 * report_conninfo.c
 *
 * What reports have otherwise than primary_conninfo says.
 * ----
 */

extern void du_report_conninfo_override(PQconninfoOption *options, PQconninfoOption *own);
extern const char *du_report_password_add(UpstreamConninfo *upstream);

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
											const UpstreamConninfo *upstream,
											const char *identity);
extern UpstreamVerdict du_verdict_without_password(const char *problem);
extern const char *du_hint_for_two_databases(const UpstreamConninfo *upstream,
											 const LibpqAnswer *answer);
extern UpstreamVerdict du_verdict_without_upstream(UpstreamKind kind, bool designated);

#endif							/* DU_STANDBY_INTERNAL_H */
