/*-------------------------------------------------------------------------
 *
 * custom_resource.h
 *	  The operator's custom resource, as far as the worker needs it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CUSTOM_RESOURCE_H
#define DU_CUSTOM_RESOURCE_H

#include "postgres.h"

/* The annotation that holds like documentdb_upgrade.hold(). */
#define HOLD_ANNOTATION "documentdb-upgrade/hold"
#define CONDITION_TYPE "SchemaSettled"

typedef struct CustomResource
{
	const char *api_version;	/* "documentdb.io/preview", NULL when not said */
	const char *kind;
	const char *name;
	const char *namespace_name;
	const char *uid;
	const char *resource_version;
	int64		generation;		/* 0 when not said */
	bool		being_deleted;	/* has a deletionTimestamp */

	const char *schema_version; /* spec.schemaVersion, "" when unset */
	const char *spec_binary;	/* X.Y.Z that the spec's image or
								 * documentDBVersion names, or NULL */
	int			instances_per_node; /* -1 when not said */
	bool		maintenance;	/* spec.maintenance: writes are to be stopped */
	const char *hold;			/* value of the hold annotation, NULL: none */

	const char *status_schema_version;	/* NULL when not said */
	bool		has_condition;	/* of our own type */
	const char *condition_status;
	const char *condition_reason;
	const char *condition_message;
	const char *condition_since;	/* lastTransitionTime as written */
	int64		condition_generation;
	int			other_conditions;	/* conditions of other types */
} CustomResource;

/* What one line of a watch says. */
typedef enum WatchEventType
{
	WATCH_ADDED,
	WATCH_MODIFIED,
	WATCH_DELETED,
	WATCH_BOOKMARK,
	WATCH_ERROR
} WatchEventType;

typedef struct WatchEvent
{
	WatchEventType type;
	CustomResource *resource;	/* NULL for BOOKMARK and ERROR */
	const char *resource_version;	/* NULL for ERROR */
	int			code;			/* of ERROR: 410 and so on */
	const char *message;		/* of ERROR, or NULL */
} WatchEvent;

/*
 * Each takes JSON text of a known length and gives back a palloc'd result, or
 * NULL with a reason (a palloc'd or constant phrase without the text itself).
 */
extern CustomResource *du_resource_parse(const char *json, size_t length,
										 const char **reason);
extern CustomResource *du_resource_parse_list(const char *json, size_t length,
											  const char *name,
											  const char **list_version,
											  const char **reason);
extern WatchEvent *du_resource_parse_event(const char *json, size_t length,
										   const char **reason);
extern char *du_resource_parse_owner(const char *json, size_t length,
									 const char *kind, const char **reason);
extern char *du_resource_status_message(const char *json, size_t length);

#endif							/* DU_CUSTOM_RESOURCE_H */
