/*-------------------------------------------------------------------------
 *
 * attempt_limits.c
 *	  Bounds of one attempt: the sum of its lock waits, and its duration.
 *
 * The server's lock_timeout bounds each wait alone, and statement_timeout
 * arms nothing inside a running function.  So two timers of our own are
 * used: one that fires once at the deadline, and one that ticks while the
 * attempt runs and adds up the time this process has spent waiting for
 * heavyweight locks.  Both end the attempt by the ordinary way of a query
 * cancel, which every wait of the server answers, a wait for another session
 * that waits for us included.
 *
 * The handlers run in signal context: they read the process's own entry and
 * set flags, nothing more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#define TICKS_PER_BUDGET	20
#define LONGEST_TICK_MS		50

static bool registered = false;
static TimeoutId deadline_timer;
static TimeoutId tick_timer;

static volatile LimitReached reached = LIMIT_NONE;
static volatile bool running = false;

static int64 budget;			/* microseconds */
static int64 waited;			/* microseconds, as far as the ticks tell */
static int64 last_tick;			/* microseconds */

/* Ends what is running, in the way of a cancel request. */
static void
cancel(LimitReached limit)
{
	if (!running || reached != LIMIT_NONE)
		return;
	reached = limit;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

static void
handle_deadline(void)
{
	cancel(LIMIT_DURATION);
}

/*
 * Adds up lock waits: a tick that finds the process waiting counts for the
 * time since the tick before.  That is a tick off at the most for one long
 * wait, and right on average for many short ones, which no look at a single
 * wait could see.
 */
static void
handle_tick(void)
{
	int64		now = du_clock_us();

	if (MyProc != NULL && MyProc->waitStatus == PROC_WAIT_STATUS_WAITING)
		waited += now - last_tick;
	last_tick = now;
	if (waited >= budget)
		cancel(LIMIT_LOCK_WAITS);
}

/*
 * Starts both timers.  Each must be stopped with du_limits_stop on every
 * path.
 */
void
du_limits_start(int lock_wait_ms, int duration_ms)
{
	int			tick_ms = Max(1, Min(LONGEST_TICK_MS, lock_wait_ms / TICKS_PER_BUDGET));

	if (!registered)
	{
		deadline_timer = RegisterTimeout(USER_TIMEOUT, handle_deadline);
		tick_timer = RegisterTimeout(USER_TIMEOUT, handle_tick);
		registered = true;
	}

	budget = (int64) lock_wait_ms * 1000;
	waited = 0;
	last_tick = du_clock_us();
	reached = LIMIT_NONE;
	running = true;

	enable_timeout_after(deadline_timer, duration_ms);
	enable_timeout_every(tick_timer,
						 TimestampTzPlusMilliseconds(GetCurrentTimestamp(), tick_ms),
						 tick_ms);
}

/*
 * Raises when a limit was reached and whatever ran has swallowed the error,
 * and counts the locks once more.
 */
void
du_limits_check(void)
{
	CHECK_FOR_INTERRUPTS();
	du_lock_budget_check();
	if (reached != LIMIT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("canceling the upgrade because a limit was reached")));
}

/*
 * Stops both timers; which limit was reached stays known.  A cancel of ours
 * that nothing has answered yet is taken back, so that it does not hit what
 * runs next.  May be called more than once.
 */
void
du_limits_stop(void)
{
	running = false;
	du_lock_budget_stop();
	if (!registered)
		return;
	disable_timeout(deadline_timer, false);
	disable_timeout(tick_timer, false);
	if (reached != LIMIT_NONE)
		QueryCancelPending = false;
}

/*
 * How long this process has waited for locks since the last start, as far as the
 * ticks tell.
 */
int64
du_limits_waited_ms(void)
{
	return waited / 1000;
}

/*
 * The limit that the last attempt reached.
 */
LimitReached
du_limits_reached(void)
{
	return reached;
}
