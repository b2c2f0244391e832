/*-------------------------------------------------------------------------
 *
 * canonical_names.h
 *	  Names of catalogue objects that mean the same on every server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CANONICAL_NAMES_H
#define DU_CANONICAL_NAMES_H

extern char *du_names_object(Oid regtype, Oid object);
extern char *du_names_role(Oid role);

#endif							/* DU_CANONICAL_NAMES_H */
