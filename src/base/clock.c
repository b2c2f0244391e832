/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  For how long, in the words of SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"

#include "utils/fmgrprotos.h"

/*
 * The moment that comes when an interval has passed, months and days of it as
 * they are now; PG_INT64_MAX when it never does, 0 when it did at the beginning
 * of time.
 */
ClockMs
du_clock_after(const Interval *interval)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz then = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
															   TimestampTzGetDatum(now),
															   IntervalPGetDatum(interval)));

	/* Intervals of 17 and later can be infinite. */
	if (TIMESTAMP_NOT_FINITE(then))
		return TIMESTAMP_IS_NOEND(then) ? PG_INT64_MAX : 0;
	return du_clock_ms() + (then - now) / 1000;
}
