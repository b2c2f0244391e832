/*-------------------------------------------------------------------------
 *
 * library_facts.h
 *	  Whether the libraries in memory are those on disk.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LIBRARY_FACTS_H
#define DU_LIBRARY_FACTS_H

#include "extension/managed_set.h"

/* In the order of what matters more. */
typedef enum LibraryState
{
	LIBRARY_NONE,				/* the extensions have none */
	LIBRARY_CURRENT,			/* nothing in memory differs from disk */
	LIBRARY_UNKNOWN,			/* something could not be compared */
	LIBRARY_STALE				/* something in memory is not what is on disk */
} LibraryState;

typedef struct LibraryFacts
{
	LibraryState state;
	const char *detail;			/* one sentence */
	const char *hint;			/* what to do, or NULL */
} LibraryFacts;

extern const char *du_library_state_name(LibraryState state);
extern LibraryFacts du_library_facts(const UpgradeFacts *facts);
extern const char *du_library_problem(const ExtensionFacts *extension, const char **hint);

#endif							/* DU_LIBRARY_FACTS_H */
