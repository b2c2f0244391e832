/*-------------------------------------------------------------------------
 *
 * parity_process.h
 *	  A process of a parity run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_PARITY_PROCESS_H
#define DU_PARITY_PROCESS_H

#include "postmaster/bgworker.h"
#include "storage/dsm.h"

extern bool du_parity_process_start(dsm_handle order, int member,
									BackgroundWorkerHandle **handle);

#endif							/* DU_PARITY_PROCESS_H */
