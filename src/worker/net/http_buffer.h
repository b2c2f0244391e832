/*-------------------------------------------------------------------------
 *
 * http_buffer.h
 *	  Bytes that arrive over the network, whole or line by line.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_HTTP_BUFFER_H
#define DU_HTTP_BUFFER_H

/* All zero, but for the cap, is an empty buffer. */
typedef struct HttpBuffer
{
	size_t		cap;			/* most bytes, or bytes of one line */
	bool		too_large;		/* more than that came */
	char	   *data;			/* malloc'd; ends with a NUL */
	size_t		length;
	size_t		capacity;
	size_t		taken;			/* lines before this were taken */
	size_t		last_line;		/* what follows the last newline */
} HttpBuffer;

extern bool du_buffer_add(HttpBuffer *buffer, const char *data, size_t length, bool lines);
extern bool du_buffer_take_line(HttpBuffer *buffer, const char **line, size_t *length);
extern void du_buffer_free(HttpBuffer *buffer);

#endif							/* DU_HTTP_BUFFER_H */
