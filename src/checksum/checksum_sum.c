/*-------------------------------------------------------------------------
 *
 * checksum_sum.c
 *	  Adds checksums of parts of a table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#define HALF_DIGITS		16

PG_FUNCTION_INFO_V1(documentdb_upgrade_add_checksums);

static bool
parse_half(const char *digits, uint64 *half)
{
	*half = 0;
	for (int i = 0; i < HALF_DIGITS; i++)
	{
		char		c = digits[i];

		if (c >= '0' && c <= '9')
			*half = *half << 4 | (uint64) (c - '0');
		else if (c >= 'a' && c <= 'f')
			*half = *half << 4 | (uint64) (c - 'a' + 10);
		else
			return false;
	}
	return true;
}

static void
parse_checksum(const char *checksum, uint64 *high, uint64 *low)
{
	if (strlen(checksum) != 2 * HALF_DIGITS ||
		!parse_half(checksum, high) || !parse_half(checksum + HALF_DIGITS, low))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a checksum", checksum),
				 errdetail("A checksum has 32 hexadecimal digits in lower case.")));
}

/*
 * The checksum of two sets of rows together, from those of each.
 */
Datum
documentdb_upgrade_add_checksums(PG_FUNCTION_ARGS)
{
	uint64		high[2];
	uint64		low[2];

	for (int i = 0; i < 2; i++)
		parse_checksum(text_to_cstring(PG_GETARG_TEXT_PP(i)), &high[i], &low[i]);
	low[0] += low[1];
	high[0] += high[1] + (low[0] < low[1] ? 1 : 0);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%08x%08x%08x%08x",
											  (uint32) (high[0] >> 32), (uint32) high[0],
											  (uint32) (low[0] >> 32), (uint32) low[0])));
}
