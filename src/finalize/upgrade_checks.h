/*-------------------------------------------------------------------------
 *
 * upgrade_checks.h
 *	  Pre- and post-checks of an upgrade.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_UPGRADE_CHECKS_H
#define DU_UPGRADE_CHECKS_H

extern void du_checks_run(const char *kind);

#endif							/* DU_UPGRADE_CHECKS_H */
