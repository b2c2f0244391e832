/*-------------------------------------------------------------------------
 *
 * instance_identity.h
 *	  By what a server is told from the others of its fleet.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_INSTANCE_IDENTITY_H
#define DU_INSTANCE_IDENTITY_H

#include "processes/shared_status.h"

#define INCARNATION_LENGTH 17	/* 16 hexadecimal digits */

extern PGDLLEXPORT void du_identity_read(char *identity, char *incarnation);
extern char *du_identity_host(void);

#endif							/* DU_INSTANCE_IDENTITY_H */
