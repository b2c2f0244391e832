/*-------------------------------------------------------------------------
 *
 * made_anew.c
 *	  Records extensions of the managed set that are dropped or created.
 *
 * A new extension of the same version has nothing of what the old one kept, and
 * no comparison of versions tells.  So what object_access.c sees of it is
 * noted, whatever statement or cascade it comes from, and becomes a history
 * row of the same transaction just before that commits: what has been rolled
 * back by then was nothing.
 *
 * A first creation is nobody's history: while a dump is restored, extensions
 * are created before history is filled.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "enforcement/internal.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "extension/extension.h"
#include "finalize/finalize.h"
#include "processes/processes.h"

/* An extension that this transaction has dropped or created. */
typedef struct MadeAnew
{
	const char *extension;
	Oid			dropped;		/* InvalidOid: nothing that was there before */
	const char *version;		/* of that */
	Oid			created;		/* the newest, or InvalidOid */
} MadeAnew;

/* In TopTransactionContext. */
static List *noted = NIL;

static MadeAnew *
note_of(const char *extension)
{
	MemoryContext context;
	MadeAnew   *note;
	ListCell   *lc;

	foreach(lc, noted)
	{
		note = lfirst(lc);
		if (strcmp(note->extension, extension) == 0)
			return note;
	}
	context = MemoryContextSwitchTo(TopTransactionContext);
	note = palloc0(sizeof(MadeAnew));
	note->extension = pstrdup(extension);
	noted = lappend(noted, note);
	MemoryContextSwitchTo(context);
	return note;
}

/*
 * To be told of an extension of the managed set that is about to go.
 */
void
du_made_anew_dropped(const char *extension, Oid oid, const char *version)
{
	MadeAnew   *note = note_of(extension);

	if (oid == note->created || OidIsValid(note->dropped))
		return;
	note->dropped = oid;
	note->version = MemoryContextStrdup(TopTransactionContext, version);
}

/*
 * To be told of one that has come into being.
 */
void
du_made_anew_created(const char *extension, Oid oid)
{
	note_of(extension)->created = oid;
}

/*
 * Records what has become of one extension.  A drop that was rolled back has
 * left the same extension in place.
 */
static void
record_note(const MadeAnew *note)
{
	Oid			oid = InvalidOid;
	const char *version = du_extension_installed_version(note->extension, &oid);
	bool		dropped = OidIsValid(note->dropped) && oid != note->dropped;
	bool		created = OidIsValid(oid) && oid == note->created;
	const char *last;

	if (dropped)
		du_history_note_change("manual", note->extension, note->version, version, version != NULL ?
							   "dropped and created: what it kept before is gone" :
							   "dropped: what it kept is gone");
	else if (created && du_history_last_version(note->extension, &last, NULL))
		du_history_note_change("manual", note->extension, last, version, last == NULL ? "created" :
							   "created, and history knew of no drop: restored from a dump in one transaction, perhaps");
}

static void
record(void *arg)
{
	MemoryContext memory = CurrentMemoryContext;
	ExecutionContext context;
	ListCell   *lc;

	du_context_enter(&context);

	/* No statement runs any more that would have one. */
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	MemoryContextSwitchTo(memory);
	foreach(lc, noted)
		record_note(lfirst(lc));
	SPI_finish();
	MemoryContextSwitchTo(memory);
	PopActiveSnapshot();
	du_context_leave(&context);
}

/*
 * Records what was noted, in this transaction.  What goes wrong must not spoil
 * it.
 */
static void
before_commit(void)
{
	ErrorData  *error;

	if (!OidIsValid(du_context_own_extension()) || XactReadOnly)
		return;
	error = du_subtransaction_run(record, NULL, SUBTRANSACTION_KEEP);
	if (error == NULL)
	{
		du_shared_wake_worker_at_commit();
		return;
	}
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	du_refusal_say(WARNING, ERRCODE_WARNING, "could not record that a managed extension was dropped or created",
				   error->message, error->hint);
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (noted == NIL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			before_commit();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			noted = NIL;		/* its memory goes with the transaction */
			break;
		default:
			break;
	}
}

/*
 * Begins that; to be called while libraries are preloaded.
 */
void
du_made_anew_install(void)
{
	RegisterXactCallback(at_end_of_transaction, NULL);
}
