/*-------------------------------------------------------------------------
 *
 * kube_report.h
 *	  Tells the API server where the schema stands: status, condition,
 *	  Events.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_KUBE_REPORT_H
#define DU_KUBE_REPORT_H

#include "worker/source/desired_source.h"
#include "worker/kubernetes/report_content.h"

typedef struct ReportCounters
{
	uint64		delivered;		/* requests that the server accepted */
	uint64		failed;			/* requests that it did not */
	uint64		dropped;		/* Events given up */
} ReportCounters;

typedef struct KubernetesReport KubernetesReport;

extern KubernetesReport *du_report_open(DesiredSource *kubernetes_source);
extern void du_report_set(KubernetesReport *report, const ReportContent *content);
extern void du_report_event(KubernetesReport *report, const char *type,
							const char *reason, const char *message);
extern void du_report_advance(KubernetesReport *report);
extern bool du_report_is_idle(const KubernetesReport *report);
extern void du_report_add_waits(KubernetesReport *report, WaitList *list);
extern ReportCounters du_report_counters(const KubernetesReport *report);
extern void du_report_close(KubernetesReport *report);

#endif							/* DU_KUBE_REPORT_H */
