/*-------------------------------------------------------------------------
 *
 * worker_library.c
 *	  Loads the worker's library, which may be impossible.
 *
 * That library links libcurl, cJSON and libpq.  It is loaded in processes of our own
 * alone, so that a machine without them lacks the worker and nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "fmgr.h"

/*
 * A function of the worker's library; NULL, and why, when it cannot be
 * loaded.  The reason is palloc'd.  Loading is the only thing done here, so
 * there is nothing to restore after an error.
 */
void *
du_worker_library_function(const char *function, const char **problem)
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
