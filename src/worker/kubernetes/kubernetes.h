/*-------------------------------------------------------------------------
 *
 * kubernetes.h
 *	  The custom resource: read, watched and reported to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_KUBERNETES_H
#define DU_KUBERNETES_H

#include "worker/net/net.h"
#include "worker/source/source.h"

/* ----
 * report_content.c
 *
 * What status and condition of the custom resource should say.
 * ----
 */

/* What status and condition of the resource should say. */
typedef struct ReportContent
{
	const char *schema_version; /* installed, dotted; NULL: not installed */
	const char *status;			/* of the condition: "True", "False",
								 * "Unknown" */
	const char *reason;			/* CamelCase */
	const char *message;		/* sentences, the last one the next step */
} ReportContent;

/* ----
 * kube_report.c
 *
 * Tells the API server where the schema stands: status, condition,
 * Events.
 * ----
 */

typedef struct ReportCounters
{
	uint64		delivered;		/* requests that the server accepted */
	uint64		failed;			/* requests that it did not */
	uint64		dropped;		/* Events given up */
} ReportCounters;

typedef struct KubernetesReport KubernetesReport;

extern KubernetesReport *du_kube_report_open(DesiredSource *kubernetes_source);
extern void du_kube_report_set(KubernetesReport *report, const ReportContent *content);
extern void du_kube_report_event(KubernetesReport *report, const char *type,
							const char *reason, const char *message);
extern void du_kube_report_advance(KubernetesReport *report);
extern bool du_kube_report_is_idle(const KubernetesReport *report);
extern void du_kube_report_add_waits(KubernetesReport *report, WaitList *list);
extern ReportCounters du_kube_report_counters(const KubernetesReport *report);
extern void du_kube_report_close(KubernetesReport *report);

/* ----
 * kube_reads.c
 *
 * Reads from the API server what the health reports ask about it.
 * ----
 */

typedef struct KubernetesReads KubernetesReads;

extern KubernetesReads *du_kube_reads_open(const DesiredSource *kubernetes_source);
extern void du_kube_reads_advance(KubernetesReads *reads);
extern void du_kube_reads_add_waits(KubernetesReads *reads, WaitList *list);
extern void du_kube_reads_close(KubernetesReads *reads);

#endif							/* DU_KUBERNETES_H */
