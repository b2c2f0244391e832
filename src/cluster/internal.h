/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CLUSTER_INTERNAL_H
#define DU_CLUSTER_INTERNAL_H

#include "cluster/cluster.h"

#endif							/* DU_CLUSTER_INTERNAL_H */
