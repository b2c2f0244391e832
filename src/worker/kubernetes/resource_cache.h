/*-------------------------------------------------------------------------
 *
 * resource_cache.h
 *	  What is known of the custom resource.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_RESOURCE_CACHE_H
#define DU_RESOURCE_CACHE_H

#include "worker/source/desired_source.h"

#define RESOURCE_VERSION_LENGTH 256

typedef struct ResourceView
{
	DesiredState *state;		/* what is shown */
	bool		changed;		/* it has, since somebody cleared this */
	uint64		events;			/* of a watch, taken so far */
	char		resume[RESOURCE_VERSION_LENGTH];	/* version to watch from;
													 * "": none */
	MemoryContext context;
	MemoryContext resource_context; /* of the state's resource */
	MemoryContext problem_context;	/* of its problem and hint */
} ResourceView;

extern ResourceView *du_view_open(DesiredState *state);
extern void du_view_set_location(ResourceView *view, const char *location);
extern void du_view_set_health(ResourceView *view, SourceHealth health,
							   const char *problem, const char *hint);
extern void du_view_note_contact(ResourceView *view);
extern void du_view_note_absence(ResourceView *view);
extern MemoryContext du_view_create_context(ResourceView *view);
extern const char *du_view_take(ResourceView *view, MemoryContext fresh,
								const CustomResource *resource, const char *name);
extern bool du_view_is_older(const ResourceView *view, const CustomResource *resource);
extern bool du_view_is_version(const char *version);

#endif							/* DU_RESOURCE_CACHE_H */
