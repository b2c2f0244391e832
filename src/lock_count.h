/*-------------------------------------------------------------------------
 *
 * lock_count.h
 *	  What the things that a plan may lock add up to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LOCK_COUNT_H
#define DU_LOCK_COUNT_H

#include "catalog.h"
#include "code_scan.h"
#include "update_script.h"

typedef struct LockEstimate
{
	/* What is asked for. */
	const UpgradeFacts *facts;
	List	   *routines;		/* of ScriptRoutine, newest first */
	List	   *followed;		/* OIDs of functions that were looked into */
	List	   *relations;		/* OIDs that are named */
	bool		own_tables;		/* tables that are members */
	bool		collections;	/* creation_time of DocumentDB's collections */
	TableTouch	touch;			/* by code that may touch every data table */
	int			nobjects;		/* objects per table, for TOUCH_ALTER */
	const char *because;		/* what such code is, for people */

	/* The result. */
	int64		objects;		/* for the statements themselves */
	int64		ntables;		/* tables that opaque code may touch */
	int64		needed;
	int64		held;			/* by everybody else, now */
	int64		slots;			/* sessions and prepared transactions */
	int64		formula;		/* what the settings promise */
} LockEstimate;

extern void du_lock_count_sum(LockEstimate *estimate);

#endif							/* DU_LOCK_COUNT_H */
