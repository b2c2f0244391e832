/*-------------------------------------------------------------------------
 *
 * source.h
 *	  Where the desired schema version comes from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SOURCE_H
#define DU_SOURCE_H

#include "datatype/timestamp.h"
#include "postgres.h"

#include "base/clock.h"
#include "worker/net/net.h"

/* ----
 * custom_resource.c
 *
 * The operator's custom resource, as far as the worker needs it.
 * ----
 */

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
	const char *spec_binary;	/* version that the spec's image or
								 * documentDBVersion names, or NULL */
	int			instances_per_node; /* -1 when not said */
	bool		highly_available;	/* the primary region has three instances */
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

/* ----
 * desired_source
 *
 * Where the desired schema version comes from: what the worker's loop
 * knows of a source.
 *
 * Each source is one file that fills a DesiredSource.  A source never waits
 * and never raises for expected trouble: what goes wrong is in its state.
 * ----
 */

typedef enum SourceHealth
{
	SOURCE_STARTING,			/* nothing was read yet */
	SOURCE_OK,
	SOURCE_UNREACHABLE,			/* passes by itself, is tried again */
	SOURCE_REFUSED,				/* needs other rights */
	SOURCE_MISSING,				/* there is no resource, no file */
	SOURCE_INVALID				/* was read and makes no sense */
} SourceHealth;

/*
 * What a source has found out.  Texts live until the state changes next.
 */
typedef struct DesiredState
{
	SourceHealth health;
	const char *problem;		/* a sentence, NULL when health is SOURCE_OK */
	const char *hint;			/* what to do about it, or NULL */
	const char *version;		/* "", "auto" or a version as written; NULL
								 * when nothing was ever read */
	const CustomResource *resource; /* NULL when the source is none */
	const char *location;		/* of what is read, for people: the resource
								 * as "namespace/name", a file; or NULL */
	const char *hold_hint;		/* how to end a hold, a sentence, or NULL */
	const char *wish;			/* how to desire WISH_VERSION, a clause, or NULL */
	TimestampTz last_contact;	/* when the source answered last, 0: never */
	int64		contact;		/* the same by du_clock_us() */
	bool		refreshing;		/* a read asked for is under way */
} DesiredState;

typedef struct DesiredSource
{
	const char *name;			/* as in documentdb_upgrade.source */
	DesiredState state;
	void	   *data;			/* the source's own */

	/*
	 * Does what can be done without waiting: takes what has arrived, sends
	 * what is due.  True when the state has changed.
	 */
	bool		(*advance) (struct DesiredSource *source);

	/*
	 * Asks for the desired version to be read anew: state.refreshing is set
	 * at once and cleared by advance() when the read is done, then
	 * state.health tells how it went.
	 */
	void		(*refresh) (struct DesiredSource *source);

	/* Adds sockets and the time of the next advance(). */
	void		(*add_waits) (struct DesiredSource *source, WaitList *list);

	/* Settings were reloaded. */
	void		(*reload) (struct DesiredSource *source);

	/* Frees everything. */
	void		(*close) (struct DesiredSource *source);
} DesiredSource;

/* The source has just answered. */
static inline void
du_source_note_contact(DesiredState *state)
{
	state->last_contact = GetCurrentTimestamp();
	state->contact = du_clock_us();
}

extern DesiredSource *du_source_first_open(void);
extern DesiredSource *du_source_setting_open(void);
extern DesiredSource *du_source_file_open(void);
extern DesiredSource *du_source_kubernetes_open(void);

#endif							/* DU_SOURCE_H */
