/*-------------------------------------------------------------------------
 *
 * replication_senders.h
 *	  The standbys that this server knows by itself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REPLICATION_SENDERS_H
#define DU_REPLICATION_SENDERS_H

#include "access/xlogdefs.h"
#include "nodes/pg_list.h"

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

#endif							/* DU_REPLICATION_SENDERS_H */
