/*-------------------------------------------------------------------------
 *
 * report_pace.c
 *	  The pace of one thing that is reported.
 *
 * The resource itself shows what became of a report, so what was accepted is
 * not sent again until the resource changes.  When it then differs once more,
 * somebody undoes it: the answer to that comes later and later, since two
 * writers that disagree must not race.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include "worker/net/net.h"

/* True when the resource is the one about which something was sent last. */
static bool
is_same_version(const ReportPace *topic, const char *version)
{
	return strcmp(topic->version, version) == 0;
}

/*
 * From when on this content may be sent about this version of the resource,
 * by the clock; -1 when it is not to be sent at all.
 */
int64
du_pace_get_due(const ReportPace *topic, uint64 serial, const char *version)
{
	if (topic->accepted && topic->serial == serial && is_same_version(topic, version))
		return -1;
	if (topic->outdated && !is_same_version(topic, version))
		return 0;
	return topic->not_before;
}

void
du_pace_note_sent(ReportPace *topic, uint64 serial, const char *version)
{
	topic->accepted = false;
	topic->outdated = false;
	topic->serial = serial;
	strlcpy(topic->version, version, sizeof(topic->version));
}

/*
 * What was sent last was accepted, for this generation of the resource.
 */
void
du_pace_accept(ReportPace *topic, int64 generation)
{
	topic->accepted = true;
	topic->logged = false;
	topic->backoff.failures = 0;
	if (topic->accepted_serial == topic->serial && topic->accepted_generation == generation)
		du_pace_put_off(topic, du_kube_next_delay(&topic->undone));
	else
		topic->undone.failures = 0;
	topic->accepted_serial = topic->serial;
	topic->accepted_generation = generation;
}

/*
 * What was sent last came too late: due again when the resource is seen as it
 * is now, or after a while.
 */
void
du_pace_outdate(ReportPace *topic)
{
	topic->outdated = true;
	du_pace_retry(topic);
}

/*
 * What was sent last has failed: due again after a while.
 */
void
du_pace_retry(ReportPace *topic)
{
	du_pace_put_off(topic, du_kube_next_delay(&topic->backoff));
}

void
du_pace_put_off(ReportPace *topic, long ms)
{
	topic->not_before = du_clock_ms() + ms;
}

/*
 * There is another resource: nothing was sent about that one.
 */
void
du_pace_restart(ReportPace *topic)
{
	bool		logged = topic->logged;

	memset(topic, 0, sizeof(*topic));
	topic->logged = logged;
}
