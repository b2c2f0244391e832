/*-------------------------------------------------------------------------
 *
 * worker_announce.h
 *	  Tells people and programs what the worker has found.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_WORKER_ANNOUNCE_H
#define DU_WORKER_ANNOUNCE_H

#include "worker/loop/worker_state.h"

extern void du_worker_announce(Worker *worker, const Outlook *outlook);
extern void du_worker_say_started(Worker *worker);
extern void du_worker_say_succeeded(Worker *worker);

#endif							/* DU_WORKER_ANNOUNCE_H */
