/*-------------------------------------------------------------------------
 *
 * maintenance_window.c
 *	  Maintenance windows: when a finalize may run.
 *
 * Grammar: windows separated by semicolons; each is an optional list of
 * weekdays, a range of times and an optional time zone:
 *
 *		Sat,Sun 02:00-04:00 UTC; 22:00-01:30 Europe/Berlin
 *
 * Without weekdays every day counts; without a zone the time is UTC.  A range
 * that ends before it starts runs over midnight and belongs to the day on
 * which it starts.  The end is exclusive; 24:00 is allowed there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "nodes/pg_list.h"
#include "pgtime.h"
#include "utils/timestamp.h"

#define MINUTES_PER_DAY (24 * 60)
#define ALL_DAYS		0x7f

typedef struct Window
{
	int			days;			/* bit n is weekday n, Sunday is 0 */
	int			start;			/* minutes after midnight */
	int			end;
	pg_tz	   *zone;
} Window;

static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

/*
 * Reads "Sat,Sun" into bits; false when a name is no weekday.
 */
static bool
read_days(char *text, int *days)
{
	char	   *name;

	*days = 0;
	while ((name = strsep(&text, ",")) != NULL)
	{
		int			day;

		for (day = 0; day < 7; day++)
		{
			if (pg_strcasecmp(name, day_names[day]) == 0)
				break;
		}
		if (day == 7)
			return false;
		*days |= 1 << day;
	}
	return true;
}

/* Reads "02:00-04:00". */
static bool
read_times(const char *text, Window *window)
{
	int			start_hour;
	int			start_minute;
	int			end_hour;
	int			end_minute;
	int			used = 0;

	if (sscanf(text, "%2d:%2d-%2d:%2d%n", &start_hour, &start_minute,
			   &end_hour, &end_minute, &used) != 4 || text[used] != '\0')
		return false;
	if (start_hour < 0 || start_hour > 23 || start_minute < 0 || start_minute > 59 ||
		end_hour < 0 || end_hour > 24 || end_minute < 0 || end_minute > 59 ||
		(end_hour == 24 && end_minute != 0))
		return false;
	window->start = start_hour * 60 + start_minute;
	window->end = end_hour * 60 + end_minute;
	return window->start != window->end;
}

/*
 * Reads one window; NULL, or why it is none.
 */
static const char *
read_window(char *text, Window *window)
{
	char	   *words[3];
	char	   *word;
	int			nwords = 0;
	int			next = 0;

	while ((word = strsep(&text, " \t\n")) != NULL)
	{
		if (word[0] == '\0')
			continue;
		if (nwords == 3)
			return "A window has at most weekdays, a range of times and a time zone.";
		words[nwords++] = word;
	}
	if (nwords == 0)
		return "A window is empty.";

	window->days = ALL_DAYS;
	if (!(words[0][0] >= '0' && words[0][0] <= '9') && !read_days(words[next++], &window->days))
		return "Weekdays are written Sun, Mon, Tue, Wed, Thu, Fri, Sat, separated by commas.";
	if (next == nwords || !read_times(words[next++], window))
		return "Times are written HH:MM-HH:MM, and start and end differ.";

	window->zone = pg_tzset(next < nwords ? words[next++] : "UTC");
	if (window->zone == NULL)
		return "The time zone is not known.";
	if (next < nwords)
		return "Nothing may follow the time zone.";
	return NULL;
}

/* True when a local time, given as weekday and minute, lies in the window. */
static bool
covers(const Window *window, int weekday, int minute)
{
	int			yesterday = (weekday + 6) % 7;

	if (window->end > window->start)
		return (window->days & (1 << weekday)) != 0 &&
			minute >= window->start && minute < window->end;
	return ((window->days & (1 << weekday)) != 0 && minute >= window->start) ||
		((window->days & (1 << yesterday)) != 0 && minute < window->end);
}

/*
 * True when text is "" or a list of windows; else *reason says why not, as a
 * sentence.
 */
bool
du_window_is_valid(const char *text, const char **reason)
{
	char	   *rest = pstrdup(text);
	char	   *item;

	if (text[0] == '\0')
		return true;
	while ((item = strsep(&rest, ";")) != NULL)
	{
		Window		window;

		*reason = read_window(item, &window);
		if (*reason != NULL)
			return false;
	}
	return true;
}

/* The windows of a valid text. */
static List *
read_windows(const char *text)
{
	char	   *rest = pstrdup(text);
	char	   *item;
	List	   *windows = NIL;

	while ((item = strsep(&rest, ";")) != NULL)
	{
		Window	   *window = palloc(sizeof(Window));

		if (read_window(item, window) == NULL)
			windows = lappend(windows, window);
	}
	return windows;
}

static bool
contain(const List *windows, TimestampTz time)
{
	pg_time_t	seconds = timestamptz_to_time_t(time);
	ListCell   *lc;

	foreach(lc, windows)
	{
		const Window *window = lfirst(lc);
		struct pg_tm *local = pg_localtime(&seconds, window->zone);

		if (local != NULL &&
			covers(window, local->tm_wday, local->tm_hour * 60 + local->tm_min))
			return true;
	}
	return false;
}

/*
 * True when a time lies in one of the windows.  text must be valid and not
 * empty.
 */
bool
du_window_contains(const char *text, TimestampTz time)
{
	return contain(read_windows(text), time);
}

/*
 * When the next window opens, for a time that lies in none; 0 when none does
 * within a fortnight.  Each minute is looked at, because clocks change, which
 * can leave out a window for a week.
 */
TimestampTz
du_window_next(const char *text, TimestampTz time)
{
	List	   *windows = read_windows(text);
	TimestampTz minute = time - time % USECS_PER_MINUTE;

	for (int i = 0; i < 15 * MINUTES_PER_DAY; i++)
	{
		minute += USECS_PER_MINUTE;
		if (contain(windows, minute))
			return minute;
	}
	return 0;
}
