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
extern void du_shared_wake_launcher(void);
extern bool du_shared_begin_visit(Oid database);
extern bool du_shared_is_visited(Oid database);
extern void du_shared_end_visit(void);

/* ----
 * database_looks.c
 *
 * Has databases looked at that no worker serves.
 * ----
 */

extern TimestampTz du_looks_advance(void);
extern void du_look_await(Oid database);

/* ----
 * database_records.c
 *
 * What is known of each database of this server.
 * ----
 */

extern void du_records_follow(const List *databases);
extern void du_records_begin_look(Oid database);
extern void du_records_end_look(Oid database);
extern void du_records_want_look(Oid database);

#endif							/* DU_PROCESSES_INTERNAL_H */
