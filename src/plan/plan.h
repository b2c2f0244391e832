/*-------------------------------------------------------------------------
 *
 * plan.h
 *	  What an upgrade would run: decision, scripts, locks and fingerprint.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_PLAN_H
#define DU_PLAN_H

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

#include "extension/extension.h"

/* ----
 * decision.c
 *
 * What a desired version means for an installed and a binary one.
 * ----
 */

typedef enum Decision
{
	DECISION_NOT_INSTALLED,
	DECISION_REFUSE,
	DECISION_SCHEMA_AHEAD,
	DECISION_WAIT,
	DECISION_NONE,
	DECISION_UPDATE_AVAILABLE,
	DECISION_FINALIZE
} Decision;

typedef struct DecisionInput
{
	const char *desired;		/* "", "auto" or a version; NULL is "" */
	const char *installed;		/* NULL when not installed */
	const char *binary;			/* NULL when unknown */
	const char *limit;			/* the highest version that may be asked for;
								 * NULL: the binary one */
	const char *behind;			/* which companions are not at their targets,
								 * as clauses; NULL when all are */
} DecisionInput;

typedef struct DecisionResult
{
	Decision	decision;
	const char *target;			/* the version arrived at, or NULL */
	const char *reason;			/* one sentence, never NULL */
} DecisionResult;

extern DecisionResult du_decide(const DecisionInput *input);
extern const char *du_decision_name(Decision decision);

/* ----
 * extension_target.c
 *
 * Which version an extension is to go to, and on which path.
 * ----
 */

/* Where one extension of the managed set is to go. */
typedef struct ExtensionTarget
{
	const char *target;			/* NULL when there is none */
	const char *problem;		/* why the target cannot be reached, or NULL */
	const char *hint;			/* what would help, or NULL */
	bool		stuck;			/* no script leads on from what is installed */
	bool		unrelated;		/* because its numbers are not the main one's */
	const UpdatePath *path;		/* NULL when nothing is to be done */
} ExtensionTarget;

extern bool du_target_share_versions(const ExtensionFacts *a, const ExtensionFacts *b);

/* ----
 * fingerprint.c
 *
 * A token for everything that an upgrade plan depends on.
 * ----
 */

extern char *du_fingerprint(const UpgradeFacts *facts);

/* ----
 * lock_count.c
 *
 * What a plan is known to take of the shared lock table, and what there
 * is.
 * ----
 */

typedef struct LockCount
{
	int64		named;			/* for relations that the scripts name */
	int64		held;			/* by everybody else, now */
	int64		slots;			/* sessions and prepared transactions */
	int64		formula;		/* what the settings promise */
} LockCount;

extern LockCount *du_lock_count(const List *relations);
extern int64 du_lock_count_budget(const LockCount *count);

/* ----
 * lock_holders.c
 *
 * Who holds what an update needs.
 * ----
 */

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
	const char *gid;			/* of the prepared transaction, or NULL */
	double		age;			/* of its transaction, seconds */
	bool		autovacuum;
} Blocker;

extern List *du_holders_of_relations(List *locks);
extern List *du_holders_of_extensions(const UpgradeFacts *facts);

/* ----
 * update_script.c
 *
 * One update script: its text as the server runs it, and what it says.
 * ----
 */

#define SCRIPT_OPAQUE		0x10	/* runs code whose effect the text hides */

typedef struct UpdateScript
{
	const char *problem;		/* why it cannot be used, or NULL */
	const char *path;
	const char *sha256;			/* of the file, NULL when unreadable */
	const char *source;			/* the file's text, in the server's encoding */
	const char *text;			/* as the server runs it, NULL when unreadable */
	int			nstatements;
	int			kinds;			/* SCRIPT_ bits */
	const char *forbidden;		/* a statement that cannot run there, or NULL */
	List	   *relations;		/* of ScriptRelation, in order of mention */
	List	   *objects;		/* of ScriptObject, in order of mention */
	bool		superuser;		/* the control files ask for a superuser */
	bool		trusted;
	List	   *requires;		/* names of extensions that it needs */
} UpdateScript;

extern bool du_script_suits_owner(const UpdateScript *script,
								  const ExtensionFacts *extension);
extern int	du_script_line(const UpdateScript *script, int offset);
extern int	du_script_statement_line(const UpdateScript *script, int offset);

/* ----
 * upgrade_plan.c
 *
 * The steps from the installed versions to a target.
 * ----
 */

/* The way of one extension. */
typedef struct VersionChange
{
	const char *extension;
	const char *from;
	const char *to;
} VersionChange;

typedef struct PlanStep
{
	int			extension;		/* index into the facts */
	const char *from;
	const char *to;
	UpdateScript *script;
	const char *risk;
	const char *risk_reason;
	int			nlocks;
	KnownLock  *locks;
} PlanStep;

typedef struct UpgradePlan
{
	const char *requested;		/* as asked for; NULL is the binary version */
	bool		named;			/* both ends by who asks: what cannot be
								 * ordered counts by its text */
	bool		target_exists;	/* the files offer the main target */
	const char *target;			/* of the main extension, NULL when unknown */
	ExtensionTarget *targets;	/* one per extension of the facts */
	const char *behind;			/* which companions are not at their targets,
								 * as clauses; NULL when all are */
	int			nsteps;
	PlanStep   *steps;
} UpgradePlan;

extern UpgradePlan *du_plan_make(const UpgradeFacts *facts, const char *requested);
extern UpgradePlan *du_plan_make_named(const UpgradeFacts *facts, const char *requested);
extern void du_plan_read_scripts(UpgradePlan *plan, const UpgradeFacts *facts);
extern List *du_plan_locks(const UpgradePlan *plan);
extern LockCount *du_plan_count_locks(const UpgradePlan *plan);
extern char *du_plan_sql(const UpgradePlan *plan, const UpgradeFacts *facts);
extern List *du_plan_changes(const UpgradePlan *plan, const UpgradeFacts *facts);
extern PGDLLEXPORT char *du_plan_describe_changes(const UpgradePlan *plan, const UpgradeFacts *facts);
extern char *du_plan_statement(const char *extension, const char *version);
extern char *du_plan_finalize_statement(const char *target, const char *skipped, bool by_procedure);
extern char *du_plan_finalize_statement_named(const char *from, const char *target,
											  bool by_procedure);

/* ----
 * script_objects.c
 *
 * The objects that an update script names to drop or replace them.
 * ----
 */

extern bool du_plan_names_object(const UpgradePlan *plan, const char *name);
extern char *du_plan_objects(const UpgradePlan *plan, const UpgradeFacts *facts);

#endif							/* DU_PLAN_H */
