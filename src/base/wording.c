/*-------------------------------------------------------------------------
 *
 * wording.c
 *	  Lists, numbers, moments and durations, worded for people.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include "lib/stringinfo.h"
#include "utils/timestamp.h"

/*
 * The strings of a list separated by commas, palloc'd.
 */
char *
du_names_join(const List *names)
{
	StringInfoData buf;
	const ListCell *lc;

	initStringInfo(&buf);
	foreach(lc, names)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", (char *) lfirst(lc));
	return buf.data;
}

/*
 * A number with the word for what is counted, palloc'd: "1 step", "2 steps".
 */
char *
du_count_words(int64 n, const char *one, const char *many)
{
	return psprintf(INT64_FORMAT " %s", n, n == 1 ? one : many);
}

/*
 * A moment to the second, with its time zone, palloc'd.
 */
char *
du_time_words(TimestampTz time)
{
	return pstrdup(timestamptz_to_str(time - time % USECS_PER_SEC));
}

/*
 * A number of seconds, palloc'd: "45 s", "12 min", "3.5 h".
 */
char *
du_duration_words(double seconds)
{
	if (seconds < 120)
		return psprintf("%.0f s", seconds);
	if (seconds < 7200)
		return psprintf("%.0f min", seconds / 60);
	return psprintf("%.1f h", seconds / 3600);
}
