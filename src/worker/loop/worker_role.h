/*-------------------------------------------------------------------------
 *
 * worker_role.h
 *	  What the worker follows and to whom it reports, by the server's role.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_WORKER_ROLE_H
#define DU_WORKER_ROLE_H

#include "worker/loop/worker_state.h"

extern void du_worker_follow_role(Worker *worker);
extern bool du_worker_advance_source(Worker *worker);
extern void du_worker_take_counters(Worker *worker);
extern void du_worker_close(Worker *worker);

#endif							/* DU_WORKER_ROLE_H */
