/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  Long work tells how far it is.
 *
 * It is shown where people look while they wait: in pg_stat_activity, before
 * the statement that they have sent, and as a NOTICE, which reaches a client
 * at once and only if its client_min_messages let it.  Short work says
 * nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include "pgstat.h"
#include "tcop/tcopprot.h"

/*
 * Starts the clock.  what is a word for the work, which must live as long.
 */
void
du_progress_start(Progress *progress, const char *what)
{
	progress->what = what;
	progress->started = progress->told = du_clock_ms();
}

/*
 * True when it is time to tell again.
 */
bool
du_progress_is_due(const Progress *progress)
{
	return du_guc_progress_interval > 0 &&
		du_clock_exceeds(progress->told, du_guc_progress_interval);
}

/*
 * How long it will take from now on when that part of it, between 0 and 1, is
 * done; palloc'd for people.
 */
static char *
time_left(const Progress *progress, double done)
{
	double		taken = (du_clock_ms() - progress->started) / 1000.0;

	if (done <= 0)
		return psprintf("%s so far", du_duration_words(taken));
	return psprintf("%s so far, about %s left", du_duration_words(taken),
					du_duration_words(taken / done * (1 - done)));
}

/*
 * Shows how far it is in pg_stat_activity.  A process of ours, which has no
 * statement of a client, says there itself what it does.
 */
void
du_progress_show(const Progress *progress, const char *position)
{
	char	   *text;

	if (debug_query_string == NULL)
		return;
	text = psprintf("%s: %s; %.*s", progress->what, position,
					pgstat_track_activity_query_size, debug_query_string);
	pgstat_report_activity(STATE_RUNNING, text);
	pfree(text);
}

/*
 * The same with how long it will take, and tells the client too, if there is
 * one.
 */
void
du_progress_tell(Progress *progress, const char *position, double done)
{
	char	   *text = psprintf("%s, %s", position, time_left(progress, done));

	progress->told = du_clock_ms();
	du_progress_show(progress, text);
	if (whereToSendOutput == DestRemote)
		ereport(NOTICE,
				(errmsg_internal("%s: %s", progress->what, text)));
	pfree(text);
}

/*
 * Shows the statement alone again.
 */
void
du_progress_end(void)
{
	if (debug_query_string != NULL)
		pgstat_report_activity(STATE_RUNNING, debug_query_string);
}
