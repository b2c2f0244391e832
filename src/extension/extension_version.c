/*-------------------------------------------------------------------------
 *
 * extension_version.c
 *	  Version strings of extensions: parse, order, spell.
 *
 * A version is a list of decimal numbers, optionally followed by a
 * pre-release, and by what a vendor has added.  The extension's own spelling (0.112-0), the dotted spelling
 * of operators (0.112.0) and a leading "v" all give the same value.  Numbers
 * are kept as digits and compared by length first, so no size overflows.
 * What is not of this form cannot be ordered and is refused with a reason,
 * never guessed at: image tags (16.3-v1.3.0, 0.112.0-amd64) are another
 * grammar and not read here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_to_semver);
PG_FUNCTION_INFO_V1(documentdb_upgrade_to_extension_version);
PG_FUNCTION_INFO_V1(documentdb_upgrade_compare_versions);
PG_FUNCTION_INFO_V1(documentdb_upgrade_version_order);

/* Pre-release words, in their order. */
static const struct
{
	const char *word;
	const char *canonical;
	int			rank;
}			prerelease_words[] =

{
	{"dev", "dev", 1},
	{"alpha", "alpha", 2},
	{"beta", "beta", 3},
	{"pre", "pre", 4},
	{"rc", "RC", 5},
};

/*
 * Reads one run of digits and advances *text past it; false when there is
 * none.
 */
static bool
read_number(const char **text, VersionNumber *number)
{
	const char *p = *text;
	const char *end = p;

	while (*end >= '0' && *end <= '9')
		end++;
	if (end == p)
		return false;
	while (p < end && *p == '0')
		p++;
	number->digits = p;
	number->length = (int) (end - p);
	*text = end;
	return true;
}

static int
compare_numbers(const VersionNumber *a, const VersionNumber *b)
{
	int			cmp;

	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	cmp = a->length == 0 ? 0 : memcmp(a->digits, b->digits, a->length);
	return (cmp > 0) - (cmp < 0);
}

/*
 * Reads "RC2", "-rc.2", "~beta": a known word and an optional number.  DocumentDB's
 * operator puts a dot before it (1.0.RC2), packages a tilde.
 */
static bool
read_prerelease(const char **text, ExtensionVersion *version)
{
	const char *p = *text;

	if (*p == '-' || *p == '.' || *p == '~')
		p++;
	for (int i = 0; i < lengthof(prerelease_words); i++)
	{
		size_t		len = strlen(prerelease_words[i].word);

		if (pg_strncasecmp(p, prerelease_words[i].word, len) != 0)
			continue;
		p += len;
		version->prerelease = prerelease_words[i].canonical;
		version->prerelease_rank = prerelease_words[i].rank;
		if (*p == '.' && p[1] >= '0' && p[1] <= '9')
			p++;
		(void) read_number(&p, &version->prerelease_number);
		*text = p;
		return true;
	}
	return false;
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * True for six or more hexadecimal digits with a letter among them: that could be
 * a commit, and commits have no order.
 */
static bool
is_like_hash(const char *text)
{
	size_t		length = strspn(text, "0123456789abcdefABCDEF");

	return length >= 6 && strspn(text, "0123456789") < length && !is_letter(text[length]);
}

/*
 * Reads what a vendor adds, up to the end: "-yb-1.0", a word and numbers of its
 * own; "+build2", "+dfsg", "+20240101", a word or numbers or both.
 */
static bool
read_vendor(const char **text, ExtensionVersion *version)
{
	const char *p = *text;
	bool		plus = *p == '+';

	if ((*p != '+' && *p != '-') || is_like_hash(p + 1))
		return false;
	version->vendor = ++p;
	while (is_letter(*p))
		p++;
	version->vendor_length = (int) (p - version->vendor);
	if (!plus && (version->vendor_length == 0 || (*p != '-' && *p != '.')))
		return false;
	while (*p != '\0')
	{
		bool		first = version->nvendor_numbers == 0;

		if ((*p == '.' || *p == '-') && !(first && version->vendor_length == 0))
			p++;
		else if (!first)
			return false;
		if (version->nvendor_numbers == DU_VERSION_MAX_VENDOR ||
			!read_number(&p, &version->vendor_numbers[version->nvendor_numbers]))
			return false;
		version->nvendor_numbers++;
	}
	if (version->vendor_length == 0 && version->nvendor_numbers == 0)
		return false;
	version->has_vendor = true;
	*text = p;
	return true;
}

/*
 * True when text is a version that can be ordered; else *reason says why it
 * is not, as a clause for an error detail.  Allocates nothing.
 */
bool
du_version_parse(const char *text, ExtensionVersion *version,
				 const char **reason)
{
	const char *p = text;
	bool		hyphen_seen = false;

	memset(version, 0, sizeof(*version));

	if (text[0] == '\0')
	{
		*reason = "The version is empty.";
		return false;
	}
	if (strlen(text) > DU_VERSION_MAX_LENGTH)
	{
		*reason = "The version is longer than 255 bytes.";
		return false;
	}
	if (*p == 'v' || *p == 'V')
		p++;

	for (;;)
	{
		if (version->ncomponents == DU_VERSION_MAX_COMPONENTS)
		{
			*reason = "The version has more than 16 components.";
			return false;
		}
		if (!read_number(&p, &version->components[version->ncomponents]))
		{
			*reason = version->ncomponents == 0 ?
				"A version starts with a number." :
				"A number is missing after a separator.";
			return false;
		}
		version->ncomponents++;

		if (*p == '\0')
			return true;
		if (read_prerelease(&p, version))
		{
			(void) read_vendor(&p, version);
			break;
		}
		if (read_vendor(&p, version))
			return true;
		if (*p == '-' && hyphen_seen)
		{
			*reason = "A version has at most one hyphen before its patch number.";
			return false;
		}
		if (*p == '-')
			hyphen_seen = true;
		else if (*p != '.')
			break;
		if (!(p[1] >= '0' && p[1] <= '9') && p[1] != '\0')
		{
			*reason = "What follows a separator is no number, no known pre-release (dev, alpha, beta, pre, RC) and nothing that a vendor adds (-yb-1.0, +build2).";
			return false;
		}
		p++;
	}

	if (*p != '\0')
	{
		*reason = "What follows the number is no separator, no known pre-release (dev, alpha, beta, pre, RC) and nothing that a vendor adds (-yb-1.0, +build2).";
		return false;
	}
	return true;
}

/*
 * The order of what vendors have added: nothing, then by words, then by numbers.
 */
static int
compare_vendors(const ExtensionVersion *a, const ExtensionVersion *b)
{
	static const VersionNumber zero = {"", 0};
	int			n = Max(a->nvendor_numbers, b->nvendor_numbers);
	int			cmp;

	if (!a->has_vendor || !b->has_vendor)
		return a->has_vendor - b->has_vendor;
	cmp = pg_strncasecmp(a->vendor, b->vendor, Min(a->vendor_length, b->vendor_length));
	if (cmp == 0)
		cmp = a->vendor_length - b->vendor_length;
	for (int i = 0; i < n && cmp == 0; i++)
		cmp = compare_numbers(i < a->nvendor_numbers ? &a->vendor_numbers[i] : &zero,
							  i < b->nvendor_numbers ? &b->vendor_numbers[i] : &zero);
	return (cmp > 0) - (cmp < 0);
}

/*
 * Negative, zero or positive as a sorts before, with or after b.  Missing
 * components count as zero, a pre-release sorts before its release, and what a
 * vendor has added to a version sorts after it.
 */
int
du_version_compare(const ExtensionVersion *a, const ExtensionVersion *b)
{
	static const VersionNumber zero = {"", 0};
	int			n = Max(a->ncomponents, b->ncomponents);

	for (int i = 0; i < n; i++)
	{
		int			cmp = compare_numbers(i < a->ncomponents ? &a->components[i] : &zero,
										  i < b->ncomponents ? &b->components[i] : &zero);

		if (cmp != 0)
			return cmp;
	}
	if ((a->prerelease == NULL) != (b->prerelease == NULL))
		return (a->prerelease == NULL) - (b->prerelease == NULL);
	if (a->prerelease_rank != b->prerelease_rank)
		return a->prerelease_rank < b->prerelease_rank ? -1 : 1;
	if (a->prerelease != NULL)
	{
		int			cmp = compare_numbers(&a->prerelease_number, &b->prerelease_number);

		if (cmp != 0)
			return cmp;
	}
	return compare_vendors(a, b);
}

/*
 * True when a version begins with all components of another one and has more:
 * 1.6.7 and 1.6, as the versions of a package and of the extension in it.
 */
bool
du_version_extends(const char *text, const char *shorter)
{
	ExtensionVersion a;
	ExtensionVersion b;
	const char *reason;

	if (!du_version_parse(text, &a, &reason) || !du_version_parse(shorter, &b, &reason) ||
		b.prerelease != NULL || b.has_vendor || a.ncomponents <= b.ncomponents)
		return false;
	for (int i = 0; i < b.ncomponents; i++)
	{
		if (compare_numbers(&a.components[i], &b.components[i]) != 0)
			return false;
	}
	return du_version_compare(&a, &b) != 0;
}

static void
append_number(StringInfo buf, const VersionNumber *number)
{
	if (number->length == 0)
		appendStringInfoChar(buf, '0');
	else
		appendBinaryStringInfo(buf, number->digits, number->length);
}

/*
 * Spells a version with the given separator before the third component, at
 * least mincomponents of them.
 */
static char *
spell(const ExtensionVersion *version, char third_separator, int mincomponents)
{
	StringInfoData buf;
	int			n = Max(version->ncomponents, mincomponents);

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(&buf, i == 2 ? third_separator : '.');
		if (i < version->ncomponents)
			append_number(&buf, &version->components[i]);
		else
			appendStringInfoChar(&buf, '0');
	}
	if (version->prerelease != NULL)
	{
		appendStringInfo(&buf, "-%s", version->prerelease);
		if (version->prerelease_number.length > 0)
			append_number(&buf, &version->prerelease_number);
	}
	if (version->has_vendor)
	{
		appendStringInfoChar(&buf, '+');
		appendBinaryStringInfo(&buf, version->vendor, version->vendor_length);
		for (int i = 0; i < version->nvendor_numbers; i++)
		{
			if (i > 0 || version->vendor_length > 0)
				appendStringInfoChar(&buf, '.');
			append_number(&buf, &version->vendor_numbers[i]);
		}
	}
	return buf.data;
}

/*
 * The dotted spelling, at least three components ("0.112.0"), palloc'd.
 */
char *
du_version_to_semver(const ExtensionVersion *version)
{
	return spell(version, '.', 3);
}

/*
 * DocumentDB's own spelling ("0.112-0", "1.0-RC2"), palloc'd.  A pre-release
 * stands in the place of a patch number of zero.
 */
static char *
version_to_extension(const ExtensionVersion *version)
{
	ExtensionVersion shortened = *version;

	if (version->prerelease == NULL)
		return spell(version, '-', 3);
	if (shortened.ncomponents == 3 && shortened.components[2].length == 0)
		shortened.ncomponents--;
	return spell(&shortened, '-', 2);
}

/*
 * The version spelled in the manner of another one: DocumentDB's spelling
 * when that one has a hyphen, else with dots.  palloc'd.  A text that cannot
 * be parsed, or that a vendor has added to, comes back as it is.
 */
char *
du_version_respell(const char *text, const char *like)
{
	ExtensionVersion version;
	const char *reason;

	if (!du_version_parse(text, &version, &reason) || version.has_vendor)
		return pstrdup(text);
	if (like != NULL && strchr(like, '-') != NULL)
		return version_to_extension(&version);
	return spell(&version, '.', version.ncomponents);
}

/*
 * Raises 22023 for a text that is no version.
 */
void
du_version_error(const char *text, const char *reason)
{
	char	   *shown = pstrdup(text);
	int			len = strlen(shown);

	if (len > 60)
		strcpy(shown + pg_mbcliplen(shown, len, 57), "...");
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("malformed version \"%s\"", shown),
			 errdetail("%s", reason),
			 errhint("Write the version as the extension spells it (0.112-0), with dots (0.112.0), or with a leading v.")));
}

static void
parse_or_error(const char *text, ExtensionVersion *version)
{
	const char *reason;

	if (!du_version_parse(text, version, &reason))
		du_version_error(text, reason);
}

/*
 * to_semver(version text) returns text
 */
Datum
documentdb_upgrade_to_semver(PG_FUNCTION_ARGS)
{
	ExtensionVersion version;
	char	   *version_text = text_to_cstring(PG_GETARG_TEXT_PP(0));

	parse_or_error(version_text, &version);
	PG_RETURN_TEXT_P(cstring_to_text(du_version_to_semver(&version)));
}

/*
 * to_extension_version(version text) returns text
 */
Datum
documentdb_upgrade_to_extension_version(PG_FUNCTION_ARGS)
{
	ExtensionVersion version;
	char	   *version_text = text_to_cstring(PG_GETARG_TEXT_PP(0));

	parse_or_error(version_text, &version);
	PG_RETURN_TEXT_P(cstring_to_text(version_to_extension(&version)));
}

/*
 * compare_versions(a text, b text) returns integer
 */
Datum
documentdb_upgrade_compare_versions(PG_FUNCTION_ARGS)
{
	ExtensionVersion a;
	ExtensionVersion b;
	char	   *a_text = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *b_text = text_to_cstring(PG_GETARG_TEXT_PP(1));

	parse_or_error(a_text, &a);
	parse_or_error(b_text, &b);
	PG_RETURN_INT32(du_version_compare(&a, &b));
}

/*
 * version_order(a text, b text) returns integer
 */
Datum
documentdb_upgrade_version_order(PG_FUNCTION_ARGS)
{
	ExtensionVersion a;
	ExtensionVersion b;
	const char *reason;

	if (!du_version_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &a, &reason) ||
		!du_version_parse(text_to_cstring(PG_GETARG_TEXT_PP(1)), &b, &reason))
		PG_RETURN_NULL();
	PG_RETURN_INT32(du_version_compare(&a, &b));
}

/*
 * A version among a function's arguments: NULL for a null, else well-formed.
 * Raises 22023.
 */
char *
du_version_argument(FunctionCallInfo fcinfo, int n)
{
	ExtensionVersion version;
	const char *reason;
	char	   *target;

	if (PG_NARGS() <= n || PG_ARGISNULL(n))
		return NULL;
	target = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (!du_version_parse(target, &version, &reason))
		du_version_error(target, reason);
	return target;
}
