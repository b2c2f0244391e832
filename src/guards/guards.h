/*-------------------------------------------------------------------------
 *
 * guards.h
 *	  The facts about an upgrade, and the guards that judge them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_GUARDS_H
#define DU_GUARDS_H

#include "datatype/timestamp.h"
#include "utils/guc.h"

#include "extension/extension.h"
#include "fleet/fleet.h"
#include "cluster/cluster.h"
#include "plan/plan.h"

/* ----
 * announced_holds.c
 *
 * Holds whose transactions have not ended yet.
 * ----
 */

extern void du_announced_hold_add(void);

/* ----
 * member_record.c
 *
 * What the members of the managed set were at the last finalize.
 * ----
 */

/* How the members differ from the record. */
typedef struct MemberChanges
{
	int			nrecorded;		/* extensions with a record to compare with */
	int64		total;
	const char *summary;		/* counts and first names, NULL without
								 * changes */
} MemberChanges;

extern void du_members_record(const UpgradeFacts *facts);

/* ----
 * rehearsal_memory.c
 *
 * What earlier rehearsals say about an upgrade.
 * ----
 */

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

/* Objects of others that an upgrade removes or changes. */
typedef struct OutsideObjects
{
	int64		rehearsal;		/* that has seen it, 0: none of this upgrade */
	bool		in_the_way;		/* it failed because of them */
	int64		nseen;			/* that it removed, changed or took something from */
	int64		naffected;		/* that should be computed anew */
	const char *seen;			/* first names of both */
	const char *message;		/* of the failure */

	bool		looked;			/* at the scripts, without a rehearsal */
	int64		nnamed;			/* that stand on what the scripts drop */
	const char *named;			/* first ones, with what they stand on */
} OutsideObjects;

/* What a step was seen to do. */
typedef struct RememberedRisk
{
	const char *risk;			/* NULL: the step was not rehearsed */
	const char *reason;
} RememberedRisk;

extern RememberedRisk du_rehearsals_recall_step(const char *extension, const char *from,
												const char *to, const char *sha256);

/* ----
 * server_facts.c
 *
 * What else on this server bears on an upgrade.
 * ----
 */

/* What a step requires and this database does not have. */
typedef struct MissingExtension
{
	const char *name;
	const char *extension;		/* the one that requires it, */
	const char *version;		/* at this version */
	const char *problem;		/* of its control file, or NULL */
} MissingExtension;

typedef struct ServerFacts
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

	List	   *event_triggers; /* names of the enabled ones, those of Citus
								 * aside: they look at tables alone */
	List	   *blockers;		/* of Blocker */
	List	   *upgrades;		/* of Blocker: holders of the extensions */
	List	   *standbys;		/* descriptions of streaming standbys */
	List	   *unusable_schemas;	/* that the caller cannot use */
	List	   *missing;		/* of MissingExtension */
	const char *losses;			/* sentences about what goes with the main
								 * extension when it is dropped; NULL where an
								 * update can help */
	bool		caller_is_superuser;
	bool		caller_has_procedure;	/* to finalize, and not the function */
	const char *caller;			/* its name, quoted */
	const char *database;		/* its name, quoted */

	int64		bytes_needed;
	int64		bytes_free;		/* under the data directory, -1 unknown */
	int64		wal_bytes_free; /* under pg_wal, -1 unknown */
} ServerFacts;

extern bool du_server_facts_can_write(void);
extern PGDLLEXPORT bool du_server_facts_note_binary(const UpgradeFacts *facts);
extern PGDLLEXPORT char *du_server_facts_binary_digest(const ExtensionFacts *extension);

/* ----
 * guards.c
 *
 * The conditions that must hold before a schema may be committed.
 * ----
 */

/* What guards decide over. */
typedef struct GuardInput
{
	const UpgradeFacts *facts;
	const UpgradePlan *plan;
	const ServerFacts *server_facts;
	const LockCount *locks;
	const Fleet *fleet;
	const Cluster *cluster;		/* NULL when its nodes were left out */
	const MemberChanges *members;	/* NULL when they were not compared */
	RememberedRehearsal rehearsal;
	OutsideObjects outside;
} GuardInput;

/* How far the nodes of a cluster are asked. */
typedef enum GuardNodes
{
	GUARD_NODES_LEFT_OUT,
	GUARD_NODES_VERSIONS,		/* not what their own guards say: they would find
								 * the upgrade itself */
	GUARD_NODES_ALL
} GuardNodes;

typedef enum GuardStatus
{
	GUARD_PASS,
	GUARD_WARN,
	GUARD_FAIL,
	GUARD_SKIP
} GuardStatus;

typedef struct GuardResult
{
	const char *guard;
	bool		hard;
	GuardStatus status;
	const char *detail;			/* one sentence */
	const char *hint;			/* what to do next, or NULL */
	int			sqlstate;		/* of the error that a failure raises */
	bool		unknown;		/* skipped or passed, because nothing is known */
} GuardResult;

typedef struct GuardResults
{
	int			nresults;
	GuardResult *results;
	int			nfailed;
} GuardResults;

extern GuardResults *du_guards_evaluate(const GuardInput *input, const List *skipped);
extern GuardResults *du_guards_evaluate_first(const GuardInput *input, const List *skipped);
extern GuardResults *du_guards_evaluate_rest(const GuardInput *input, const List *skipped);
extern GuardInput du_guards_look(const UpgradeFacts *facts, const UpgradePlan *plan, Oid caller);
extern GuardResult du_guards_judge_plan(const char *guard, const UpgradeFacts *facts,
										const UpgradePlan *plan);
extern bool du_guards_can_fail(const char *name);
extern void du_guards_check_names(const List *names);
extern const char *du_guards_find_protected(const List *names);
extern const char *du_guards_status_name(GuardStatus status);
extern bool du_guards_check_severity(char **newval, void **extra, GucSource source);
extern bool du_guards_check_protected(char **newval, void **extra, GucSource source);
extern GuardInput du_guards_gather(const UpgradeFacts *facts, const UpgradePlan *plan,
								   Oid caller, bool compare_members, GuardNodes nodes,
								   int nodes_age_ms);

/* ----
 * maintenance_window.c
 *
 * Maintenance windows: when a finalize may run.
 * ----
 */

extern bool du_window_is_valid(const char *text, const char **reason);

#endif							/* DU_GUARDS_H */
