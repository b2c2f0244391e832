/*-------------------------------------------------------------------------
 *
 * attempt_limits.h
 *	  Bounds of one attempt: the sum of its lock waits, and its duration.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_ATTEMPT_LIMITS_H
#define DU_ATTEMPT_LIMITS_H

typedef enum LimitReached
{
	LIMIT_NONE,
	LIMIT_LOCK_WAITS,
	LIMIT_DURATION
} LimitReached;

extern void du_limits_start(int lock_wait_ms, int duration_ms);
extern void du_limits_check(void);
extern void du_limits_stop(void);
extern LimitReached du_limits_reached(void);

#endif							/* DU_ATTEMPT_LIMITS_H */
