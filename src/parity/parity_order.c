/*-------------------------------------------------------------------------
 *
 * parity_order.c
 *	  What the processes of one parity run tell each other.
 *
 * A segment of dynamic shared memory, so nothing needs to be preloaded: the
 * caller's order, what the leader finds out for the others, and how each
 * process stands.  Every change sets the latches of all.
 *
 * The segment goes with its last user.  The connection string is wiped as
 * soon as the caller lets go of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "parity/internal.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/resowner.h"

/* Wakes everybody, after a change. */
static void
announce(ParityOrder *order)
{
	SetLatch(&order->caller->procLatch);
	for (int i = 0; i < PARITY_MEMBERS; i++)
	{
		PGPROC	   *process = order->members[i].process;

		if (process != NULL)
			SetLatch(&process->procLatch);
	}
}

/* The caller lets go of the segment, whatever has made it do so. */
static void
abandon(dsm_segment *segment, Datum arg)
{
	ParityOrder *order = (ParityOrder *) DatumGetPointer(arg);
	char	   *conninfo = (char *) du_parity_order_text(order, order->conninfo);

	SpinLockAcquire(&order->lock);
	order->abandoned = true;
	SpinLockRelease(&order->lock);
	if (conninfo != NULL)
		explicit_bzero(conninfo, strlen(conninfo));
	announce(order);
}

/*
 * An order of this process, whose database, role and so on the caller fills
 * in.  The segment belongs to the current resource owner.
 */
dsm_segment *
du_parity_order_create(const char *options, const StringInfoData *settings, const char *conninfo)
{
	Size		options_size = strlen(options) + 1;
	Size		conninfo_size = conninfo != NULL ? strlen(conninfo) + 1 : 0;
	Size		size = offsetof(ParityOrder, texts) + options_size + settings->len + conninfo_size;
	dsm_segment *segment = dsm_create(size, 0);
	ParityOrder *order = dsm_segment_address(segment);

	memset(order, 0, size);
	SpinLockInit(&order->lock);
	order->database = MyDatabaseId;
	order->caller = MyProc;
	order->options = offsetof(ParityOrder, texts);
	memcpy(order->texts, options, options_size);
	order->settings = order->options + options_size;
	memcpy((char *) order + order->settings, settings->data, settings->len);
	if (conninfo != NULL)
	{
		order->conninfo = order->settings + settings->len;
		memcpy((char *) order + order->conninfo, conninfo, conninfo_size);
	}
	on_dsm_detach(segment, abandon, PointerGetDatum(order));
	return segment;
}

/*
 * The order that a member is to work on, mapped until this process ends; NULL
 * when it is gone already.
 */
ParityOrder *
du_parity_order_attach(dsm_handle handle, int member)
{
	dsm_segment *segment;
	ParityOrder *order;

	if (CurrentResourceOwner == NULL)
		CurrentResourceOwner = ResourceOwnerCreate(NULL, "documentdb_upgrade parity");
	segment = dsm_attach(handle);
	if (segment == NULL)
		return NULL;
	dsm_pin_mapping(segment);
	order = dsm_segment_address(segment);

	SpinLockAcquire(&order->lock);
	order->members[member].process = MyProc;
	order->members[member].state = MEMBER_AT_WORK;
	SpinLockRelease(&order->lock);
	return order;
}

/*
 * Tells the others what the run is, and which snapshot to use elsewhere, NULL
 * when there is no elsewhere.
 */
void
du_parity_order_publish(ParityOrder *order, int64 run, const char *remote_snapshot)
{
	SpinLockAcquire(&order->lock);
	order->run = run;
	if (remote_snapshot != NULL)
		strlcpy(order->remote_snapshot, remote_snapshot, SNAPSHOT_LENGTH);
	order->published = true;
	SpinLockRelease(&order->lock);
	announce(order);
}

bool
du_parity_order_is_published(ParityOrder *order)
{
	bool		published;

	SpinLockAcquire(&order->lock);
	published = order->published;
	SpinLockRelease(&order->lock);
	return published;
}

/*
 * True when nobody is to go on.
 */
bool
du_parity_order_is_over(ParityOrder *order)
{
	bool		over;

	SpinLockAcquire(&order->lock);
	over = order->abandoned || order->problem != 0;
	SpinLockRelease(&order->lock);
	return over;
}

/*
 * Tells the others that the snapshot on the other server is there no more.
 */
void
du_parity_order_lose_snapshot(ParityOrder *order)
{
	SpinLockAcquire(&order->lock);
	order->remote_snapshot_lost = true;
	SpinLockRelease(&order->lock);
}

bool
du_parity_order_has_lost_snapshot(ParityOrder *order)
{
	bool		lost;

	SpinLockAcquire(&order->lock);
	lost = order->remote_snapshot_lost;
	SpinLockRelease(&order->lock);
	return lost;
}

static void
store(char *to, const char *text)
{
	int			length = text !=NULL ? pg_mbcliplen(text, strlen(text), PROBLEM_LENGTH - 1) : 0;

	if (length > 0)
		memcpy(to, text, length);
	to[length] = '\0';
}

/*
 * Ends it all with an error that the caller raises; the first one counts.
 */
void
du_parity_order_fail(ParityOrder *order, const StatementOutcome *problem)
{
	SpinLockAcquire(&order->lock);
	if (order->problem == 0)
	{
		order->problem = problem->sqlstate;
		store(order->message, problem->message);
		store(order->detail, problem->detail);
		store(order->hint, problem->hint);
	}
	SpinLockRelease(&order->lock);
	announce(order);
}

static char *
copy(const char *text)
{
	return text[0] != '\0' ? pstrdup(text) : NULL;
}

/*
 * Copies that error; false when there is none.  Only when all have ended.
 */
bool
du_parity_order_get_problem(ParityOrder *order, StatementOutcome *problem)
{
	if (order->problem == 0)
		return false;
	problem->sqlstate = order->problem;
	problem->message = copy(order->message);
	problem->detail = copy(order->detail);
	problem->hint = copy(order->hint);
	return true;
}

void
du_parity_order_set_state(ParityOrder *order, int member, MemberState state)
{
	SpinLockAcquire(&order->lock);
	order->members[member].state = state;
	SpinLockRelease(&order->lock);
	announce(order);
}

MemberState
du_parity_order_get_state(ParityOrder *order, int member)
{
	MemberState state;

	SpinLockAcquire(&order->lock);
	state = order->members[member].state;
	SpinLockRelease(&order->lock);
	return state;
}

/*
 * True when no other member works any more, or will.
 */
bool
du_parity_order_others_ended(ParityOrder *order, int member)
{
	for (int i = 0; i < PARITY_MEMBERS; i++)
	{
		MemberState state = du_parity_order_get_state(order, i);

		if (i != member && (state == MEMBER_EXPECTED || state == MEMBER_AT_WORK))
			return false;
	}
	return true;
}
