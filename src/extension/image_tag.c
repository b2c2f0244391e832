/*-------------------------------------------------------------------------
 *
 * image_tag.c
 *	  What the name of a container image tells about versions.
 *
 * The one reader of tags, for custom resources (admission and worker) and for
 * releases.  A tag is written for people: besides the version (0.112.0, 0.112-0,
 * 1.0-RC2, 1.0.RC2) it can have PostgreSQL's in front (pg17-0.117.0,
 * 16.3-v1.3.0, 18-minimal-trixie), and behind it what it was built for
 * (0.112.0-amd64) or FerretDB's (17-0.107.0-ferretdb-2.7.0).  A pre-release is
 * never taken for its release.  What is not of these forms tells nothing,
 * rather than something that is only probable.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include "funcapi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_image_versions);

#define DIGITS	"0123456789"
#define LETTERS	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Digits of a date, as in 18.4-202608030910: no part of a version. */
#define DATE_DIGITS	6

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * The length of a pre-release's word and number ("-RC2", ".rc.2", "beta"), or
 * zero.  Longer words that begin like one (developer) are none.
 */
static size_t
prerelease_length(const char *text)
{
	static const char *const words[] = {"dev", "alpha", "beta", "pre", "rc"};
	const char *word = text + (*text == '-' || *text == '.' || *text == '~');
	size_t		length = strspn(word, LETTERS);

	for (int i = 0; i < lengthof(words); i++)
	{
		const char *end = word + length;

		if (length != strlen(words[i]) || pg_strncasecmp(word, words[i], length) != 0)
			continue;
		if (*end == '.' && is_digit(end[1]))
			end++;
		end += strspn(end, DIGITS);
		return end - text;
	}
	return 0;
}

/*
 * The version that a text begins with, copied, with *rest after it; NULL when it
 * begins with none of at least two numbers that can be ordered.
 */
static char *
leading_version(const char *text, const char **rest)
{
	ExtensionVersion version;
	const char *reason;
	const char *start = text + (*text == 'v' || *text == 'V');
	const char *end = start;
	size_t		digits;
	int			numbers = 0;
	char	   *found;

	while (numbers < 3 && (numbers == 0 || *end == '.'))
	{
		const char *number = end + (numbers > 0);

		digits = strspn(number, DIGITS);
		if (digits == 0)
			break;
		end = number + digits;
		numbers++;
	}
	digits = *end == '-' ? strspn(end + 1, DIGITS) : 0;
	if (numbers == 2 && digits > 0 && digits < DATE_DIGITS && strchr("-_+.", end[1 + digits]) != NULL)
	{
		end += 1 + digits;
		numbers++;
	}
	if (numbers < 2)
		return NULL;

	digits = prerelease_length(end);
	end += digits;
	found = pnstrdup(start, end - start);

	/* strchr() finds the end of the text, too. */
	if (strchr("-_+.", *end) == NULL || !du_version_parse(found, &version, &reason))
		return NULL;
	*rest = end;
	return found;
}

/*
 * The length of PostgreSQL's version at the beginning of a tag, or zero; *start
 * is where its number begins.
 */
static size_t
postgres_length(const char *tag, const char **start)
{
	const char *p = tag + (pg_strncasecmp(tag, "pg", 2) == 0 ? 2 : 0);
	size_t		length = strspn(p, DIGITS);

	*start = p;
	if (length != 2)
		return 0;
	if (p[length] == '.' && is_digit(p[length + 1]))
		length += 1 + strspn(p + length + 1, DIGITS);
	return length;
}

/*
 * Reads a tag.
 */
void
du_image_read_tag(const char *tag, ImageTag *result)
{
	const char *postgres;
	const char *rest = tag;
	size_t		length = postgres_length(tag, &postgres);
	const char *after = postgres + length;

	memset(result, 0, sizeof(*result));
	if (tag[0] == '\0')
		return;
	result->tag = pstrdup(tag);

	if (length > 0 && (*after == '-' || *after == '_'))
		result->version = leading_version(after + 1, &rest);
	if (result->version != NULL || (length > 0 && *after == '\0') ||
		(length > 0 && strchr("-_.", *after) != NULL &&
		 (!is_digit(after[1]) || strspn(after + 1, DIGITS) >= DATE_DIGITS)))
		result->postgres = pnstrdup(postgres, length);
	else
		result->version = leading_version(tag, &rest);
	if (result->version != NULL && strncmp(rest, "-ferretdb-", 10) == 0 && rest[10] != '\0')
		result->ferretdb = pstrdup(rest + 10);
}

/*
 * Reads an image: HOST:PORT/NAME:TAG@DIGEST, each part but the name optional.
 */
void
du_image_read(const char *image, ImageTag *result)
{
	char	   *reference = pstrdup(image);
	char	   *digest = strchr(reference, '@');
	char	   *slash;
	char	   *colon;

	if (digest != NULL)
		*digest = '\0';
	slash = strrchr(reference, '/');
	colon = strrchr(slash == NULL ? reference : slash, ':');
	du_image_read_tag(colon == NULL ? "" : colon + 1, result);
	result->by_digest = digest != NULL;
}

static bool
is_given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

/*
 * The binary version that a custom resource asks for: what the tag of its image
 * tells, else spec.documentDBVersion, which the operator uses as a tag.  Either
 * may be NULL.
 */
void
du_image_resolve(const char *image, const char *documentdb_version, SpecImage *result)
{
	ImageTag	of_image = {0};
	ImageTag	of_version = {0};
	ExtensionVersion version;
	const char *reason;
	const char *found;

	memset(result, 0, sizeof(*result));
	if (is_given(image))
		du_image_read(image, &of_image);
	if (is_given(documentdb_version))
	{
		du_image_read_tag(documentdb_version, &of_version);
		if (of_version.version == NULL && of_version.postgres == NULL &&
			du_version_parse(documentdb_version, &version, &reason) && !version.has_vendor)
			of_version.version = of_version.tag;
		result->documentdb_version_unread = of_version.version == NULL;
	}

	result->by_digest = of_image.by_digest;
	found = of_image.version != NULL ? of_image.version : of_version.version;
	if (found != NULL && du_version_parse(found, &version, &reason))
	{
		result->version = du_version_to_semver(&version);
		result->vouched = of_image.version == NULL && (of_image.tag != NULL || of_image.by_digest);
	}
	else if (of_version.tag != NULL)
		result->unread = of_version.tag;
	else if (of_image.tag != NULL)
	{
		result->unread = of_image.tag;
		result->unread_in_image = true;
	}
}

/*
 * image_versions(image text, OUT tag text, OUT postgres text, OUT extension text,
 *				  OUT ferretdb text)
 */
Datum
documentdb_upgrade_image_versions(PG_FUNCTION_ARGS)
{
	ImageTag	image = {0};
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4];
	const char *texts[4];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!PG_ARGISNULL(0))
	{
		char	   *written = text_to_cstring(PG_GETARG_TEXT_PP(0));

		if (strpbrk(written, "/:@") != NULL)
			du_image_read(written, &image);
		else
			du_image_read_tag(written, &image);
	}
	texts[0] = image.tag;
	texts[1] = image.postgres;
	texts[2] = image.version;
	texts[3] = image.ferretdb;
	for (int i = 0; i < lengthof(texts); i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
