/*-------------------------------------------------------------------------
 *
 * wait_list.h
 *	  What the worker waits for besides its latch, and the clock for it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_WAIT_LIST_H
#define DU_WAIT_LIST_H

#include "portability/instr_time.h"
#include "storage/latch.h"

#define WAIT_LIST_SOCKETS 8

typedef struct WaitList
{
	long		timeout_ms;		/* -1: no limit */
	int			nsockets;
	struct
	{
		pgsocket	fd;
		uint32		events;		/* WL_SOCKET_READABLE, WL_SOCKET_WRITEABLE */
	}			sockets[WAIT_LIST_SOCKETS];
} WaitList;

/* A clock that is never set, in milliseconds. */
static inline int64
du_clock_ms(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

/* Shortens the wait: not negative, or no limit. */
static inline void
du_wait_at_most(WaitList *list, long ms)
{
	if (ms >= 0 && (list->timeout_ms < 0 || ms < list->timeout_ms))
		list->timeout_ms = ms;
}

#endif							/* DU_WAIT_LIST_H */
