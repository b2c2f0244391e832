/*-------------------------------------------------------------------------
 *
 * canonical_numeric.c
 *	  Canonical bytes of numeric values.
 *
 * They are what numeric_send() gives, with the lowest byte of each number
 * first: count of digits, weight, sign, scale, and digits of base 10000.  Read
 * from the stored form without a call or a copy, because numeric columns are
 * common.  The stored form is the server's own business, but it has been the
 * same since 9.1, pg_upgrade depends on it, and a test compares.  The scale of
 * an infinity is 0 here; what numeric_send() gives for it is no scale.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "checksum/internal.h"

/* Of the first two bytes: what kind of header it is. */
#define SIGN_MASK		0xC000
#define SHORT_HEADER	0x8000
#define SPECIAL			0xC000	/* NaN and the infinities */
#define NEGATIVE		0x4000	/* of a long header; also how it is sent */

#define SPECIAL_MASK	0xF000	/* which of them */

#define SHORT_NEGATIVE		0x2000
#define SHORT_SCALE_MASK	0x1F80
#define SHORT_SCALE_SHIFT	7
#define SHORT_WEIGHT_SIGN	0x0040
#define SHORT_WEIGHT_MASK	0x003F

#define LONG_SCALE_MASK		0x3FFF

static uint16
stored16(const char *data)
{
	uint16		value;

	memcpy(&value, data, sizeof(value));
	return value;
}

static void
put_digits(CanonicalBuffer *buffer, const char *digits, int ndigits)
{
#ifdef WORDS_BIGENDIAN
	for (int i = 0; i < ndigits; i++)
		buffer_put16(buffer, stored16(digits + i * sizeof(uint16)));
#else
	buffer_put(buffer, digits, ndigits * sizeof(uint16));
#endif
}

/*
 * Four numbers of 16 bits.
 */
static void
put_header(CanonicalBuffer *buffer, uint16 ndigits, int16 weight, uint16 sign, uint16 scale)
{
	buffer_put64(buffer, (uint64) ndigits | (uint64) (uint16) weight << 16 |
				 (uint64) sign << 32 | (uint64) scale << 48);
}

/*
 * Adds a value, given as what follows its length word.
 */
void
du_numeric_put(CanonicalBuffer *buffer, const char *data, size_t length)
{
	uint16		head = stored16(data);
	size_t		header = sizeof(uint16);
	uint16		ndigits;

	if ((head & SIGN_MASK) == SPECIAL)
	{
		put_header(buffer, 0, 0, head & SPECIAL_MASK, 0);
		return;
	}
	if ((head & SIGN_MASK) == SHORT_HEADER)
	{
		int16		weight = head & SHORT_WEIGHT_MASK;

		if (head & SHORT_WEIGHT_SIGN)
			weight |= ~SHORT_WEIGHT_MASK;
		ndigits = (length - header) / sizeof(uint16);
		put_header(buffer, ndigits, weight, (head & SHORT_NEGATIVE) ? NEGATIVE : 0,
				   (head & SHORT_SCALE_MASK) >> SHORT_SCALE_SHIFT);
	}
	else
	{
		header += sizeof(int16);
		ndigits = (length - header) / sizeof(uint16);
		put_header(buffer, ndigits, (int16) stored16(data + sizeof(uint16)), head & SIGN_MASK,
				   head & LONG_SCALE_MASK);
	}
	put_digits(buffer, data + header, ndigits);
}
