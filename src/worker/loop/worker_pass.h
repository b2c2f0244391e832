/*-------------------------------------------------------------------------
 *
 * worker_pass.h
 *	  One pass of the worker: gather, decide, and say what is to be done.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_WORKER_PASS_H
#define DU_WORKER_PASS_H

#include "worker/loop/worker_state.h"

extern void du_worker_pass(Worker *worker);

#endif							/* DU_WORKER_PASS_H */
