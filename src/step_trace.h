/*-------------------------------------------------------------------------
 *
 * step_trace.h
 *	  Follows an update script while the server runs it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_STEP_TRACE_H
#define DU_STEP_TRACE_H

extern void du_trace_start(Oid extension, void (*pin_settings) (void));
extern void du_trace_stop(void);
extern int	du_trace_offset(void);

#endif							/* DU_STEP_TRACE_H */
