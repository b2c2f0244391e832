/*-------------------------------------------------------------------------
 *
 * report_content.h
 *	  What status and condition of the custom resource should say.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REPORT_CONTENT_H
#define DU_REPORT_CONTENT_H

#include "worker/source/custom_resource.h"

/* What status and condition of the resource should say. */
typedef struct ReportContent
{
	const char *schema_version; /* installed, dotted; NULL: not installed */
	const char *status;			/* of the condition: "True", "False",
								 * "Unknown" */
	const char *reason;			/* CamelCase */
	const char *message;		/* sentences, the last one the next step */
} ReportContent;

typedef struct ReportWish
{
	ReportContent content;
	uint64		serial;			/* of the content; 0: there is none yet */
	MemoryContext context;		/* of the content */
} ReportWish;

extern ReportWish *du_wish_create(void);
extern void du_wish_set(ReportWish *wish, const ReportContent *content);
extern bool du_wish_wants_version(const ReportWish *wish, const CustomResource *resource);
extern bool du_wish_wants_condition(const ReportWish *wish, const CustomResource *resource);
extern char *du_wish_build_condition(const ReportWish *wish, const CustomResource *resource);

#endif							/* DU_REPORT_CONTENT_H */
