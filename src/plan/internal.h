/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_PLAN_INTERNAL_H
#define DU_PLAN_INTERNAL_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

#include "extension/extension.h"
#include "plan/plan.h"

/* ----
 * extension_target.c
 *
 * Which version an extension is to go to, and on which path.
 * ----
 */

extern bool du_target_aim_main(const ExtensionFacts *extension, const char *requested, bool named,
							   ExtensionTarget *target);
extern void du_target_aim_companion(const ExtensionFacts *companion, const ExtensionFacts *main_extension,
									const char *main_target, bool named, ExtensionTarget *target);

/* ----
 * update_script.c
 *
 * One update script: its text as the server runs it, and what it says.
 * ----
 */

/* Kinds of statements in a script, as a bit mask. */
#define SCRIPT_FUNCTIONS	0x01	/* functions, aggregates, procedures */
#define SCRIPT_CATALOGUE	0x02	/* other definitions */
#define SCRIPT_PRIVILEGES	0x04	/* GRANT, REVOKE, owners */
#define SCRIPT_CLUSTER		0x08	/* roles and memberships */

/* A relation that the script names, with the strongest lock it takes. */
typedef struct ScriptRelation
{
	const char *schema;			/* NULL when not qualified */
	const char *name;
	LOCKMODE	mode;
} ScriptRelation;

extern UpdateScript *du_script_read(const ControlFile *control,
									const char *extension,
									const char *schema, const char *owner,
									const char *from, const char *to);

/* ----
 * script_scan.c
 *
 * What an update script says it does.
 * ----
 */

extern void du_script_scan(UpdateScript *script);

/* ----
 * script_statement.c
 *
 * What one statement of an update script locks and changes.
 * ----
 */

/* What a text says, and what is still to be asked about it. */
typedef struct ScriptScan
{
	UpdateScript *script;
	List	   *called;			/* names of functions that are the server's, or
								 * hide what they do */
} ScriptScan;

extern int	du_script_statement_scan(ScriptScan *scan, const Node *stmt);

/* ----
 * script_forbidden.c
 *
 * Statements that an update script may not have.
 * ----
 */

extern const char *du_script_forbidden_name(const Node *stmt);

/* ----
 * script_objects.c
 *
 * The objects that an update script names to drop or replace them.
 * ----
 */

typedef struct ScriptObject
{
	const char *kind;			/* "routine", "relation", "column", "type", ... */
	const char *schema;			/* NULL when not qualified */
	const char *name;			/* of a column: that of its table */
	const char *column;			/* NULL for others */
	int			nargs;			/* of a routine, -1 when not said */
	const char *does;			/* "drops", "drops with CASCADE", "replaces", ... */
} ScriptObject;

extern List *du_script_objects_add(List *objects, const Node *stmt);
extern void du_script_object_keep(StringInfo value, const ScriptObject *object);
extern ScriptObject *du_script_object_recall(const char **value);

#endif							/* DU_PLAN_INTERNAL_H */
