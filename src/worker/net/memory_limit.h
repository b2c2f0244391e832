/*-------------------------------------------------------------------------
 *
 * memory_limit.h
 *	  A limit for what a foreign library allocates.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_MEMORY_LIMIT_H
#define DU_MEMORY_LIMIT_H

#include <sys/resource.h>

typedef struct MemoryLimit
{
	struct rlimit before;
	bool		set;			/* there is something to be undone */
} MemoryLimit;

extern size_t du_memory_grown_by(size_t more);
extern void du_memory_limit(MemoryLimit *limit, size_t most);
extern void du_memory_unlimit(const MemoryLimit *limit);

#endif							/* DU_MEMORY_LIMIT_H */
