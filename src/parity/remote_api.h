/*-------------------------------------------------------------------------
 *
 * remote_api.h
 *	  What the worker's library offers to whoever has statements run elsewhere.
 *
 * Those who use it are in the library that links no libpq, so they get these
 * functions from du_worker_library_function("documentdb_upgrade_remote_api").
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REMOTE_API_H
#define DU_REMOTE_API_H

#include "parity/statement_outcome.h"

typedef struct RemoteTarget RemoteTarget;
typedef struct RemoteSession RemoteSession;

/* A setting and its value. */
typedef struct PinnedSetting
{
	const char *name;
	const char *value;
} PinnedSetting;

typedef struct RemoteRequest
{
	const char *conninfo;
	bool		password_required;	/* in it, and that the server asks for it */
	const PinnedSetting *settings;	/* of each session; ends with a NULL name */
} RemoteRequest;

/*
 * Waits are for the latch too, and answer interrupts.  Strings of outcomes are
 * in the current memory context, sessions and targets in TopMemoryContext.
 */
typedef struct RemoteApi
{
	/* Whom to connect to; NULL, and why, when that cannot be. */
	RemoteTarget *(*parse) (const RemoteRequest *request, StatementOutcome *problem);

	/* A session, not connected yet. */
	RemoteSession *(*create) (const RemoteTarget *target);

	/*
	 * Connects, begins a transaction that stays open, and exports its
	 * snapshot; NULL, and why, when that fails.
	 */
	char	   *(*hold_snapshot) (RemoteSession *session, StatementOutcome *problem);

	/* True when the connection is known to be broken. */
	bool		(*is_lost) (RemoteSession *session);

	/*
	 * Sends statements, connecting first if need be; a NULL snapshot is for a
	 * fresh one.  Then, in any case, what has become of them, waited for.
	 */
	void		(*send) (RemoteSession *session, const char *statements, const char *snapshot);
	void		(*receive) (RemoteSession *session, StatementOutcome *outcome);

	/* True when the last ones failed because the snapshot is there no more. */
	bool		(*missed_snapshot) (const RemoteSession *session);

	/* Cancels what runs, and disconnects; takes two seconds at the most. */
	void		(*close) (RemoteSession *session);
} RemoteApi;

/* Serves under the name "documentdb_upgrade_remote_api". */
typedef const RemoteApi *(*RemoteApiFunction) (void);

#endif							/* DU_REMOTE_API_H */
