/*-------------------------------------------------------------------------
 *
 * extension_members.h
 *	  What belongs to an extension: libraries, tables, schemas.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_EXTENSION_MEMBERS_H
#define DU_EXTENSION_MEMBERS_H

#include "extension/managed_set.h"

extern char *du_members_library_of(Oid function);
extern List *du_members_library_names(const ExtensionFacts *extension);
extern List *du_members_libraries(const ExtensionFacts *extension);
extern List *du_members_tables(Oid extension);
extern void du_members_invalidate_tables(Oid extension);
extern List *du_members_schemas_without_usage(const ExtensionFacts *extension, Oid role);

#endif							/* DU_EXTENSION_MEMBERS_H */
