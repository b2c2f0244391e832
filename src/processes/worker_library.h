/*-------------------------------------------------------------------------
 *
 * worker_library.h
 *	  Loads the worker's library, which may be impossible.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_WORKER_LIBRARY_H
#define DU_WORKER_LIBRARY_H

#define WORKER_PACKAGES "on Debian the packages libcurl4, libcjson1 and libpq5"

extern void *du_worker_library_function(const char *function, const char **problem);

#endif							/* DU_WORKER_LIBRARY_H */
