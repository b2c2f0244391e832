/*-------------------------------------------------------------------------
 *
 * lsn_clock.h
 *	  When this server was where others are in the WAL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LSN_CLOCK_H
#define DU_LSN_CLOCK_H

#include "access/xlogdefs.h"

extern PGDLLEXPORT void du_lsn_clock_note(void);
extern int64 du_lsn_clock_lag(XLogRecPtr replayed);

#endif							/* DU_LSN_CLOCK_H */
