/*-------------------------------------------------------------------------
 *
 * build_id.h
 *	  Build-ids of libraries in memory and on disk.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_BUILD_ID_H
#define DU_BUILD_ID_H

#define DU_BUILD_ID_LENGTH 128	/* hexadecimal digits; what is longer is cut */

typedef struct BuildId
{
	char		hex[DU_BUILD_ID_LENGTH + 1];	/* "" when there is none */
} BuildId;

/* Called for an object in memory; must not raise. */
typedef void (*MappedVisitor) (const char *path, void *arg);

extern void du_build_id_visit(MappedVisitor visitor, void *arg);
extern bool du_build_id_mapped(const char *path, BuildId *id);
extern bool du_build_id_file(const char *path, BuildId *id);

#endif							/* DU_BUILD_ID_H */
