/*-------------------------------------------------------------------------
 *
 * loaded_version.h
 *	  The version that the library in this server's memory reports.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LOADED_VERSION_H
#define DU_LOADED_VERSION_H

#include "catalog.h"

extern char *du_loaded_version(const ExtensionFacts *main_extension);

#endif							/* DU_LOADED_VERSION_H */
