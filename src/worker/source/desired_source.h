/*-------------------------------------------------------------------------
 *
 * desired_source.h
 *	  Where the desired schema version comes from: what the worker's loop
 *	  knows of a source.
 *
 * Each source is one file that fills a DesiredSource.  A source never waits
 * and never raises for expected trouble: what goes wrong is in its state.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_DESIRED_SOURCE_H
#define DU_DESIRED_SOURCE_H

#include "datatype/timestamp.h"

#include "worker/source/custom_resource.h"
#include "worker/net/wait_list.h"

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
	TimestampTz last_contact;	/* when the source answered last, 0: never */
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

extern DesiredSource *du_source_setting_open(void);
extern DesiredSource *du_source_file_open(void);
extern DesiredSource *du_source_kubernetes_open(void);

#endif							/* DU_DESIRED_SOURCE_H */
