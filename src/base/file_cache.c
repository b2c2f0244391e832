/*-------------------------------------------------------------------------
 *
 * file_cache.c
 *	  What was worked out from files once, for all processes of the server.
 *
 * Every session that looks at an upgrade needs digests of libraries, a list of
 * scripts, the server's paths through them, and what the scripts say: nothing
 * of that changes while the files do not, and to work it out takes longer than
 * everything else.  So it is kept as bytes under a key that says all that it
 * depends on, the state of a file or the text itself; a key that is not found
 * any more is simply of a file that has changed.
 *
 * The memory is of a fixed size and nothing in it is ever changed: when there
 * is no more room, all of it is forgotten.  Where the library is not preloaded,
 * each process keeps its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/internal.h"

#include "common/sha2.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"

#define SLOTS			2048	/* a power of two */
#define MOST_ENTRIES	(SLOTS / 2)
#define ROOM			(1024 * 1024)
#define LARGEST_VALUE	(ROOM / 4)

typedef struct CacheSlot
{
	uint8		key[PG_SHA256_DIGEST_LENGTH];
	uint32		offset;
	uint32		length;
	bool		used;
} CacheSlot;

typedef struct FileCache
{
	LWLock	   *lock;			/* NULL: this process's own */
	uint32		nentries;
	uint32		room_used;
	CacheSlot	slots[SLOTS];
	char		room[ROOM];		/* last: its pages are touched when needed */
} FileCache;

static FileCache *cache = NULL;

static void
start_memory(void *memory, LWLockPadded *locks, bool is_new)
{
	cache = memory;
	if (is_new)
		cache->lock = &locks->lock;
}

/*
 * Asks for the memory; to be called while libraries are preloaded.
 */
void
du_cache_install(void)
{
	static const SharedPart part = {"documentdb_upgrade files", sizeof(FileCache), 1, start_memory};

	du_shared_memory_add(&part);
}

static void
lock(LWLockMode mode)
{
	if (cache->lock != NULL)
		LWLockAcquire(cache->lock, mode);
}

static void
unlock(void)
{
	if (cache->lock != NULL)
		LWLockRelease(cache->lock);
}

static void
forget_everything(void)
{
	cache->nentries = 0;
	cache->room_used = 0;
	memset(cache->slots, 0, sizeof(cache->slots));
}

/* The slot of a key, or the free one where it belongs. */
static CacheSlot *
find_slot(const uint8 *key)
{
	uint32		at;

	memcpy(&at, key, sizeof(at));
	for (at %= SLOTS; cache->slots[at].used; at = (at + 1) % SLOTS)
	{
		if (memcmp(cache->slots[at].key, key, PG_SHA256_DIGEST_LENGTH) == 0)
			break;
	}
	return &cache->slots[at];
}

/*
 * Begins a key; what the value depends on is appended to it.  The kind says
 * what sort of value it is and in which form.
 */
void
du_cache_key(StringInfo key, const char *kind)
{
	initStringInfo(key);
	appendBinaryStringInfo(key, kind, strlen(kind) + 1);
}

/*
 * What is kept under a key, palloc'd with a byte of zero after it; NULL when
 * nothing is.
 */
char *
du_cache_find(const StringInfoData *key, size_t *length)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *value = NULL;
	CacheSlot  *slot;
	char	   *room = NULL;
	size_t		size = 0;

	if (cache == NULL)
		return NULL;
	du_digest_raw(key->data, key->len, digest);

	/* Room for the copy is made without the lock, for what was there before. */
	for (;;)
	{
		lock(LW_SHARED);
		slot = find_slot(digest);
		if (!slot->used || slot->length <= size)
			break;
		size = slot->length;
		unlock();
		if (room != NULL)
			pfree(room);
		room = palloc(size + 1);
	}
	if (slot->used && room != NULL)
	{
		memcpy(room, cache->room + slot->offset, slot->length);
		room[slot->length] = '\0';
		*length = slot->length;
		value = room;
	}
	unlock();
	return value;
}

/*
 * Keeps a value.  One of no bytes is not, nor one that is too large.
 */
void
du_cache_keep(const StringInfoData *key, const char *value, size_t length)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	CacheSlot  *slot;

	if (length == 0 || length > LARGEST_VALUE)
		return;
	if (cache == NULL)
	{
		cache = MemoryContextAllocHuge(TopMemoryContext, sizeof(FileCache));
		cache->lock = NULL;
		forget_everything();
	}
	du_digest_raw(key->data, key->len, digest);
	lock(LW_EXCLUSIVE);
	if (cache->nentries >= MOST_ENTRIES || ROOM - cache->room_used < length)
		forget_everything();
	slot = find_slot(digest);
	if (!slot->used)
	{
		memcpy(slot->key, digest, sizeof(slot->key));
		memcpy(cache->room + cache->room_used, value, length);
		slot->offset = cache->room_used;
		slot->length = (uint32) length;
		slot->used = true;
		cache->room_used += (uint32) length;
		cache->nentries++;
	}
	unlock();
}

/*
 * Adds a text to a value, or that there is none.
 */
void
du_cache_put_text(StringInfo value, const char *text)
{
	appendStringInfoChar(value, text != NULL ? 1 : 0);
	if (text != NULL)
		appendBinaryStringInfo(value, text, strlen(text) + 1);
}

/*
 * Adds a number to a value.
 */
void
du_cache_put_int(StringInfo value, int32 number)
{
	appendBinaryStringInfo(value, (const char *) &number, sizeof(number));
}

/*
 * Takes the next text from a value, where it stays; NULL when there is none.
 */
const char *
du_cache_take_text(const char **value)
{
	const char *text = *value + 1;

	if (**value == 0)
		text = NULL;
	*value += text != NULL ? strlen(text) + 2 : 1;
	return text;
}

/*
 * Takes the next number from a value.
 */
int32
du_cache_take_int(const char **value)
{
	int32		number;

	memcpy(&number, *value, sizeof(number));
	*value += sizeof(number);
	return number;
}
