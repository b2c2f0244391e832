/*-------------------------------------------------------------------------
 *
 * lazy_libraries.h
 *	  Libraries whose settings were set before they came.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LAZY_LIBRARIES_H
#define DU_LAZY_LIBRARIES_H

#include "extension/managed_set.h"

extern void du_libraries_load(const UpgradeFacts *facts, const List *prefixes);

#endif							/* DU_LAZY_LIBRARIES_H */
