/*-------------------------------------------------------------------------
 *
 * release_record.h
 *	  Records a release when what this server runs has changed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_RELEASE_RECORD_H
#define DU_RELEASE_RECORD_H

#include "extension/managed_set.h"

typedef struct ReleaseMemory
{
	char		seen[65];		/* handed to the table last; "" makes the next
								 * look do it again */
	char	   *members_of;		/* extension and version whose libraries these
								 * are, or NULL */
	List	   *libraries;		/* paths */
} ReleaseMemory;

extern PGDLLEXPORT void du_release_record(const UpgradeFacts *facts, ReleaseMemory *memory);

#endif							/* DU_RELEASE_RECORD_H */
