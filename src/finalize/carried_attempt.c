/*-------------------------------------------------------------------------
 *
 * carried_attempt.c
 *	  A step of an attempt that the coordinator of a cluster has carried here.
 *
 * It runs with the settings and within the limits that it has on the
 * coordinator, whatever the roles of this node bring along.  A step is a
 * statement of its own here, so what the steps before it in the transaction
 * have used up is kept.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "citus/citus.h"
#include "extension/extension.h"

/* Of the transaction whose steps these are. */
static TimestampTz transaction = 0;
static ClockMs first_step;
static int64 waited_ms;			/* for locks, in the steps before */

static void
pin(void *arg)
{
	MemoryContext caller = CurrentMemoryContext;

	SPI_connect();
	MemoryContextSwitchTo(caller);
	du_settings_pin(du_managed_gather(), false);
	SPI_finish();
	MemoryContextSwitchTo(caller);
}

/* Not in a subtransaction, whose end would take the settings back. */
static void
pin_settings(CarriedAttempt *attempt, const char *extension)
{
	MemoryContext caller = CurrentMemoryContext;

	MemoryContextSwitchTo(AllocSetContextCreate(CurTransactionContext, "documentdb_upgrade carried attempt",
												ALLOCSET_DEFAULT_SIZES));
	du_context_enter(&attempt->settings);
	du_citus_keep_settings_here();
	du_main_run(du_managed_set_of(extension), pin, NULL);
	du_context_leave_role(&attempt->settings);
	MemoryContextSwitchTo(caller);
}

static void
start_limits(int lock_wait_ms, int duration_ms)
{
	if (transaction != GetCurrentTransactionStartTimestamp())
	{
		transaction = GetCurrentTransactionStartTimestamp();
		first_step = du_clock_ms();
		waited_ms = 0;
	}
	du_limits_start(Max(1, lock_wait_ms - waited_ms),
					Max(1, duration_ms - (du_clock_ms() - first_step)));
}

/*
 * Begins with it, if the statement that is about to run is one; to be called within
 * PG_TRY.
 */
void
du_carried_attempt_begin(CarriedAttempt *attempt, const char *extension)
{
	int			lock_wait_ms;
	int			duration_ms;

	if (!du_citus_attempt(&lock_wait_ms, &duration_ms))
		return;
	pin_settings(attempt, extension);
	attempt->running = true;
	attempt->lock_wait_ms = lock_wait_ms;
	attempt->duration_ms = duration_ms;
	start_limits(lock_wait_ms, duration_ms);
}

/*
 * It has run: takes back the settings, and what the script has set.
 */
void
du_carried_attempt_end(const CarriedAttempt *attempt)
{
	if (!attempt->running)
		return;
	du_limits_check();
	AtEOXact_GUC(false, attempt->settings.guc_nestlevel);
}

/*
 * Ends its limits, whatever has become of it.
 */
void
du_carried_attempt_stop(const CarriedAttempt *attempt)
{
	if (!attempt->running)
		return;
	du_limits_stop();
	waited_ms += du_limits_waited_ms();
}

/*
 * Says of an error what it means, when it is the cancel of a limit: the coordinator
 * cannot know.
 */
void
du_carried_attempt_explain(const CarriedAttempt *attempt, ErrorData *edata)
{
	if (!attempt->running || edata->sqlerrcode != ERRCODE_QUERY_CANCELED)
		return;
	switch (du_limits_reached())
	{
		case LIMIT_LOCK_WAITS:
			edata->sqlerrcode = ERRCODE_LOCK_NOT_AVAILABLE;
			edata->message = psprintf("could not get all locks for the upgrade within %d ms", attempt->lock_wait_ms);
			break;
		case LIMIT_DURATION:
			edata->message = psprintf("the upgrade exceeded its time limit of %d ms", attempt->duration_ms);
			break;
		case LIMIT_NONE:
			break;
	}
}
