/*-------------------------------------------------------------------------
 *
 * own_relations.h
 *	  Keeps others from changing this extension while a process of ours looks
 *	  at its tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_OWN_RELATIONS_H
#define DU_OWN_RELATIONS_H

extern PGDLLEXPORT bool du_own_relations_lock(int wait_ms);

#endif							/* DU_OWN_RELATIONS_H */
