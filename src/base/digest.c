/*-------------------------------------------------------------------------
 *
 * digest.c
 *	  SHA-256 of texts and files.
 *
 * Files are digested once for each state of them: every session asks for the
 * same libraries.  A file that was changed in the last two seconds is always
 * read, because its time stamp could hide another change of the same size.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include <sys/stat.h>
#include <time.h>

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "storage/fd.h"

#define HEX_LENGTH			(PG_SHA256_DIGEST_LENGTH * 2)
#define SETTLED_SECONDS		2

typedef struct FileState
{
	dev_t		device;
	ino_t		inode;
	off_t		size;
	time_t		mtime_seconds;
	long		mtime_nanoseconds;
	time_t		ctime_seconds;	/* cannot be set back, unlike mtime */
	long		ctime_nanoseconds;
} FileState;

static pg_cryptohash_ctx *
start_digest(void)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	if (hash == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (pg_cryptohash_init(hash) < 0)
		elog(ERROR, "could not start SHA-256: %s", pg_cryptohash_error(hash));
	return hash;
}

static void
add_bytes(pg_cryptohash_ctx *hash, const void *bytes, size_t length)
{
	if (pg_cryptohash_update(hash, bytes, length) < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(hash));
}

/* Ends a digest and writes its bytes. */
static void
finish_raw(pg_cryptohash_ctx *hash, uint8 *raw)
{
	if (pg_cryptohash_final(hash, raw, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not finish SHA-256: %s", pg_cryptohash_error(hash));
	pg_cryptohash_free(hash);
}

/*
 * Ends a digest and gives back its lower-case hexadecimal form, palloc'd.
 */
static char *
finish_digest(pg_cryptohash_ctx *hash)
{
	static const char digits[] = "0123456789abcdef";
	uint8		raw[PG_SHA256_DIGEST_LENGTH];
	char	   *hex = palloc(HEX_LENGTH + 1);

	finish_raw(hash, raw);
	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
	{
		hex[2 * i] = digits[raw[i] >> 4];
		hex[2 * i + 1] = digits[raw[i] & 0x0f];
	}
	hex[HEX_LENGTH] = '\0';
	return hex;
}

/*
 * SHA-256 of length bytes, as palloc'd lower-case hexadecimal.
 */
char *
du_digest_bytes(const void *bytes, size_t length)
{
	pg_cryptohash_ctx *hash = start_digest();

	add_bytes(hash, bytes, length);
	return finish_digest(hash);
}

/*
 * The same as bytes, PG_SHA256_DIGEST_LENGTH of them.
 */
void
du_digest_raw(const void *bytes, size_t length, uint8 *digest)
{
	pg_cryptohash_ctx *hash = start_digest();

	add_bytes(hash, bytes, length);
	finish_raw(hash, digest);
}

static bool
get_state(const char *path, FileState *state)
{
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	memset(state, 0, sizeof(*state));
	state->device = st.st_dev;
	state->inode = st.st_ino;
	state->size = st.st_size;
	state->mtime_seconds = st.st_mtim.tv_sec;
	state->mtime_nanoseconds = st.st_mtim.tv_nsec;
	state->ctime_seconds = st.st_ctim.tv_sec;
	state->ctime_nanoseconds = st.st_ctim.tv_nsec;
	return true;
}

static char *
read_and_digest(const char *path)
{
	FILE	   *file = AllocateFile(path, PG_BINARY_R);
	pg_cryptohash_ctx *hash;
	char	   *buffer;
	size_t		length;
	bool		failed;

	if (file == NULL)
		return NULL;

	hash = start_digest();
	buffer = palloc(65536);
	while ((length = fread(buffer, 1, 65536, file)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		add_bytes(hash, buffer, length);
	}
	failed = ferror(file) != 0;
	FreeFile(file);
	pfree(buffer);

	if (failed)
	{
		pg_cryptohash_free(hash);
		return NULL;
	}
	return finish_digest(hash);
}

/*
 * SHA-256 of a regular file's content, as palloc'd lower-case hexadecimal;
 * NULL when the file cannot be read.
 */
char *
du_digest_file(const char *path)
{
	StringInfoData key;
	FileState	state;
	char	   *hex;
	size_t		length;

	if (!get_state(path, &state))
		return NULL;

	du_cache_key(&key, "digest of a file");
	appendBinaryStringInfo(&key, (const char *) &state, sizeof(state));
	appendStringInfoString(&key, path);
	hex = du_cache_find(&key, &length);
	if (hex == NULL)
	{
		hex = read_and_digest(path);
		if (hex != NULL && Max(state.mtime_seconds, state.ctime_seconds) + SETTLED_SECONDS < time(NULL))
			du_cache_keep(&key, hex, HEX_LENGTH);
	}
	pfree(key.data);
	return hex;
}
