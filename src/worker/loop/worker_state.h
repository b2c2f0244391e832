/*-------------------------------------------------------------------------
 *
 * worker_state.h
 *	  The worker's own state, shared by the files that make it up.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_WORKER_STATE_H
#define DU_WORKER_STATE_H

#include "finalize/attempt_process.h"
#include "worker/source/desired_source.h"
#include "worker/kubernetes/kube_report.h"
#include "status/assessment.h"
#include "status/release_record.h"
#include "worker/standby/upstream_report.h"

/* What the worker remembers of its failures. */
typedef struct WorkerFailures
{
	bool		recalled;		/* history was asked */
	char		target[SHARED_VERSION_LENGTH];	/* that failed */
	char		fingerprint[65];	/* at that time */
	uint64		retries_seen;	/* calls of retry() */
} WorkerFailures;

typedef struct Worker
{
	bool		once;			/* one pass for tick(), then the end */
	const char *actor;			/* for history */
	const char *role_name;		/* who asked for a single pass, else "" */
	bool		primary;		/* as of the last look */
	bool		designated;		/* a standby that heads a replica region */

	DesiredSource *source;		/* NULL on other standbys */
	int			source_kind;
	KubernetesReport *report;	/* NULL when the source is another */
	StandbyReport *standby_report;	/* NULL on a primary */

	ReportCounters past_reports;	/* of reports that are closed */

	WorkerFacts facts;			/* what is published */
	WorkerFacts published;

	WorkerFailures failures;
	bool		attempt_runs;	/* ours, watched */
	AttemptOrder order;			/* of that attempt */
	char	   *changes;		/* that it is to make, as clauses, or NULL */
	bool		companions_alone;	/* the main extension is at its target */
	bool		confirming;		/* the desired version is read again before an
								 * attempt */

	uint64		reads_seen;		/* calls of tick() */
	bool		wants_attempt;	/* found by the last pass */
	char	   *announced;		/* what people were told last, or NULL */
	char		announced_version[SHARED_VERSION_LENGTH];	/* installed then */
	char		announced_state[NAMEDATALEN];
	char		settings[65];	/* digest of this database's settings */
	char		binary[SHARED_VERSION_LENGTH];	/* noted as seen */
	ReleaseMemory release;		/* recorded as running */
	Oid			own_extension;	/* as the last pass has found it */
	bool		notice_pending; /* a NOTIFY is not committed yet */
	bool		fence_told;		/* writes are stopped for maintenance */
	bool		standby_told;	/* that this is one is in the log */
	bool		obstacle_told;	/* why passes fail is in the log */
} Worker;

#endif							/* DU_WORKER_STATE_H */
