/*-------------------------------------------------------------------------
 *
 * process.c
 *	  How our background workers are described to the server, and what they load.
 *
 * The worker's library links libcurl, cJSON and libpq.  It is loaded in processes
 * of our own alone, so that a machine without them lacks the worker and nothing
 * else.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "fmgr.h"

/*
 * Describes a process that runs a function of this library once, on standbys
 * too; "what" completes its name.  Callers change what is different for them.
 */
void
du_process_describe(BackgroundWorker *process, const char *what, const char *function)
{
	memset(process, 0, sizeof(BackgroundWorker));
	process->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	process->bgw_start_time = BgWorkerStart_ConsistentState;
	process->bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(process->bgw_library_name, "documentdb_upgrade", sizeof(process->bgw_library_name));
	strlcpy(process->bgw_function_name, function, sizeof(process->bgw_function_name));
	snprintf(process->bgw_name, sizeof(process->bgw_name), "documentdb_upgrade %s", what);
	snprintf(process->bgw_type, sizeof(process->bgw_type), "documentdb_upgrade %s", what);
}

/*
 * A function of the worker's library; NULL, and why, when it cannot be
 * loaded.  The reason is palloc'd.  Loading is the only thing done here, so
 * there is nothing to restore after an error.
 */
void *
du_process_worker_function(const char *function, const char **problem)
{
	MemoryContext context = CurrentMemoryContext;
	void	   *volatile found = NULL;

	PG_TRY();
	{
		found = load_external_function("documentdb_upgrade_worker", function, true, NULL);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		*problem = CopyErrorData()->message;
		FlushErrorState();
	}
	PG_END_TRY();
	return found;
}

/*
 * Whether the server runs in a pod of Kubernetes, which tells every process
 * where its API server is.
 */
bool
du_process_in_pod(void)
{
	return getenv("KUBERNETES_SERVICE_HOST") != NULL;
}

/*
 * How to get what the worker's library needs, the beginning of a sentence.
 * Packages cannot be installed in a pod.
 */
const char *
du_process_library_help(void)
{
	if (du_process_in_pod())
		return "Put what it needs (libcurl, cJSON) into a directory of the extension's image volume, and name that directory in ld_library_path of its entry in spec.postgresql.extensions of the Cluster";
	return "Install what it needs (on Debian the packages libcurl4, libcjson1 and libpq5)";
}
