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
 * they are now; PG_INT64_MAX when it never does.
 */
ClockMs
du_clock_after(const Interval *interval)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz then = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
															   TimestampTzGetDatum(now),
															   IntervalPGetDatum(interval)));

	return TIMESTAMP_IS_NOEND(then) ? PG_INT64_MAX : du_clock_ms() + (then - now) / 1000;
}
