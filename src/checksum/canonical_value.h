/*-------------------------------------------------------------------------
 *
 * canonical_value.h
 *	  Canonical bytes of rows and of all that is in them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CANONICAL_VALUE_H
#define DU_CANONICAL_VALUE_H

#include "access/htup.h"

#include "checksum/canonical_type.h"

extern void du_value_put_row(CanonicalTypes *types, CanonicalBuffer *buffer,
							 const CanonicalRow *row, const NullableDatum *values);
extern void du_value_put_tuple(CanonicalTypes *types, CanonicalBuffer *buffer,
							   const CanonicalRow *row, HeapTupleHeader header);

#endif							/* DU_CANONICAL_VALUE_H */
