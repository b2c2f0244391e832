/*-------------------------------------------------------------------------
 *
 * refusal_log.h
 *	  Says what is refused, to the client each time and to the server log
 *	  once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REFUSAL_LOG_H
#define DU_REFUSAL_LOG_H

extern void du_refusal_say(int elevel, int sqlstate, const char *message,
						   const char *detail, const char *hint);
extern void du_refusal_install(void);

#endif							/* DU_REFUSAL_LOG_H */
