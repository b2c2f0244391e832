/*-------------------------------------------------------------------------
 *
 * step_trace.h
 *	  Where in an update script the server is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_STEP_TRACE_H
#define DU_STEP_TRACE_H

extern void du_trace_start(Oid extension);
extern void du_trace_stop(void);
extern int	du_trace_offset(void);

#endif							/* DU_STEP_TRACE_H */
