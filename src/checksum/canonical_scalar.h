/*-------------------------------------------------------------------------
 *
 * canonical_scalar.h
 *	  Canonical bytes of values that consist of no others.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CANONICAL_SCALAR_H
#define DU_CANONICAL_SCALAR_H

#include <math.h>

#include "checksum/canonical_type.h"

/*
 * All kinds of NaN are one: which bits one has does not survive pg_dump.  -0
 * does, and differs from 0.
 */
static inline uint32
float4_bits(float4 value)
{
	uint32		bits;

	if (unlikely(isnan(value)))
		return 0x7FC00000;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline uint64
float8_bits(float8 value)
{
	uint64		bits;

	if (unlikely(isnan(value)))
		return UINT64CONST(0x7FF8000000000000);
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

extern void du_scalar_put(CanonicalBuffer *buffer, CanonicalType *type, Datum value);

#endif							/* DU_CANONICAL_SCALAR_H */
