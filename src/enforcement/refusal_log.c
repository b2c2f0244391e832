/*-------------------------------------------------------------------------
 *
 * refusal_log.c
 *	  Says what is refused, to the client each time and to the server log
 *	  once.
 *
 * An operator that reconciles sends the same statement every ten seconds for
 * ever.  Each time it gets its answer; the log gets one entry per distinct
 * message and hour.  What was logged is remembered in shared memory, by a
 * hash of database, code and message, because each reconcile comes in a
 * session of its own.
 *
 * Our messages are known by the function that raises them, which the server
 * notes with every error: so nothing has to be remembered between raising
 * and logging, and an error that somebody catches leaves no trace.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "enforcement/internal.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "processes/processes.h"

#define LOG_AGAIN_MS (60 * 60 * 1000)

typedef struct LoggedRefusal
{
	uint64		hash;
	ClockMs		logged_at;		/* 0: a free entry */
} LoggedRefusal;

#define LOGGED_REFUSALS (SHARED_ROOM_SIZE / sizeof(LoggedRefusal))

static emit_log_hook_type previous_log = NULL;

/*
 * Raises a message of ours at a level; detail and hint may be NULL.
 */
void
du_refusal_say(int elevel, int sqlstate, const char *message,
			   const char *detail, const char *hint)
{
	ereport(elevel,
			(errcode(sqlstate),
			 errmsg_internal("%s", message),
			 detail ? errdetail_internal("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0));
}

static bool
is_ours(const ErrorData *edata)
{
	return edata->funcname != NULL && edata->message != NULL &&
		strcmp(edata->funcname, "du_refusal_say") == 0;
}

static uint64
hash_of(const ErrorData *edata)
{
	uint64		seed = ((uint64) MyDatabaseId << 32) ^ (uint32) edata->sqlerrcode;

	return hash_bytes_extended((const unsigned char *) edata->message,
							   strlen(edata->message), seed);
}

/*
 * True when the same was logged within the hour; else notes it as logged
 * now, in place of the oldest entry.
 */
static bool
is_repetition(const ErrorData *edata)
{
	LoggedRefusal *refusals = du_shared_room(ROOM_LOGGED_REFUSALS);
	LoggedRefusal *place = &refusals[0];
	uint64		hash = hash_of(edata);
	bool		repeated;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	for (int i = 0; i < LOGGED_REFUSALS; i++)
	{
		if (refusals[i].hash == hash && refusals[i].logged_at != 0)
		{
			place = &refusals[i];
			break;
		}
		if (refusals[i].logged_at < place->logged_at)
			place = &refusals[i];
	}
	repeated = place->hash == hash && place->logged_at != 0 &&
		!du_clock_exceeds(place->logged_at, LOG_AGAIN_MS);
	if (!repeated)
	{
		place->hash = hash;
		place->logged_at = du_clock_ms();
	}
	LWLockRelease(du_shared_lock());
	return repeated;
}

static void
log_once(ErrorData *edata)
{
	if (edata->output_to_server && is_ours(edata) && is_repetition(edata))
		edata->output_to_server = false;
	if (previous_log != NULL)
		previous_log(edata);
}

/*
 * Installs the hook; to be called while libraries are preloaded.
 */
void
du_refusal_install(void)
{
	previous_log = emit_log_hook;
	emit_log_hook = log_once;
}
