/*-------------------------------------------------------------------------
 *
 * own_scripts.h
 *	  Whether the scripts of an upgrade of ours run in this session.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_OWN_SCRIPTS_H
#define DU_OWN_SCRIPTS_H

extern void du_own_scripts_begin(void);
extern void du_own_scripts_end(void);
extern bool du_own_scripts_run(void);

#endif							/* DU_OWN_SCRIPTS_H */
