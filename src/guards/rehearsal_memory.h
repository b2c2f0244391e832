/*-------------------------------------------------------------------------
 *
 * rehearsal_memory.h
 *	  What earlier rehearsals say about an upgrade.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REHEARSAL_MEMORY_H
#define DU_REHEARSAL_MEMORY_H

#include "extension/managed_set.h"

/* The newest rehearsal of the same way. */
typedef struct RememberedRehearsal
{
	int64		id;				/* 0: there is none */
	bool		passed;
	bool		in_place;		/* over the data, not in a throw-away database */
	bool		is_current;		/* for exactly this fingerprint */
	double		age;			/* seconds */
	int64		lock_entries;
	int64		locks_named;	/* before it: what the scripts were known to
								 * need */
	const char *message;		/* of one that did not pass */
} RememberedRehearsal;

/* What a step was seen to do. */
typedef struct RememberedRisk
{
	const char *risk;			/* NULL: the step was not rehearsed */
	const char *reason;
} RememberedRisk;

extern void du_rehearsals_recall(const UpgradeFacts *facts, const char *target,
								 RememberedRehearsal *rehearsal);
extern RememberedRisk du_rehearsals_recall_step(const char *extension, const char *from,
												const char *to, const char *sha256);

#endif							/* DU_REHEARSAL_MEMORY_H */
