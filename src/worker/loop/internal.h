/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LOOP_INTERNAL_H
#define DU_LOOP_INTERNAL_H

#include "finalize/finalize.h"
#include "processes/processes.h"
#include "status/status.h"
#include "worker/kubernetes/kubernetes.h"
#include "worker/source/source.h"
#include "worker/standby/standby.h"

/* ----
 * worker_state
 *
 * The worker's own state, shared by the files that make it up.
 * ----
 */

/* What the worker remembers of its failures. */
typedef struct WorkerFailures
{
	bool		recalled;		/* history was asked */
	char		target[SHARED_VERSION_LENGTH];	/* that failed */
	char		fingerprint[65];	/* at that time */
	uint64		retries_seen;	/* calls of retry() */
	bool		alter_first;	/* a library has refused another form of attempt */
} WorkerFailures;

typedef struct Worker
{
	bool		once;			/* one pass for tick(), then the end */
	const char *actor;			/* for history */
	const char *role_name;		/* who asked for a single pass, else "" */
	bool		further;		/* its main extension is not the first one */
	bool		in_main_database;
	bool		main;			/* what is one for the server, it does */
	bool		primary;		/* as of the last look */
	bool		designated;		/* a standby that heads a replica region */

	DesiredSource *source;		/* NULL on other standbys */
	int			source_kind;
	KubernetesReport *report;	/* NULL when the source is another */
	KubernetesReads *reads;		/* NULL as well when they are not wanted */
	UpstreamReport *upstream_report;	/* NULL on a primary */

	ReportCounters past_reports;	/* of reports that are closed */

	WorkerFacts facts;			/* what is published */
	WorkerFacts published;

	WorkerFailures failures;
	bool		attempt_runs;	/* ours, watched */
	int64		clock_offset;	/* of the time of day, at the last look */
	AttemptOrder order;			/* of that attempt */
	char	   *changes;		/* that it is to make, as clauses, or NULL */
	bool		companions_alone;	/* the main extension is at its target */
	bool		confirming;		/* the desired version is read again before an
								 * attempt */

	uint64		reads_seen;		/* calls of tick() */
	bool		wants_attempt;	/* found by the last pass */
	char	   *announced;		/* what people were told last, or NULL */
	char	   *logged;			/* the same of the log */
	char		announced_version[SHARED_VERSION_LENGTH];	/* installed then */
	char		announced_state[NAMEDATALEN];
	char		binary[SHARED_VERSION_LENGTH];	/* noted as seen */
	char		found[FOUND_DIGEST_LENGTH]; /* versions, compared with history */
	ReleaseMemory release;		/* recorded as running */
	Oid			own_extension;	/* as the last pass has found it */
	bool		notice_pending; /* a NOTIFY is not committed yet */
	bool		fence_told;		/* writes are stopped for maintenance */
	bool		standby_told;	/* that this is one is in the log */
	bool		obstacle_told;	/* why passes fail is in the log */
} Worker;

/* ----
 * worker_announce.c
 *
 * Tells people and programs what the worker has found.
 * ----
 */

extern void du_worker_announce(Worker *worker, Assessment *assessment);
extern void du_announce_started(Worker *worker);
extern void du_announce_succeeded(Worker *worker);

/* ----
 * worker_attempt.c
 *
 * What the worker makes of attempts: when the next one, or none.
 * ----
 */

extern void du_worker_recall(Worker *worker, const Assessment *assessment);
extern void du_worker_forget_if_changed(Worker *worker, const Assessment *assessment);
extern void du_worker_take_retries(Worker *worker);
extern void du_worker_start_attempt(Worker *worker);
extern void du_worker_conclude_attempt(Worker *worker);

/* ----
 * worker_pass.c
 *
 * One pass of the worker: gather, decide, and say what is to be done.
 * ----
 */

extern void du_worker_pass(Worker *worker);

/* ----
 * worker_settings.c
 *
 * Has the worker's process go by what ALTER DATABASE and ALTER ROLE have set.
 * ----
 */

extern void du_worker_follow_settings(void);

/* ----
 * worker_role.c
 *
 * What the worker follows and to whom it reports, by the server's role.
 * ----
 */

extern void du_worker_follow_role(Worker *worker);
extern bool du_worker_advance_source(Worker *worker);
extern void du_worker_take_counters(Worker *worker);
extern void du_worker_close(Worker *worker);

#endif							/* DU_LOOP_INTERNAL_H */
