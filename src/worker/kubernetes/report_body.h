/*-------------------------------------------------------------------------
 *
 * report_body.h
 *	  Bodies of the requests that report about a custom resource, and what
 *	  their answers say.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REPORT_BODY_H
#define DU_REPORT_BODY_H

#include "datatype/timestamp.h"

#include "worker/source/custom_resource.h"

/* As field manager, and as reporting component of Events. */
#define REPORTER_NAME "documentdb-upgrade"

/* The condition as it shall be. */
typedef struct ResourceCondition
{
	const char *status;
	const char *reason;
	const char *message;
	const char *since;			/* lastTransitionTime, RFC 3339 */
} ResourceCondition;

/* An Event about the resource. */
typedef struct ResourceEvent
{
	const char *name;
	const char *type;			/* "Normal", "Warning" */
	const char *reason;
	const char *message;
	const char *first_time;		/* RFC 3339 */
	const char *last_time;
	int			count;
} ResourceEvent;

/* Each gives back palloc'd JSON text. */
extern char *du_message_build_status(const CustomResource *resource,
									 const char *schema_version);
extern char *du_message_build_condition(const CustomResource *resource,
										const ResourceCondition *condition);
extern char *du_message_build_event(const CustomResource *resource,
									const ResourceEvent *event, const char *reporter);
extern char *du_message_build_event_time(const ResourceEvent *event);
extern char *du_message_build_event_count(int count, const char *resource_version);

extern char *du_message_format_time(TimestampTz time);

extern bool du_message_shows_condition(const char *json, size_t length,
									   const char *manager, int others);
extern int	du_message_parse_count(const char *json, size_t length,
								   const char **resource_version);

#endif							/* DU_REPORT_BODY_H */
