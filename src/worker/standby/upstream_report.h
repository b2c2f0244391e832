/*-------------------------------------------------------------------------
 *
 * upstream_report.h
 *	  Tells a standby's upstream how the standby stands.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_UPSTREAM_REPORT_H
#define DU_UPSTREAM_REPORT_H

#include "processes/shared_status.h"
#include "worker/net/wait_list.h"

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

#endif							/* DU_UPSTREAM_REPORT_H */
