/*-------------------------------------------------------------------------
 *
 * member_record.h
 *	  What the members of the managed set were at the last finalize.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_MEMBER_RECORD_H
#define DU_MEMBER_RECORD_H

#include "extension/managed_set.h"

/* How the members differ from the record. */
typedef struct MemberChanges
{
	int			nrecorded;		/* extensions with a record to compare with */
	int64		total;
	const char *summary;		/* counts and first names, NULL without
								 * changes */
} MemberChanges;

extern void du_members_record(const UpgradeFacts *facts);
extern MemberChanges *du_members_compare(const UpgradeFacts *facts);

#endif							/* DU_MEMBER_RECORD_H */
