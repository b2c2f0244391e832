/*-------------------------------------------------------------------------
 *
 * canonical_numeric.h
 *	  Canonical bytes of numeric values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CANONICAL_NUMERIC_H
#define DU_CANONICAL_NUMERIC_H

#include "checksum/canonical_buffer.h"

extern void du_numeric_put(CanonicalBuffer *buffer, const char *data, size_t length);

#endif							/* DU_CANONICAL_NUMERIC_H */
