/*-------------------------------------------------------------------------
 *
 * extension_target.h
 *	  Which version an extension is to go to, and on which path.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_EXTENSION_TARGET_H
#define DU_EXTENSION_TARGET_H

#include "extension/managed_set.h"

/* Where one extension of the managed set is to go. */
typedef struct ExtensionTarget
{
	const char *target;			/* NULL when there is none */
	const char *problem;		/* why the target cannot be reached, or NULL */
	bool		unrelated;		/* because its numbers are not the main one's */
	const UpdatePath *path;		/* NULL when nothing is to be done */
} ExtensionTarget;

extern bool du_target_aim_main(const ExtensionFacts *extension, const char *requested,
							   ExtensionTarget *target);
extern bool du_target_share_versions(const ExtensionFacts *a, const ExtensionFacts *b);
extern void du_target_aim_companion(const ExtensionFacts *companion, const ExtensionFacts *main_extension,
									const char *main_target, ExtensionTarget *target);

#endif							/* DU_EXTENSION_TARGET_H */
