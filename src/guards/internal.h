/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_GUARDS_INTERNAL_H
#define DU_GUARDS_INTERNAL_H

#include "datatype/timestamp.h"

#include "extension/extension.h"
#include "guards/guards.h"

/* ----
 * drop_losses.c
 *
 * What would be lost with an extension that is dropped and created.
 * ----
 */

extern const char *du_losses_describe(const ExtensionFacts *extension);

/* ----
 * announced_holds.c
 *
 * Holds whose transactions have not ended yet.
 * ----
 */

extern pid_t du_announced_hold_find(Oid database);

/* ----
 * member_record.c
 *
 * What the members of the managed set were at the last finalize.
 * ----
 */

extern MemberChanges *du_members_compare(const UpgradeFacts *facts);

/* ----
 * outside_memory.c
 *
 * What is known of objects of others that an upgrade removes or changes.
 * ----
 */

extern void du_outside_recall(const UpgradeFacts *facts, const UpgradePlan *plan,
							  bool rehearsed, bool read_scripts, OutsideObjects *outside);

/* ----
 * rehearsal_memory.c
 *
 * What earlier rehearsals say about an upgrade.
 * ----
 */

extern void du_rehearsals_recall(const UpgradeFacts *facts, const char *target,
								 RememberedRehearsal *rehearsal);

/* ----
 * standing_objects.c
 *
 * Whether anything can stand on what the scripts of an upgrade drop.
 * ----
 */

extern bool du_outside_may_stand(const UpgradeFacts *facts, const UpgradePlan *plan);

/* ----
 * server_facts.c
 *
 * What else on this server bears on an upgrade.
 * ----
 */

extern ServerFacts *du_server_facts_look(const UpgradeFacts *facts, const UpgradePlan *plan,
										 Oid caller);
extern ServerFacts *du_server_facts_gather(const UpgradeFacts *facts, const UpgradePlan *plan,
										   Oid caller);

/* ----
 * guard_hard.c
 *
 * One function per guard: the hard ones are in guard_hard.c, those of
 * standbys in guard_standbys.c, the other judgements in guard_overridable.c.
 * ----
 */

typedef GuardStatus (*GuardCheck) (const GuardInput *input, GuardResult *result);

/* Says that a guard is met. */
static inline GuardStatus
du_guard_pass(GuardResult *result, const char *detail)
{
	result->detail = detail;
	return GUARD_PASS;
}

/* Says that a guard is not met, and what to do. */
static inline GuardStatus
du_guard_fail(GuardResult *result, const char *detail, const char *hint)
{
	result->detail = detail;
	result->hint = hint;
	return GUARD_FAIL;
}

/* Says that a guard has nothing to look at. */
static inline GuardStatus
du_guard_skip(GuardResult *result, const char *detail)
{
	result->detail = detail;
	return GUARD_SKIP;
}

/*
 * Says that too little is known to judge.  Where the guard was set to fail, it
 * does, with the hint; else the status counts.
 */
static inline GuardStatus
du_guard_unknown(GuardResult *result, GuardStatus status, const char *detail, const char *hint)
{
	result->unknown = true;
	result->detail = detail;
	result->hint = hint;
	return status;
}

extern GuardStatus du_guard_nodes_ready(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_node_guards(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_installed(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_target_known(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_not_downgrade(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_within_binary(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_update_path(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_not_in_recovery(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_library_loaded(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_requirements(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_owner_can_update(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_companions_aligned(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_no_other_upgrade(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_lock_capacity(const GuardInput *input, GuardResult *result);
extern GuardStatus du_guard_outside_objects(const GuardInput *input, GuardResult *result);
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

/* ----
 * maintenance_window.c
 *
 * Maintenance windows: when a finalize may run.
 * ----
 */

extern bool du_window_contains(const char *text, TimestampTz time);
extern TimestampTz du_window_next(const char *text, TimestampTz time);

#endif							/* DU_GUARDS_INTERNAL_H */
