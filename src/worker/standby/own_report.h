/*-------------------------------------------------------------------------
 *
 * own_report.h
 *	  What a standby reports to its upstream.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_OWN_REPORT_H
#define DU_OWN_REPORT_H

#include "status/assessment.h"

typedef struct OwnReport
{
	char	   *text;			/* JSON, as report_standby() takes it */
	char	   *digest;			/* of what is worth a report at once */
} OwnReport;

extern PGDLLEXPORT OwnReport du_own_report_compose(const Outlook *outlook,
												   const WorkerFacts *worker,
												   bool designated);

#endif							/* DU_OWN_REPORT_H */
