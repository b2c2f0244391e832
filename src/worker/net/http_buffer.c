/*-------------------------------------------------------------------------
 *
 * http_buffer.c
 *	  Bytes that arrive over the network, whole or line by line.
 *
 * Filled from callbacks of a foreign library, hence malloc'd: nothing here
 * raises.  What exceeds the cap is refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/net/internal.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define FIRST_CAPACITY		4096
#define LARGE_BUFFER		(128 * 1024)

/* Makes room for more bytes and a NUL. */
static bool
reserve(HttpBuffer *buffer, size_t more)
{
	size_t		needed = buffer->length + more + 1;
	size_t		capacity = Max(buffer->capacity, FIRST_CAPACITY);
	char	   *grown;

	if (needed <= buffer->capacity)
		return true;
	while (capacity < needed)
		capacity *= 2;
	grown = realloc(buffer->data, capacity);
	if (grown == NULL)
		return false;
	buffer->data = grown;
	buffer->capacity = capacity;
	return true;
}

/* Moves what was not taken to the start. */
static void
drop_taken(HttpBuffer *buffer)
{
	if (buffer->taken == 0)
		return;
	buffer->length -= buffer->taken;
	buffer->last_line -= buffer->taken;
	memmove(buffer->data, buffer->data + buffer->taken, buffer->length + 1);
	buffer->taken = 0;
}

/*
 * Adds bytes; with lines, the cap is one of each line.  False when they are
 * too many, or when there is no memory.
 */
bool
du_buffer_add(HttpBuffer *buffer, const char *data, size_t length, bool lines)
{
	size_t		newline = length;

	drop_taken(buffer);
	if (buffer->length - buffer->last_line + length > buffer->cap)
	{
		buffer->too_large = true;
		return false;
	}
	if (!reserve(buffer, length))
		return false;
	memcpy(buffer->data + buffer->length, data, length);

	while (lines && newline > 0 && data[newline - 1] != '\n')
		newline--;
	if (lines && newline > 0)
		buffer->last_line = buffer->length + newline;

	buffer->length += length;
	buffer->data[buffer->length] = '\0';
	return true;
}

/*
 * Takes the next complete line, without its newline.  It lives until bytes
 * are added or another line is asked for.
 */
bool
du_buffer_take_line(HttpBuffer *buffer, const char **line, size_t *length)
{
	size_t		left = buffer->last_line - buffer->taken;
	char	   *start;
	char	   *end;

	if (left == 0)
	{
		/* Do not keep the room of a large line until the next one comes. */
		if (buffer->capacity >= LARGE_BUFFER && buffer->taken == buffer->length)
			du_buffer_free(buffer);
		return false;
	}
	start = buffer->data + buffer->taken;
	end = memchr(start, '\n', left);
	*end = '\0';
	*line = start;
	*length = end - start;
	buffer->taken += *length + 1;
	return true;
}

/*
 * Gives the memory back, that of a large buffer to the operating system as
 * well.  The buffer is empty then.
 */
void
du_buffer_free(HttpBuffer *buffer)
{
#ifdef __GLIBC__
	bool		large = buffer->capacity >= LARGE_BUFFER;
#endif

	free(buffer->data);
	buffer->data = NULL;
	buffer->length = 0;
	buffer->capacity = 0;
	buffer->taken = 0;
	buffer->last_line = 0;
#ifdef __GLIBC__
	if (large)
		(void) malloc_trim(0);
#endif
}
