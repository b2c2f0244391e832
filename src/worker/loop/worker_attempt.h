/*-------------------------------------------------------------------------
 *
 * worker_attempt.h
 *	  What the worker makes of attempts: when the next one, or none.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_WORKER_ATTEMPT_H
#define DU_WORKER_ATTEMPT_H

#include "worker/loop/worker_state.h"

extern void du_worker_recall(Worker *worker, const Outlook *outlook);
extern void du_worker_forget_if_changed(Worker *worker, const Outlook *outlook);
extern void du_worker_take_retries(Worker *worker);
extern void du_worker_start_attempt(Worker *worker);
extern void du_worker_conclude_attempt(Worker *worker);

#endif							/* DU_WORKER_ATTEMPT_H */
