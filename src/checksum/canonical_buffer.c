/*-------------------------------------------------------------------------
 *
 * canonical_buffer.c
 *	  A growing buffer of bytes in one order, and 128-bit digests.
 *
 * The digest is XXH3 with 128 bits, whose value is settled since version
 * 0.8.0 of xxHash and the same on every processor.  It is compiled in from
 * the header, so nothing is needed at run time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "checksum/internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "utils/memutils.h"

#if XXH_VERSION_NUMBER < 800
#error "xxHash 0.8.0 or later is needed: older ones have another XXH3"
#endif

#define INITIAL_SIZE		8192
#define LARGEST_KEPT		(1024 * 1024)
#define LONG_STRING_MARK	0xFFFFFFFF

/*
 * Prepares an empty buffer that lives in the context.
 */
void
du_buffer_init(CanonicalBuffer *buffer, MemoryContext context)
{
	buffer->data = MemoryContextAlloc(context, INITIAL_SIZE);
	buffer->size = INITIAL_SIZE;
	buffer->used = 0;
}

/*
 * Makes room for at least so many bytes more.
 */
void
du_buffer_enlarge(CanonicalBuffer *buffer, size_t more)
{
	size_t		size = Max(buffer->size * 2, buffer->used + more);

	buffer->data = repalloc_huge(buffer->data, size);
	buffer->size = size;
}

/*
 * Gives back what one large row has taken.  The content is lost.
 */
void
du_buffer_shrink(CanonicalBuffer *buffer)
{
	buffer->used = 0;
	if (buffer->size <= LARGEST_KEPT)
		return;
	buffer->data = repalloc_huge(buffer->data, INITIAL_SIZE);
	buffer->size = INITIAL_SIZE;
}

/*
 * Copies bytes; not for a compiler to know how many.
 */
void
du_buffer_copy(char *to, const char *from, size_t length)
{
	memcpy(to, from, length);
}

/*
 * XXH3 of the bytes, 128 bits.
 */
Digest128
du_digest128(const char *bytes, size_t length)
{
	XXH128_hash_t hash = XXH3_128bits(bytes, length);
	Digest128	digest = {hash.low64, hash.high64};

	return digest;
}

/*
 * A byte string that is too long to be copied: a mark, its length and its
 * digest.
 */
void
du_buffer_put_long_string(CanonicalBuffer *buffer, const char *bytes, size_t length)
{
	Digest128	digest = du_digest128(bytes, length);

	buffer_put32(buffer, LONG_STRING_MARK);
	buffer_put64(buffer, length);
	buffer_put64(buffer, digest.low);
	buffer_put64(buffer, digest.high);
}
