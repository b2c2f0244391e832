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

#include "canonical_type.h"

extern void du_value_put_row(CanonicalTypes *types, CanonicalBuffer *buffer,
							 const CanonicalRow *row, const Datum *values, const bool *nulls);

#endif							/* DU_CANONICAL_VALUE_H */
