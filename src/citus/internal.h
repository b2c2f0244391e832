/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CITUS_INTERNAL_H
#define DU_CITUS_INTERNAL_H

#include "citus/citus.h"

#endif							/* DU_CITUS_INTERNAL_H */
