/*-------------------------------------------------------------------------
 *
 * canonical_buffer.h
 *	  A growing buffer of bytes in one order, and 128-bit digests.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CANONICAL_BUFFER_H
#define DU_CANONICAL_BUFFER_H

#include "port/pg_bswap.h"

/* Byte strings that are longer go in as their digest. */
#define DU_LONGEST_INLINE	4096

typedef struct Digest128
{
	uint64		low;
	uint64		high;
}			Digest128;

typedef struct CanonicalBuffer
{
	char	   *data;
	size_t		used;
	size_t		size;
} CanonicalBuffer;

extern void du_buffer_init(CanonicalBuffer *buffer, MemoryContext context);
extern void du_buffer_enlarge(CanonicalBuffer *buffer, size_t more);
extern void du_buffer_shrink(CanonicalBuffer *buffer);
extern void du_buffer_put_long_string(CanonicalBuffer *buffer, const char *bytes, size_t length);
extern Digest128 du_digest128(const char *bytes, size_t length);

static inline void
buffer_reserve(CanonicalBuffer *buffer, size_t more)
{
	if (unlikely(buffer->size - buffer->used < more))
		du_buffer_enlarge(buffer, more);
}

static inline void
buffer_put(CanonicalBuffer *buffer, const void *bytes, size_t length)
{
	buffer_reserve(buffer, length);
	memcpy(buffer->data + buffer->used, bytes, length);
	buffer->used += length;
}

/*
 * Integers are stored with their lowest byte first.  Gives back where the next
 * one goes.
 */
static inline char *
store16(char *place, uint16 value)
{
#ifdef WORDS_BIGENDIAN
	value = pg_bswap16(value);
#endif
	memcpy(place, &value, sizeof(value));
	return place + sizeof(value);
}

static inline char *
store32(char *place, uint32 value)
{
#ifdef WORDS_BIGENDIAN
	value = pg_bswap32(value);
#endif
	memcpy(place, &value, sizeof(value));
	return place + sizeof(value);
}

static inline char *
store64(char *place, uint64 value)
{
#ifdef WORDS_BIGENDIAN
	value = pg_bswap64(value);
#endif
	memcpy(place, &value, sizeof(value));
	return place + sizeof(value);
}

static inline void
buffer_put8(CanonicalBuffer *buffer, uint8 value)
{
	buffer_reserve(buffer, sizeof(value));
	buffer->data[buffer->used++] = (char) value;
}

static inline void
buffer_put16(CanonicalBuffer *buffer, uint16 value)
{
	buffer_reserve(buffer, sizeof(value));
	buffer->used = store16(buffer->data + buffer->used, value) - buffer->data;
}

static inline void
buffer_put32(CanonicalBuffer *buffer, uint32 value)
{
	buffer_reserve(buffer, sizeof(value));
	buffer->used = store32(buffer->data + buffer->used, value) - buffer->data;
}

static inline void
buffer_put64(CanonicalBuffer *buffer, uint64 value)
{
	buffer_reserve(buffer, sizeof(value));
	buffer->used = store64(buffer->data + buffer->used, value) - buffer->data;
}

/*
 * A byte string with its length before it.
 */
static inline void
buffer_put_string(CanonicalBuffer *buffer, const char *bytes, size_t length)
{
	if (unlikely(length > DU_LONGEST_INLINE))
	{
		du_buffer_put_long_string(buffer, bytes, length);
		return;
	}
	buffer_reserve(buffer, sizeof(uint32) + length);
	memcpy(store32(buffer->data + buffer->used, (uint32) length), bytes, length);
	buffer->used += sizeof(uint32) + length;
}

#endif							/* DU_CANONICAL_BUFFER_H */
