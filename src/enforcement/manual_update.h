/*-------------------------------------------------------------------------
 *
 * manual_update.h
 *	  What a plain ALTER EXTENSION UPDATE meets before it runs, and what it
 *	  leaves behind.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_MANUAL_UPDATE_H
#define DU_MANUAL_UPDATE_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

typedef struct ManualUpdate
{
	const char *extension;
	Oid			oid;
	const char *from;
	const char *to;				/* asked for; then what has become of it */
	TimestampTz started_at;
	List	   *overridden;		/* names of guards that failed */
	bool		refused;
} ManualUpdate;

extern void du_manual_evaluate(ManualUpdate *update);
extern void du_manual_finish(ManualUpdate *update);

#endif							/* DU_MANUAL_UPDATE_H */
