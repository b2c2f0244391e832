/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FLEET_INTERNAL_H
#define DU_FLEET_INTERNAL_H

#include "access/xlogdefs.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "base/clock.h"
#include "fleet/fleet.h"

/* ----
 * standby_reports.c
 *
 * What the standbys below this server have reported.
 * ----
 */

#define FLEET_MEMBERS 512		/* in all; more are refused */
#define FLEET_DEPTH 64			/* levels of cascades; nobody has more */

/* A member with what this server knows of its report. */
typedef struct FleetEntry
{
	FleetMember member;
	int			branch;			/* index of the entry of its direct standby */
	int64		lag_ms;			/* when the report arrived */

	/* Of direct standbys, for all of their branch. */
	pid_t		sender;			/* the WAL sender that it reports for, 0: none
								 * matched */
	Oid			vouched_by;		/* the role that it is believed for, where there
								 * is no such WAL sender */
	ClockMs		received;
	TimestampTz received_at;
	bool		contested;		/* two servers report under this identity */
} FleetEntry;

typedef enum StoreOutcome
{
	STORE_SAME,					/* nothing but positions is new */
	STORE_CHANGED,
	STORE_FULL					/* nothing was stored */
} StoreOutcome;

extern StoreOutcome du_reports_store(const FleetMember *members, const int64 *lags,
									 int nmembers, const pid_t *senders, int nsenders,
									 Oid reporter);
extern int	du_reports_list(FleetEntry **entries);

/* ----
 * lsn_clock.c
 *
 * When this server was where others are in the WAL.
 * ----
 */

extern PGDLLEXPORT void du_lsn_clock_note(void);
extern int64 du_lsn_clock_lag(XLogRecPtr replayed);

/* ----
 * replication_senders.c
 *
 * The standbys that this server knows by itself.
 * ----
 */

/* A physical WAL sender, a physical slot, or both where one uses the other. */
typedef struct ReplicationSender
{
	pid_t		pid;			/* 0: the slot is not in use */
	const char *name;			/* application_name, "" without a sender */
	const char *address;		/* of the client, "" on a local socket */
	Oid			role;
	bool		is_backup;		/* sends a base backup */
	bool		is_synchronous; /* commits wait for it */
	XLogRecPtr	replayed;		/* invalid where the receiver does not say */
	const char *slot;			/* NULL: none, or a temporary one */
} ReplicationSender;

extern List *du_senders_list(void);
extern char *du_senders_own_address(void);
extern const char *du_senders_missing_synchronous(const List *senders);

/* ----
 * report_reader.c
 *
 * Reads the report of a standby, which may be anything.
 * ----
 */

extern int	du_report_read(Jsonb *report, const char *own_identity, FleetMember **members);

#endif							/* DU_FLEET_INTERNAL_H */
