/*-------------------------------------------------------------------------
 *
 * lock_holders.h
 *	  Who holds what an update needs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LOCK_HOLDERS_H
#define DU_LOCK_HOLDERS_H

#include "extension/managed_set.h"
#include "storage/lockdefs.h"

/* A lock on an existing relation that an update is known to take. */
typedef struct KnownLock
{
	Oid			relation;
	LOCKMODE	mode;
	const char *name;			/* schema-qualified and quoted */
} KnownLock;

/* Somebody who holds what an update needs. */
typedef struct Blocker
{
	int			pid;			/* 0 for a prepared transaction */
	const char *who;			/* for people */
	const char *holds;			/* for people */
	double		age;			/* of its transaction, seconds */
	bool		autovacuum;
} Blocker;

extern List *du_holders_of_relations(List *locks);
extern List *du_holders_of_extensions(const UpgradeFacts *facts);

#endif							/* DU_LOCK_HOLDERS_H */
