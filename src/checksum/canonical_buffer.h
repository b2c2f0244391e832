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
extern void du_buffer_copy(char *to, const char *from, size_t length);
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
 * What memcpy does.  Most strings are short, and for a length that it knows to
 * be bounded a compiler may put an instruction for blocks, which takes longer to
 * start than to copy them.
 */
static inline void
copy_bytes(char *to, const char *from, size_t length)
{
	if (length > 32)
		du_buffer_copy(to, from, length);
	else if (length >= 16)
	{
		memcpy(to, from, 16);
		memcpy(to + length - 16, from + length - 16, 16);
	}
	else if (length >= 8)
	{
		memcpy(to, from, 8);
		memcpy(to + length - 8, from + length - 8, 8);
	}
	else if (length >= 4)
	{
		memcpy(to, from, 4);
		memcpy(to + length - 4, from + length - 4, 4);
	}
	else if (length > 0)
	{
		to[0] = from[0];
		to[length / 2] = from[length / 2];
		to[length - 1] = from[length - 1];
	}
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
	copy_bytes(store32(buffer->data + buffer->used, (uint32) length), bytes, length);
	buffer->used += sizeof(uint32) + length;
}

#endif							/* DU_CANONICAL_BUFFER_H */
