/*-------------------------------------------------------------------------
 *
 * canonical_scalar.h
 *	  Canonical bytes of values that consist of no others.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CANONICAL_SCALAR_H
#define DU_CANONICAL_SCALAR_H

#include "canonical_type.h"

extern void du_scalar_put(CanonicalBuffer *buffer, CanonicalType *type, Datum value);

#endif							/* DU_CANONICAL_SCALAR_H */
