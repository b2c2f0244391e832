/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_ENFORCEMENT_INTERNAL_H
#define DU_ENFORCEMENT_INTERNAL_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "enforcement/enforcement.h"
#include "extension/extension.h"
#include "plan/plan.h"

/* ----
 * enforcement.c
 *
 * Decides over what others do to the managed set.
 * ----
 */

typedef enum GuardedKind
{
	GUARDED_CREATE,
	GUARDED_UPDATE
} GuardedKind;

/*
 * A statement about an extension while it runs; lives on the stack of whoever
 * runs it.
 */
typedef struct GuardedStatement
{
	GuardedKind kind;
	const char *extension;
	const char *version;		/* asked for; NULL: the default */
	const char *from;			/* of an update: the last version on its way that
								 * can be ordered */
	bool		judged;			/* all has been said about it already */
	const char *against;		/* the guard that it went against, or NULL */

	/* What an update has really done; NULL when nothing. */
	const char *updated_from;
	const char *updated_to;

	MemoryContext memory;
	struct GuardedStatement *outer;
} GuardedStatement;

extern void du_enforcement_begin(GuardedStatement *statement);
extern void du_enforcement_end(GuardedStatement *statement);

extern void du_enforcement_judge_create(const char *extension, const char *version);
extern void du_enforcement_judge_update(GuardedStatement *statement, const char *from);
extern void du_enforcement_judge_drop(const char *extension, const char *installed);

extern void du_enforcement_created(const char *extension, Oid oid, const char *version);
extern void du_enforcement_updated(const char *extension, const char *from, const char *to);
extern void du_enforcement_dropped(const char *extension, Oid oid, const char *installed);

extern bool du_enforcement_watches(const char *extension);
extern void du_enforcement_in_set(const char *extension, void (*work) (void *arg), void *arg);
extern const char *du_enforcement_start_of(const char *extension, const char *installed);

/* ----
 * made_anew.c
 *
 * Records extensions of the managed set that are dropped or created.
 * ----
 */

extern void du_made_anew_dropped(const char *extension, Oid oid, const char *version);
extern void du_made_anew_created(const char *extension, Oid oid);

/* ----
 * manual_update.c
 *
 * What a plain ALTER EXTENSION UPDATE meets before it runs, and what it
 * leaves behind.
 * ----
 */

typedef struct ManualUpdate
{
	const char *extension;
	Oid			oid;
	const char *from;
	const char *to;				/* asked for; then what has become of it */
	TimestampTz started_at;
	List	   *overridden;		/* names of guards that failed */
	bool		refused;

	/* As they were before; plan is NULL when nothing was judged. */
	UpgradeFacts *facts;
	UpgradePlan *plan;
} ManualUpdate;

extern void du_manual_judge(ManualUpdate *update);
extern void du_manual_finish(ManualUpdate *update);

/* ----
 * refusal_log.c
 *
 * Says what is refused, to the client each time and to the server log
 * once.
 * ----
 */

extern void du_refusal_say(int elevel, int sqlstate, const char *message,
						   const char *detail, const char *hint);

#endif							/* DU_ENFORCEMENT_INTERNAL_H */
