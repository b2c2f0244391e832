/*-------------------------------------------------------------------------
 *
 * server_facts.h
 *	  What else on this server bears on an upgrade.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SERVER_FACTS_H
#define DU_SERVER_FACTS_H

#include "extension/library_facts.h"
#include "plan/lock_holders.h"

typedef struct Surroundings
{
	bool		in_recovery;

	LibraryFacts libraries;		/* in memory against on disk */

	bool		held;
	const char *hold_reason;	/* with who placed it and until when */
	const char *hold_hint;		/* how to end it */

	bool		backup_known;
	const char *backup_label;
	double		backup_age;		/* seconds */

	bool		binary_known;	/* this binary has been noted; only looked at
								 * when a soak time is set */
	double		binary_age;		/* seconds since then */

	List	   *event_triggers; /* names of the enabled ones */
	List	   *blockers;		/* of Blocker */
	List	   *upgrades;		/* of Blocker: holders of the extensions */
	List	   *standbys;		/* descriptions of streaming standbys */
	List	   *unusable_schemas;	/* that the caller cannot use */

	int64		bytes_needed;
	int64		bytes_free;		/* under the data directory, -1 unknown */
	int64		wal_bytes_free; /* under pg_wal, -1 unknown */
} Surroundings;

extern Surroundings *du_surroundings_gather(const UpgradeFacts *facts,
											List *locks, Oid caller);
extern bool du_surroundings_can_write(void);
extern PGDLLEXPORT bool du_surroundings_note_binary(const UpgradeFacts *facts);
extern char *du_surroundings_binary_digest(const ExtensionFacts *extension);

#endif							/* DU_SERVER_FACTS_H */
