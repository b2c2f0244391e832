/*-------------------------------------------------------------------------
 *
 * scratch_database.h
 *	  A throw-away database, in which one function runs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SCRATCH_DATABASE_H
#define DU_SCRATCH_DATABASE_H

#include "lib/stringinfo.h"

extern char *du_scratch_run(const char *function, const StringInfo order);

#endif							/* DU_SCRATCH_DATABASE_H */
