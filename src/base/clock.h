/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  For how long, by a clock that nobody sets.
 *
 * GetCurrentTimestamp() is for people and for tables.  It jumps when somebody
 * sets the clock, or when a virtual machine that was suspended comes back: whoever
 * waits until a time of it may wait for hours, and what is young by it may be
 * old.  What waits, grows old or is paced goes by this clock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CLOCK_H
#define DU_CLOCK_H

#include "portability/instr_time.h"
#include "utils/timestamp.h"

/* Milliseconds since some moment, the same for all processes of a machine. */
typedef int64 ClockMs;

static inline int64
du_clock_us(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MICROSEC(now);
}

static inline ClockMs
du_clock_ms(void)
{
	return du_clock_us() / 1000;
}

/* Milliseconds until then: not negative. */
static inline long
du_clock_left(ClockMs then)
{
	return (long) Max(then - du_clock_ms(), 0);
}

/* True when more than that time has passed since then. */
static inline bool
du_clock_exceeds(ClockMs since, int64 ms)
{
	return du_clock_ms() - since > ms;
}

/* What people call that moment. */
static inline TimestampTz
du_clock_to_timestamp(ClockMs moment)
{
	return GetCurrentTimestamp() + (moment * 1000 - du_clock_us());
}

extern ClockMs du_clock_after(const Interval *interval);

#endif							/* DU_CLOCK_H */
