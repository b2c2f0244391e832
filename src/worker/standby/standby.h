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

extern PGDLLEXPORT OwnReport du_own_report_compose(const Outlook *outlook,
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

typedef struct StandbyReport StandbyReport;

extern StandbyReport *du_standby_report_open(bool designated);
extern bool du_standby_report_is_due(const StandbyReport *report);
extern void du_standby_report_set(StandbyReport *report, const char *body, const char *digest);
extern void du_standby_report_advance(StandbyReport *report);
extern bool du_standby_report_was_made(const StandbyReport *report);
extern void du_standby_report_hurry(StandbyReport *report);
extern void du_standby_report_reload(StandbyReport *report, bool designated);
extern void du_standby_report_add_waits(const StandbyReport *report, WaitList *list);
extern void du_standby_report_tell(const StandbyReport *report, WorkerFacts *facts);
extern uint64 du_standby_reports_taken(const StandbyReport *report);
extern uint64 du_standby_reports_failed(const StandbyReport *report);
extern void du_standby_report_close(StandbyReport *report);

#endif							/* DU_STANDBY_H */
