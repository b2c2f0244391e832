/*-------------------------------------------------------------------------
 *
 * lsn_clock.c
 *	  When this server was where others are in the WAL.
 *
 * How far a standby is behind in time is told here by one clock, this
 * server's: positions of its own are noted every now and then, and a standby
 * lags since the first of them that it has not replayed.  So neither clocks
 * that differ nor a standby that has stopped to replay, or that nothing reaches
 * any more, leads astray, and an idle primary makes nobody lag.
 *
 * Lags are lower bounds, too short by the pace of the notes at most.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fleet/internal.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"

#include "base/base.h"
#include "processes/processes.h"

#define SAMPLES 250
#define SAMPLES_PER_LIMIT 64	/* so many fit into max_replication_lag */

typedef struct Sample
{
	XLogRecPtr	lsn;
	ClockMs		at;
} Sample;

/* A ring: the newest is samples[next - 1]. */
typedef struct LsnClock
{
	int			n;
	int			next;
	Sample		samples[SAMPLES];
} LsnClock;

StaticAssertDecl(sizeof(LsnClock) <= SHARED_ROOM_SIZE, "too many samples");

static XLogRecPtr
own_position(void)
{
	return RecoveryInProgress() ? GetXLogReplayRecPtr(NULL) : GetXLogWriteRecPtr();
}

/* The i-th oldest. */
static const Sample *
sample(const LsnClock *ring, int i)
{
	return &ring->samples[(ring->next - ring->n + i + SAMPLES) % SAMPLES];
}

/*
 * Notes where this server is now, unless that was done a moment ago.
 */
void
du_lsn_clock_note(void)
{
	LsnClock   *ring;
	Sample		now = {own_position(), du_clock_ms()};
	const Sample *newest;

	if (!du_shared_exists())
		return;
	ring = du_shared_room(ROOM_LSN_CLOCK);
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	newest = ring->n > 0 ? sample(ring, ring->n - 1) : NULL;
	if (newest == NULL ||
		(newest->lsn < now.lsn &&
		 now.at - newest->at > du_guc_max_replication_lag / SAMPLES_PER_LIMIT))
	{
		ring->samples[ring->next] = now;
		ring->next = (ring->next + 1) % SAMPLES;
		ring->n = Min(ring->n + 1, SAMPLES);
	}
	LWLockRelease(du_shared_lock());
}

/*
 * Milliseconds since this server was at the first noted position that lies
 * after the replayed one; 0 when there is none.
 */
int64
du_lsn_clock_lag(XLogRecPtr replayed)
{
	const LsnClock *ring;
	ClockMs		since = 0;

	if (!du_shared_exists())
		return 0;
	ring = du_shared_room(ROOM_LSN_CLOCK);
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	for (int i = 0; i < ring->n && since == 0; i++)
	{
		if (sample(ring, i)->lsn > replayed)
			since = sample(ring, i)->at;
	}
	LWLockRelease(du_shared_lock());
	return since == 0 ? 0 : du_clock_ms() - since;
}
