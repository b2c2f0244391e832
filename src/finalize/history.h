/*-------------------------------------------------------------------------
 *
 * history.h
 *	  The audit record of one attempt.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_HISTORY_H
#define DU_HISTORY_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

/*
 * What ended an attempt, by who raised it: a script can raise any SQLSTATE, so
 * that one tells nothing.
 */
typedef enum FailureCause
{
	CAUSE_NONE,					/* not told */
	CAUSE_GUARD,				/* our own refusal */
	CAUSE_LOCK,					/* a lock that was not to be had in time */
	CAUSE_RACE,					/* somebody else was faster */
	CAUSE_END,					/* the process was ended */
	CAUSE_HOLD,					/* a hold, or it was not desired any more */
	CAUSE_CANCEL,				/* somebody cancelled it */
	CAUSE_LIMIT,				/* attempt_timeout, the lock budget */
	CAUSE_SCRIPT,
	CAUSE_CHECK,
	CAUSE_SERVER				/* anything else */
} FailureCause;

typedef struct AttemptRecord
{
	const char *extension;
	const char *from_version;
	const char *to_version;
	List	   *changes;		/* of VersionChange */
	const char *outcome;		/* succeeded, failed, refused, cancelled */
	const char *actor;			/* who drove it: "function", "worker", "tick",
								 * "manual" */
	const char *role_name;		/* who asked; NULL: the session user */
	const char *resource_uid;	/* of the custom resource that asked, or NULL */
	int64		resource_generation;	/* 0: none */
	TimestampTz started_at;
	TimestampTz finished_at;
	List	   *skipped_guards;
	List	   *refused_by;		/* guards that failed */
	const char *fingerprint;
	const char *restore_point;	/* NULL when none was written */
	XLogRecPtr	restore_lsn;
	TimeLineID	restore_timeline;
	const char *steps;			/* JSON array, or NULL */

	/* A binary that this attempt has seen first; NULL when it is known. */
	const char *binary_version;
	const char *binary_digest;

	/* What went wrong; sqlstate 0 when nothing did. */
	FailureCause cause;
	int			sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
	const char *context;
	const char *script;
	int			script_line;	/* 0 when not known */
} AttemptRecord;

extern FailureCause du_history_cause(const char *name);
extern PGDLLEXPORT bool du_history_heals(FailureCause cause);
extern char *du_history_json(const AttemptRecord *record);
extern char *du_history_json_failed(const char *json, FailureCause cause,
									const ErrorData *edata);
extern char *du_history_client(void);
extern char *du_history_notice(const AttemptRecord *record);
extern Datum du_history_insert(const char *json, bool *isnull);
extern Datum du_history_row(const char *json, bool *isnull);
extern void du_history_insert_or_repeat(const char *json);

#endif							/* DU_HISTORY_H */
