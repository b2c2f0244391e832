/*-------------------------------------------------------------------------
 *
 * enforcement.h
 *	  What other statements about the managed extensions meet.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_ENFORCEMENT_H
#define DU_ENFORCEMENT_H

/* ----
 * made_anew.c
 *
 * Records extensions of the managed set that are dropped or created.
 * ----
 */

extern void du_made_anew_install(void);

/* ----
 * object_access.c
 *
 * Sees every extension that is created, changed or dropped.
 * ----
 */

extern void du_access_install(void);

/* ----
 * refusal_log.c
 *
 * Says what is refused, to the client each time and to the server log
 * once.
 * ----
 */

extern void du_refusal_install(void);

/* ----
 * utility_hook.c
 *
 * Sees the statements that concern us before they run.
 * ----
 */

extern void du_utility_install(void);

#endif							/* DU_ENFORCEMENT_H */
