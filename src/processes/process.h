/*-------------------------------------------------------------------------
 *
 * process.h
 *	  How our background workers are described to the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_PROCESS_H
#define DU_PROCESS_H

#include "postmaster/bgworker.h"

extern void du_process_describe(BackgroundWorker *process, const char *what,
								const char *function);

#endif							/* DU_PROCESS_H */
