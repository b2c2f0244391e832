/*-------------------------------------------------------------------------
 *
 * update_script.h
 *	  One update script: its text as the server runs it, and what it says.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_UPDATE_SCRIPT_H
#define DU_UPDATE_SCRIPT_H

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

#include "extension/control_file.h"

/* Kinds of statements in a script, as a bit mask. */
#define SCRIPT_FUNCTIONS	0x01	/* functions, aggregates, procedures */
#define SCRIPT_CATALOGUE	0x02	/* other definitions */
#define SCRIPT_PRIVILEGES	0x04	/* GRANT, REVOKE, owners */
#define SCRIPT_CLUSTER		0x08	/* roles and memberships */
#define SCRIPT_OPAQUE		0x10	/* runs code whose effect the text hides */
#define SCRIPT_SETS_ROLE	0x20	/* SET ROLE or SET SESSION AUTHORIZATION */

/* A relation that the script names, with the strongest lock it takes. */
typedef struct ScriptRelation
{
	const char *schema;			/* NULL when not qualified */
	const char *name;
	LOCKMODE	mode;
} ScriptRelation;

typedef struct UpdateScript
{
	const char *problem;		/* why it cannot be used, or NULL */
	const char *path;
	const char *sha256;			/* of the file, NULL when unreadable */
	const char *source;			/* the file's text, in the server's encoding */
	const char *text;			/* as the server runs it, NULL when unreadable */
	int			nstatements;
	int			kinds;			/* SCRIPT_ bits */
	List	   *relations;		/* of ScriptRelation, in order of mention */
	bool		superuser;		/* the control files ask for a superuser */
	bool		trusted;
} UpdateScript;

extern UpdateScript *du_script_read(const ControlFile *control,
									const char *extension,
									const char *schema, const char *owner,
									const char *from, const char *to);
extern int	du_script_line(const UpdateScript *script, int offset);
extern int	du_script_statement_line(const UpdateScript *script, int offset);

#endif							/* DU_UPDATE_SCRIPT_H */
