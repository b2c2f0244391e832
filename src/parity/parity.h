/*-------------------------------------------------------------------------
 *
 * parity.h
 *	  The processes that compare the tables of two servers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_PARITY_H
#define DU_PARITY_H

#include "lib/stringinfo.h"

/* ----
 * statement_outcome.c
 *
 * What has become of one statement, on this server or on another.
 * ----
 */

/* Strings are palloc'd, or NULL. */
typedef struct StatementOutcome
{
	char	   *value;			/* text of a JSON value; NULL: null */
	double		ms;				/* that it took */
	int			sqlstate;		/* 0: it succeeded */
	char	   *message;		/* these when it failed */
	char	   *detail;
	char	   *hint;
} StatementOutcome;

extern PGDLLEXPORT void du_outcome_fail(StatementOutcome *outcome, int sqlstate,
										const char *message, const char *detail,
										const char *hint);

/* ----
 * remote_api
 *
 * What the worker's library offers to whoever has statements run elsewhere.
 *
 * Those who use it are in the library that links no libpq, so they get these
 * functions from du_process_worker_function("documentdb_upgrade_remote_api").
 * ----
 */

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

#endif							/* DU_PARITY_H */
