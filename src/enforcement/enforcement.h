/*-------------------------------------------------------------------------
 *
 * enforcement.h
 *	  Decides over what others do to the managed set.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_ENFORCEMENT_H
#define DU_ENFORCEMENT_H

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

extern void du_enforcement_created(const char *extension, const char *version);
extern void du_enforcement_updated(const char *extension, const char *from, const char *to);
extern void du_enforcement_dropped(const char *extension, const char *installed);

extern bool du_enforcement_watches(const char *extension);

#endif							/* DU_ENFORCEMENT_H */
