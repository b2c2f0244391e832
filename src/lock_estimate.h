/*-------------------------------------------------------------------------
 *
 * lock_estimate.h
 *	  How many entries of the shared lock table a plan may need.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LOCK_ESTIMATE_H
#define DU_LOCK_ESTIMATE_H

#include "code_scan.h"
#include "lock_holders.h"
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

extern LockEstimate *du_estimate_begin(const UpgradeFacts *facts);
extern void du_estimate_add_step(LockEstimate *estimate, int extension,
								 const char *to, const UpdateScript *script,
								 const KnownLock *locks, int nlocks);
extern void du_estimate_end(LockEstimate *estimate);

#endif							/* DU_LOCK_ESTIMATE_H */
