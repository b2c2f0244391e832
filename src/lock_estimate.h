/*-------------------------------------------------------------------------
 *
 * lock_estimate.h
 *	  How many entries of the shared lock table a plan may need.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LOCK_ESTIMATE_H
#define DU_LOCK_ESTIMATE_H

#include "lock_count.h"
#include "lock_holders.h"
#include "update_script.h"

extern LockEstimate *du_estimate_begin(const UpgradeFacts *facts);
extern void du_estimate_add_step(LockEstimate *estimate, int extension,
								 const char *to, const UpdateScript *script,
								 const KnownLock *locks, int nlocks);

#endif							/* DU_LOCK_ESTIMATE_H */
