/*-------------------------------------------------------------------------
 *
 * attempt_recorder.h
 *	  Records attempts whose own transaction does not survive.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_ATTEMPT_RECORDER_H
#define DU_ATTEMPT_RECORDER_H

extern void du_recorder_record_now(const char *json);
extern void du_recorder_record_on_abort(const char *json);
extern void du_recorder_forget_newest(void);
extern char *du_recorder_take_newest(void);

#endif							/* DU_ATTEMPT_RECORDER_H */
