/*-------------------------------------------------------------------------
 *
 * notices.c
 *	  Tells those who listen what a transaction has done, when it commits.
 *
 * A transaction that has executed NOTIFY cannot be prepared, and whether
 * somebody wants to prepare it is not known before he does.  So what is to be
 * said is kept here, and handed to the server in the last moment of a commit.
 * A prepared transaction says nothing: the worker announces what it finds when
 * that is committed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "access/xact.h"
#include "commands/async.h"
#include "utils/memutils.h"

#define CHANNEL "documentdb_upgrade"

/* As the server has it. */
#define LONGEST_NOTICE (BLCKSZ - NAMEDATALEN - 128)

typedef struct Notice
{
	struct Notice *next;		/* said later */
	SubTransactionId subid;
	char		payload[FLEXIBLE_ARRAY_MEMBER];
} Notice;

/* In the memory of their transaction. */
static Notice *first = NULL;

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			for (const Notice *notice = first; notice != NULL; notice = notice->next)
				Async_Notify(CHANNEL, notice->payload);
			first = NULL;
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			first = NULL;
			break;
		default:
			break;
	}
}

/* Drops what was said in a subtransaction that is rolled back. */
static void
at_subtransaction_event(SubXactEvent event, SubTransactionId subid,
						SubTransactionId parent, void *arg)
{
	Notice	  **link = &first;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	while (*link != NULL)
	{
		Notice	   *notice = *link;

		if (notice->subid == subid && event == SUBXACT_EVENT_ABORT_SUB)
		{
			*link = notice->next;
			continue;
		}
		if (notice->subid == subid)
			notice->subid = parent;
		link = &notice->next;
	}
}

/*
 * Has those who listen to our channel get a text when this transaction
 * commits.
 */
void
du_notice_at_commit(const char *payload)
{
	static bool registered = false;
	Size		length = strlen(payload);
	Notice	   *notice;
	Notice	  **link = &first;

	if (length >= LONGEST_NOTICE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("notice is too long")));
	if (!registered)
	{
		RegisterXactCallback(at_transaction_event, NULL);
		RegisterSubXactCallback(at_subtransaction_event, NULL);
		registered = true;
	}

	notice = MemoryContextAlloc(TopTransactionContext, offsetof(Notice, payload) + length + 1);
	notice->next = NULL;
	notice->subid = GetCurrentSubTransactionId();
	memcpy(notice->payload, payload, length + 1);
	while (*link != NULL)
		link = &(*link)->next;
	*link = notice;
}
