/*-------------------------------------------------------------------------
 *
 * worker_launcher.h
 *	  Keeps the worker running.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_WORKER_LAUNCHER_H
#define DU_WORKER_LAUNCHER_H

extern void du_launcher_register(void);

#endif							/* DU_WORKER_LAUNCHER_H */
