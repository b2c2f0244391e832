/*-------------------------------------------------------------------------
 *
 * subtransaction.c
 *	  Runs a piece of work in an internal subtransaction.
 *
 * The one place that begins internal subtransactions, so that memory context
 * and resource owner are restored on every path.  An error of the work is
 * rolled back, which frees its locks, and given back as a value.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include "access/xact.h"
#include "utils/resowner.h"

/*
 * Calls work(arg) in a subtransaction, in the current memory context.  Gives
 * back NULL when it has succeeded: then its changes are kept or, if asked for,
 * rolled back all the same.  Else the error, palloc'd in the current memory
 * context; the caller raises it again or makes something of it.
 */
ErrorData *
du_subtransaction_run(void (*work) (void *arg), void *arg, SubtransactionEnd end)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		if (end == SUBTRANSACTION_KEEP)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}
