/*-------------------------------------------------------------------------
 *
 * database_yield.h
 *	  Makes the worker give way to those who want its database for
 *	  themselves.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_DATABASE_YIELD_H
#define DU_DATABASE_YIELD_H

#include "nodes/nodes.h"

extern void du_yield_to(Node *statement);

#endif							/* DU_DATABASE_YIELD_H */
