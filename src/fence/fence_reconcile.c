/*-------------------------------------------------------------------------
 *
 * fence_reconcile.c
 *	  Has the fences for maintenance be what the table and the resource say.
 *
 * The part of the worker's pass that is about them.  The table is the truth, on
 * standbys too, where it is read as it was replicated: so a fence is up there
 * before a promotion.  On a primary the wish of the custom resource is made a
 * row, and it is noted when the last older writer is gone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fence/internal.h"

/* True until the file is known to say what is up. */
static bool file_is_old = true;

/* Begins and ends cutovers as the resource wishes. */
static void
follow_resource(MaintenanceRequest wish, const char *resource)
{
	uint32		changes = du_fences()->changes; /* before the table is read */
	Cutover		known = du_cutover_find(FENCE_MAINTENANCE);
	Cutover		cutover;

	if (wish == MAINTENANCE_ON && known.id == 0)
	{
		/* When something has changed since, the next look is soon. */
		if (du_cutover_begin(FENCE_MAINTENANCE, changes, resource, "worker", false, &cutover))
			du_cutover_store(&cutover);
	}
	else if (wish == MAINTENANCE_OFF && known.id != 0)
		(void) du_cutover_end(FENCE_MAINTENANCE);
}

/*
 * Puts in force what the table says of one kind.
 */
static void
follow_table(FenceReason reason, bool primary)
{
	uint32		changes = du_fences()->changes; /* before the table is read */
	Cutover		cutover = du_cutover_find(reason);
	Fence		wanted = {0};
	Fence		before = du_fence_read(reason);
	bool		changed;

	if (cutover.id != 0)
		wanted = du_cutover_fence(&cutover);
	if (!du_fence_settle(reason, changes, cutover.id != 0 ? &wanted : NULL, &changed) || !changed)
		return;
	file_is_old = true;

	/* It was not up, so there may be new writers. */
	if (cutover.id != 0 && cutover.drained_at != 0 && primary &&
		before.cutover != cutover.id)
		du_cutover_forget_drained(cutover.id);
}

/* Notes that a cutover's last writer is gone, once it is. */
static void
follow_writers(FenceReason reason)
{
	Cutover		cutover = du_cutover_find(reason);
	TimestampTz since = du_fence_since();

	if (cutover.id == 0 || cutover.drained_at != 0 || since == 0 ||
		du_fence_read(reason).cutover != cutover.id ||
		du_cutover_count_writers(since, cutover.everywhere) > 0)
		return;
	du_cutover_set_drained(&cutover);
	(void) du_cutover_store_drained(&cutover);
}

/*
 * Forgets databases that are gone.  To be called by one worker, in a
 * transaction.
 */
void
du_fence_follow_databases(void)
{
	file_is_old |= du_fence_forget_dropped();
}

/*
 * Does all that.  To be called in a transaction of the worker, with the
 * execution context of our own code.  resource is for people; rows are written
 * on a primary only.
 */
void
du_fence_follow(bool primary, MaintenanceRequest wish, const char *resource)
{
	if (!du_cutover_table_exists())
		return;
	for (int i = FENCE_MANUAL; i < FENCE_REASONS; i++)
		follow_table(i, primary);
	if (primary)
	{
		follow_resource(wish, resource);
		for (int i = FENCE_MANUAL; i < FENCE_REASONS; i++)
			follow_writers(i);
	}
	if (file_is_old)
		du_fence_file_write(LOG);
	file_is_old = false;
}

/*
 * Takes down what there is no table for any more.
 */
void
du_fence_abandon(void)
{
	file_is_old |= du_fence_lift(FENCE_MANUAL);
	file_is_old |= du_fence_lift(FENCE_MAINTENANCE);
	if (file_is_old)
		du_fence_file_write(LOG);
	file_is_old = false;
}
