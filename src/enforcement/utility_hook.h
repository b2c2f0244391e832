/*-------------------------------------------------------------------------
 *
 * utility_hook.h
 *	  Sees the statements that concern us before they run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_UTILITY_HOOK_H
#define DU_UTILITY_HOOK_H

extern void du_utility_install(void);

#endif							/* DU_UTILITY_HOOK_H */
