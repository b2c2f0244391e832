/*-------------------------------------------------------------------------
 *
 * report_pace.h
 *	  The pace of one thing that is reported.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REPORT_PACE_H
#define DU_REPORT_PACE_H

#include "worker/kubernetes/kube_api.h"
#include "worker/kubernetes/resource_cache.h"

/* All zero is a topic about which nothing was sent yet. */
typedef struct ReportTopic
{
	Backoff		backoff;
	int64		not_before;		/* by the clock */
	bool		logged;			/* that it is refused */

	/* What was sent last. */
	bool		accepted;
	bool		outdated;		/* the resource had changed meanwhile */
	uint64		serial;			/* of the content */
	char		version[RESOURCE_VERSION_LENGTH];	/* of the resource */

	/* What was accepted last, and how often that was undone. */
	uint64		accepted_serial;
	int64		accepted_generation;
	Backoff		undone;
} ReportTopic;

extern int64 du_topic_get_due(const ReportTopic *topic, uint64 serial, const char *version);
extern void du_topic_note_sent(ReportTopic *topic, uint64 serial, const char *version);
extern void du_topic_accept(ReportTopic *topic, int64 generation);
extern void du_topic_outdate(ReportTopic *topic);
extern void du_topic_retry(ReportTopic *topic);
extern void du_topic_put_off(ReportTopic *topic, long ms);
extern void du_topic_restart(ReportTopic *topic);

#endif							/* DU_REPORT_PACE_H */
