/*-------------------------------------------------------------------------
 *
 * script_code.h
 *	  The code that a statement of a script runs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SCRIPT_CODE_H
#define DU_SCRIPT_CODE_H

#include "nodes/parsenodes.h"

/* A name as a script writes it. */
typedef struct ScriptName
{
	const char *schema;			/* NULL when not qualified */
	const char *name;
} ScriptName;

/* A routine that the script makes. */
typedef struct ScriptRoutine
{
	ScriptName	name;
	const char *body;			/* in SQL or PL/pgSQL, else NULL */
} ScriptRoutine;

/* What a script runs beside the server's own commands. */
typedef struct ScriptCode
{
	List	   *blocks;			/* texts of DO blocks */
	List	   *calls;			/* of ScriptName: functions called */
	List	   *reads;			/* of ScriptName: relations such statements
								 * name */
	List	   *routines;		/* of ScriptRoutine */
	bool		unknown;		/* something of which nothing is known */
} ScriptCode;

extern bool du_script_runs_code(Node *node, void *context);
extern void du_script_note_code(ScriptCode *code, const Node *stmt);
extern void du_script_note_routine(ScriptCode *code, const CreateFunctionStmt *stmt);

#endif							/* DU_SCRIPT_CODE_H */
