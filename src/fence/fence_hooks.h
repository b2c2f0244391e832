/*-------------------------------------------------------------------------
 *
 * fence_hooks.h
 *	  Keeps the sessions of a database from writing while a fence is up.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FENCE_HOOKS_H
#define DU_FENCE_HOOKS_H

#include "fence/fence_state.h"

extern void du_fence_install(void);
extern void du_fence_let_write(void);
extern void du_fence_end_writing(void);
extern bool du_fence_is_exempt(Oid role);
extern char *du_fence_notice(void);
extern char *du_fence_sentence(void);

#endif							/* DU_FENCE_HOOKS_H */
