/*-------------------------------------------------------------------------
 *
 * checksum.h
 *	  Checksums of rows that do not depend on the server that has them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CHECKSUM_H
#define DU_CHECKSUM_H

#include "port/pg_bswap.h"

/* ----
 * canonical_buffer.c
 *
 * A growing buffer of bytes in one order, and 128-bit digests.
 * ----
 */

typedef struct CanonicalBuffer
{
	char	   *data;
	size_t		used;
	size_t		size;
} CanonicalBuffer;

extern void du_buffer_init(CanonicalBuffer *buffer, MemoryContext context);

/* ----
 * canonical_numeric.c
 *
 * Canonical bytes of numeric values.
 * ----
 */

extern void du_numeric_put(CanonicalBuffer *buffer, const char *data, size_t length);

/* ----
 * text_types.c
 *
 * The setting that lists types whose text form the user vouches for.
 * ----
 */

extern void du_text_types_define(const char *setting);

#endif							/* DU_CHECKSUM_H */
