/*-------------------------------------------------------------------------
 *
 * upstream_conninfo.h
 *	  Where a standby's upstream is, and how to connect to it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_UPSTREAM_CONNINFO_H
#define DU_UPSTREAM_CONNINFO_H

#include "postgres.h"

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
extern bool du_upstream_is_designated(void);

#endif							/* DU_UPSTREAM_CONNINFO_H */
