/*-------------------------------------------------------------------------
 *
 * step_trace.h
 *	  Follows an update script, or a check, while the server runs it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_STEP_TRACE_H
#define DU_STEP_TRACE_H

/* Who keeps the settings of what is followed. */
typedef struct SettingsKeeper
{
	/* A statement, at any depth, has been analysed: raises when that was in vain. */
	void		(*check) (void);

	/* One has ended; the search_path is that of what is followed, or NULL. */
	void		(*pin_again) (const char *search_path);
} SettingsKeeper;

extern void du_trace_start(Oid extension, const SettingsKeeper *settings);
extern void du_trace_start_check(const char *search_path, const SettingsKeeper *settings);
extern void du_trace_stop(void);
extern int	du_trace_offset(void);

#endif							/* DU_STEP_TRACE_H */
