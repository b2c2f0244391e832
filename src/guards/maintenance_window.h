/*-------------------------------------------------------------------------
 *
 * maintenance_window.h
 *	  Maintenance windows: when a finalize may run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_MAINTENANCE_WINDOW_H
#define DU_MAINTENANCE_WINDOW_H

#include "datatype/timestamp.h"

extern bool du_window_is_valid(const char *text, const char **reason);
extern bool du_window_contains(const char *text, TimestampTz time);

#endif							/* DU_MAINTENANCE_WINDOW_H */
