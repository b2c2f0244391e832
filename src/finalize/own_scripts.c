/*-------------------------------------------------------------------------
 *
 * own_scripts.c
 *	  Whether the scripts of an upgrade of ours run in this session.
 *
 * A finalize has met all guards before its scripts run, so what meets other
 * people's statements lets those of its scripts pass.  An error must end that
 * as well, so the end of the transaction or subtransaction does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "access/xact.h"

/* The nesting level of the transaction whose scripts run; 0: none do. */
static int	running_at = 0;

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		running_at = 0;
}

static void
at_end_of_subtransaction(SubXactEvent event, SubTransactionId mine,
						 SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB &&
		GetCurrentTransactionNestLevel() <= running_at)
		running_at = 0;
}

/*
 * Notes that they run, until du_own_scripts_end, or until the current
 * (sub)transaction is rolled back.
 */
void
du_own_scripts_begin(void)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(at_end_of_transaction, NULL);
		RegisterSubXactCallback(at_end_of_subtransaction, NULL);
		registered = true;
	}
	running_at = GetCurrentTransactionNestLevel();
}

void
du_own_scripts_end(void)
{
	running_at = 0;
}

bool
du_own_scripts_run(void)
{
	return running_at != 0;
}
