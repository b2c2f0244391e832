/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REHEARSAL_INTERNAL_H
#define DU_REHEARSAL_INTERNAL_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "catalog/objectaddress.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

#include "cluster/cluster.h"
#include "finalize/finalize.h"
#include "guards/guards.h"
#include "plan/plan.h"

/* ----
 * catalog_changes.c
 *
 * What a subtransaction has changed in the catalogues.
 * ----
 */

/* Whose an object is. */
typedef enum ObjectPlace
{
	PLACE_NOWHERE,				/* of a kind that is in no extension */
	PLACE_INSIDE,				/* part of the managed set */
	PLACE_MEMBER_SCHEMA,		/* in a schema that is part of it */
	PLACE_OUTSIDE
} ObjectPlace;

typedef enum ChangeAction
{
	CHANGE_ADDED,
	CHANGE_REMOVED,
	CHANGE_CHANGED
} ChangeAction;

typedef struct CatalogChange
{
	ObjectAddress object;
	ChangeAction action;
	const char *kind;			/* "function", "table column", "role", ... */
	const char *identity;		/* the name for people, schema-qualified */
	bool		definition;		/* more than privileges and owner */
	bool		owner;			/* another owner */
	bool		rewritten;		/* a relation that got new storage */
	bool		recreated;		/* dropped, and made anew under its name */
	bool		dependent;		/* comes and goes with another object */
	ObjectPlace place;			/* of what was there before */
	ObjectAddress replaced;		/* what was dropped, when it was made anew */
	List	   *details;		/* what of the definition, for people */
	List	   *privileges;		/* aclitem texts of it, or of what was removed */
	List	   *granted;		/* those that are new */
	List	   *revoked;		/* that are gone */
	List	   *usual;			/* those that nobody had to grant */
	List	   *settings;		/* name=value of it, or of what was removed */
	List	   *lost;			/* settings that are gone */

	/* The row of one that was removed or added, to compare the two. */
	const struct WatchedCatalog *catalog;
	HeapTuple	row;
} CatalogChange;

extern List *du_changes_collect(TransactionId since);
extern const char *du_changes_action_name(ChangeAction action);

/* ----
 * dropped_objects.c
 *
 * The names that dropped objects had.
 * ----
 */

/* An object that was dropped, and its name. */
typedef struct DroppedObject
{
	ObjectAddress object;		/* hash key */
	const char *kind;			/* NULL where the server has no name for it */
	const char *identity;
	ObjectPlace place;
} DroppedObject;

extern void du_dropped_watch(void);
extern void du_dropped_unwatch(void);
extern const DroppedObject *du_dropped_find(Oid classid, Oid objid, int subid);
extern const char *du_dropped_role_name(Oid role);
extern bool du_dropped_is_new_relation(Oid relation);

/* ----
 * fresh_install.c
 *
 * What an update leaves against what CREATE EXTENSION makes.
 * ----
 */

extern void du_fresh_want_members(void);
extern char *du_fresh_list_members(const UpgradeFacts *facts);
extern bool du_fresh_has_members(const char *row);
extern void du_fresh_warn(const char *row);
extern char *du_fresh_compare(const char *row, const char *members, const char *problem);

/* ----
 * held_locks.c
 *
 * The locks that this transaction holds.
 * ----
 */

/* A relation with the strongest mode in which it is locked. */
typedef struct HeldLock
{
	Oid			relation;		/* hash key */
	LOCKMODE	mode;
} HeldLock;

typedef struct HeldLocks
{
	int			entries;		/* in the shared lock table */
	int			nrelations;
	HeldLock   *relations;		/* stronger than ACCESS SHARE, ordered by OID */
} HeldLocks;

extern HeldLocks *du_held_locks(void);
extern bool du_held_locks_include(const HeldLocks *held, Oid relation);
extern List *du_held_locks_new(const HeldLocks *before, const HeldLocks *now);

/* ----
 * node_figures.c
 *
 * What the steps of a coordinator's rehearsal have done on this node.
 * ----
 */

extern void du_figures_add(const char *rehearsal, const char *step, const char *problem);

/* ----
 * node_rehearsals.c
 *
 * What a rehearsal has done on the other nodes of a cluster.
 * ----
 */

extern char *du_nodes_announce_rehearsal(const Cluster *cluster);
extern char *du_nodes_rehearsed(const Cluster *cluster, const char *rehearsal, const char *steps);

/* ----
 * watched_catalogs.c
 *
 * Which rows of which catalogues are about which objects.
 * ----
 */

typedef struct WatchedCatalog
{
	Oid			catalogue;
	Oid			classid;		/* class of the objects that rows are about */
	AttrNumber	id;				/* column with the object's OID */
	AttrNumber	subid;			/* with its part, or InvalidAttrNumber */
	bool		part;			/* a row is a part of an object's definition */
	AttrNumber	acl;			/* or InvalidAttrNumber */

	/* True for objects that come and go with others; NULL: none do. */
	bool		(*is_derived) (HeapTuple row, TupleDesc desc);

	/* True for rows that stay behind; NULL: none do. */
	bool		(*is_gone) (HeapTuple row, TupleDesc desc);

	/* For what the server has no name for. */
	const char *kind;
	char	   *(*describe) (HeapTuple row, TupleDesc desc);
} WatchedCatalog;

extern const WatchedCatalog du_watched[];
extern const int du_watched_count;

extern ObjectAddress du_watched_identify(const WatchedCatalog *catalog, HeapTuple row,
										 TupleDesc desc);
extern bool du_watched_is_bookkeeping(const WatchedCatalog *catalog, AttrNumber column);
extern bool du_watched_is_storage(const WatchedCatalog *catalog, AttrNumber column);
extern AttrNumber du_watched_settings(const WatchedCatalog *catalog);
extern const char *du_watched_column_words(const WatchedCatalog *catalog, AttrNumber column,
										   TupleDesc desc);
extern const char *du_watched_part_words(Oid catalogue);
extern bool du_watched_is_privileges(const WatchedCatalog *catalog);
extern bool du_watched_acl_type(const WatchedCatalog *catalog, HeapTuple row,
								TupleDesc desc, ObjectType *type);

/* ----
 * object_change.c
 *
 * What has happened to one object, by its row before and after.
 * ----
 */

/* One object, with the versions of its row before and after. */
typedef struct TouchedObject
{
	ObjectAddress object;		/* hash key */
	const WatchedCatalog *catalog;	/* NULL: only rows about its parts */
	HeapTuple	before;
	HeapTuple	after;
	List	   *parts_before;	/* rows about its parts */
	List	   *parts_after;
} TouchedObject;

extern CatalogChange *du_change_conclude(const TouchedObject *entry, bool with_relation);
extern List *du_change_lost_privileges(const CatalogChange *change);
extern List *du_change_words(const CatalogChange *change);
extern CatalogChange *du_change_merge(CatalogChange *removed, CatalogChange *added);

/* ----
 * outside_objects.c
 *
 * Which objects are not part of the extensions that are upgraded.
 * ----
 */

extern void du_outside_watch(const UpgradeFacts *facts);
extern void du_outside_unwatch(void);
extern void du_outside_add_made(const ObjectAddress *object);
extern ObjectPlace du_outside_place(Oid classid, Oid objid);

/* ----
 * rehearsal.c
 *
 * Runs a real upgrade and takes it back.
 * ----
 */

extern Datum du_rehearse(const char *target, bool *isnull);
extern char *du_rehearsal_run(const char *target, Oid caller, bool alter_first, FailureCause *cause);
extern Datum du_rehearsal_store(const char *json, bool *isnull);

/* ----
 * detached_rehearsal.c
 *
 * Rehearses in a process of its own, which begins with the update.
 * ----
 */

extern char *du_rehearsal_run_detached(const char *target, Oid caller);

/* ----
 * step_effects.c
 *
 * What one step of an upgrade does, found out while it is done.
 * ----
 */

/* Rows of one table that a step has written. */
typedef struct TableRows
{
	Oid			oid;
	const char *table;
	bool		is_new;			/* made by this very upgrade */
	ObjectPlace place;
	int64		inserted;
	int64		updated;
	int64		deleted;
} TableRows;

/* An existing relation that a step has locked, stronger than ACCESS SHARE. */
typedef struct LockedRelation
{
	const char *name;
	LOCKMODE	mode;
	bool		is_table;
	bool		is_member;		/* of an extension */
	int64		bytes;			/* of a table, without its indexes */
} LockedRelation;

typedef struct StepEffects
{
	int			lock_entries;	/* since the run began, earlier steps included */
	List	   *locked;			/* of LockedRelation */
	List	   *changes;		/* of CatalogChange */
	List	   *rows;			/* of TableRows, of other tables than
								 * catalogues */
	uint64		wal_bytes;
	List	   *warnings;
} StepEffects;

extern void du_effects_start(const UpgradeFacts *facts);
extern void du_effects_take_early_locks(void);
extern void du_effects_stop(void);
extern void du_effects_begin_step(bool may_ask);
extern StepEffects *du_effects_end_step(const PlanStep *step);

/* ----
 * step_risk.c
 *
 * How much is at stake in a step, judged by what it did.
 * ----
 */

typedef struct StepRisk
{
	const char *name;			/* as view plan shows it */
	int			rank;			/* higher is worse */
	const char *reason;			/* one line, palloc'd or constant */
} StepRisk;

extern StepRisk du_risk_of(const StepEffects *effects);
extern StepRisk du_risk_unknown(void);

/* ----
 * outside_findings.c
 *
 * What a rehearsal did to objects of others, for its report.
 * ----
 */

typedef struct OutsideFindings
{
	StringInfoData objects;		/* JSON objects */
	StringInfoData replaced;	/* the same, functions with another body */
} OutsideFindings;

extern void du_findings_start(OutsideFindings *findings);
extern void du_findings_add(OutsideFindings *findings, const char *extension,
							const PlanStep *step, const StepEffects *effects);
extern void du_findings_write(const OutsideFindings *findings, StringInfo buf);

/* ----
 * rehearsal_report.c
 *
 * What a rehearsal has found, as JSON.
 * ----
 */

extern void du_rehearsal_write_step(StringInfo buf, const char *extension, const PlanStep *step,
								 double ms, const StepEffects *effects, const StepRisk *risk);
extern void du_rehearsal_write_guards(StringInfo buf, const GuardResults *guards);
extern void du_rehearsal_write_sequences(StringInfo buf, List *before, List *after);

/* ----
 * scratch_database.c
 *
 * A throw-away database, in which one function runs.
 * ----
 */

extern char *du_scratch_run(const char *function, const StringInfoData *order);

/* ----
 * scratch_rehearsal.c
 *
 * A rehearsal in a throw-away database.
 * ----
 */

extern char *du_rehearsal_sign(const char *row, const char *fingerprint);
extern Datum du_rehearse_in_scratch(const char *target, bool *isnull);

/* ----
 * sequence_values.c
 *
 * Where the sequences of this database stand.
 * ----
 */

typedef struct SequenceValue
{
	Oid			sequence;
	const char *name;			/* schema-qualified and quoted */
	int64		last_value;
	bool		is_called;
} SequenceValue;

extern List *du_sequences_read(void);

#endif							/* DU_REHEARSAL_INTERNAL_H */
