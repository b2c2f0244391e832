/*-------------------------------------------------------------------------
 *
 * object_access.h
 *	  Sees every extension that is created, changed or dropped.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_OBJECT_ACCESS_H
#define DU_OBJECT_ACCESS_H

extern void du_access_install(void);

#endif							/* DU_OBJECT_ACCESS_H */
