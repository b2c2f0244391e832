/*-------------------------------------------------------------------------
 *
 * loaded_version.h
 *	  The version that the library in this server's memory reports.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LOADED_VERSION_H
#define DU_LOADED_VERSION_H

#include "extension/managed_set.h"

extern Oid	du_loaded_version_function(const ExtensionFacts *main_extension);
extern char *du_loaded_version_ask(const ExtensionFacts *main_extension, Oid function,
								   ErrorData **problem);
extern char *du_loaded_version(const ExtensionFacts *main_extension);

#endif							/* DU_LOADED_VERSION_H */
