/*-------------------------------------------------------------------------
 *
 * code_scan.h
 *	  What a piece of procedural code mentions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CODE_SCAN_H
#define DU_CODE_SCAN_H

#include "nodes/pg_list.h"

/* A name in the code, with its schema when it has one. */
typedef struct CodeName
{
	const char *schema;			/* NULL when not qualified */
	const char *name;
	bool		called;			/* an opening parenthesis follows */
} CodeName;

/* What text that is made at run time does to a table, from the least up. */
typedef enum TableTouch
{
	TOUCH_NONE,
	TOUCH_ALTER,				/* the table's own entry and a few objects */
	TOUCH_ROWS,					/* its indexes too */
	TOUCH_WHOLE,				/* its TOAST table too */
	TOUCH_REWRITE				/* all of that twice */
} TableTouch;

typedef struct CodeMentions
{
	List	   *names;			/* of CodeName */
	List	   *statements;		/* constant texts that are executed */
	TableTouch	touch;			/* by text that is made at run time */
	int			nobjects;		/* objects per table, for TOUCH_ALTER */
} CodeMentions;

extern CodeMentions *du_code_scan(const char *code);

#endif							/* DU_CODE_SCAN_H */
