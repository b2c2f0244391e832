/*-------------------------------------------------------------------------
 *
 * upgrade_locks.h
 *	  The locks that an upgrade takes before it changes anything.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_UPGRADE_LOCKS_H
#define DU_UPGRADE_LOCKS_H

#include "extension/managed_set.h"

extern void du_locks_take_extensions(const UpgradeFacts *facts);
extern void du_locks_take_relations(List *locks);

#endif							/* DU_UPGRADE_LOCKS_H */
