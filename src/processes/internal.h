/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_PROCESSES_INTERNAL_H
#define DU_PROCESSES_INTERNAL_H

#include "datatype/timestamp.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"

#include "processes/processes.h"

/* ----
 * shared_status.c
 *
 * What the worker lets every session see, and what sessions ask of it.
 * ----
 */

#define SHARED_ROOMS 7

extern void du_shared_set_launcher(const LauncherFacts *facts);
extern void du_shared_ask_for_read(void);
extern void du_shared_ask_to_leave(Oid database);
extern bool du_shared_wanted_by_others(Oid database);
extern bool du_shared_restart_wanted(void);

#endif							/* DU_PROCESSES_INTERNAL_H */
