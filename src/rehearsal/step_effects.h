/*-------------------------------------------------------------------------
 *
 * step_effects.h
 *	  What one step of an upgrade does, found out while it is done.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_STEP_EFFECTS_H
#define DU_STEP_EFFECTS_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "plan/upgrade_plan.h"

/* Rows of one table that a step has written. */
typedef struct TableRows
{
	const char *table;
	bool		is_new;			/* made by this very upgrade */
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

extern void du_effects_start(void);
extern void du_effects_take_early_locks(void);
extern void du_effects_stop(void);
extern void du_effects_begin_step(void);
extern StepEffects *du_effects_end_step(const PlanStep *step);

#endif							/* DU_STEP_EFFECTS_H */
