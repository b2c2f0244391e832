/*-------------------------------------------------------------------------
 *
 * fingerprint.h
 *	  A token for everything that an upgrade plan depends on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FINGERPRINT_H
#define DU_FINGERPRINT_H

#include "extension/managed_set.h"

extern char *du_fingerprint(const UpgradeFacts *facts);

#endif							/* DU_FINGERPRINT_H */
