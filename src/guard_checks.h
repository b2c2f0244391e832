/*-------------------------------------------------------------------------
 *
 * guard_checks.h
 *	  One function per guard.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_GUARD_CHECKS_H
#define DU_GUARD_CHECKS_H

#include "guards.h"

typedef GuardStatus (*GuardCheck) (const GuardInput *input, GuardResult *result);

extern GuardStatus du_guard_installed(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_target_known(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_not_downgrade(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_within_binary(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_update_path(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_not_in_recovery(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_library_loaded(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_owner_can_update(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_companions_aligned(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_no_other_upgrade(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_lock_capacity(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_standbys_ready(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_replication_lag(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_blocking_sessions(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_backup_recent(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_soak_time(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_window(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_hold(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_disk_headroom(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_event_triggers(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_standby_queries(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_rehearsed(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_members_intact(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_caller_can_plan(const GuardInput *input, GuardResult *result);

#endif							/* DU_GUARD_CHECKS_H */
