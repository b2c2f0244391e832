/*-------------------------------------------------------------------------
 *
 * fingerprint.h
 *	  A token for everything that an upgrade plan depends on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FINGERPRINT_H
#define DU_FINGERPRINT_H

#include "catalog.h"

extern char *du_fingerprint(const UpgradeFacts *facts);

#endif							/* DU_FINGERPRINT_H */
