/*-------------------------------------------------------------------------
 *
 * wording.c
 *	  Lists and durations, worded for people.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include "lib/stringinfo.h"

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
