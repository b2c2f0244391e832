/*-------------------------------------------------------------------------
 *
 * standby.h
 *	  What the worker of a standby reports to its upstream.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_STANDBY_H
#define DU_STANDBY_H

#include "postgres.h"

#include "processes/processes.h"
#include "status/status.h"
#include "worker/net/net.h"

/* ----
 * own_report.c
 *
 * What a standby reports to its upstream.
 * ----
 */

typedef struct OwnReport
{
	char	   *text;			/* JSON, as report_standby() takes it */
	char	   *digest;			/* of what is worth a report at once */
} OwnReport;

extern PGDLLEXPORT OwnReport du_own_report_compose(const Assessment *assessment,
												   const WorkerFacts *worker,
												   bool designated);

/* ----
 * upstream_conninfo.c
 *
 * Where a standby's upstream is, and how to connect to it.
 * ----
 */

extern bool du_upstream_is_designated(void);

/* ----
 * upstream_report.c
 *
 * Tells a standby's upstream how the standby stands.
 * ----
 */

typedef struct UpstreamReport UpstreamReport;

extern UpstreamReport *du_upstream_report_open(bool designated);
extern bool du_upstream_report_is_due(const UpstreamReport *report);
extern void du_upstream_report_set(UpstreamReport *report, const char *body, const char *digest);
extern void du_upstream_report_advance(UpstreamReport *report);
extern bool du_upstream_report_was_made(const UpstreamReport *report);
extern void du_upstream_report_hurry(UpstreamReport *report);
extern void du_upstream_report_reload(UpstreamReport *report, bool designated);
extern void du_upstream_report_add_waits(const UpstreamReport *report, WaitList *list);
extern void du_upstream_report_tell(const UpstreamReport *report, WorkerFacts *facts);
extern uint64 du_standby_reports_taken(const UpstreamReport *report);
extern uint64 du_standby_reports_failed(const UpstreamReport *report);
extern void du_upstream_report_close(UpstreamReport *report);

#endif							/* DU_STANDBY_H */
