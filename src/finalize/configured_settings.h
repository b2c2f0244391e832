/*-------------------------------------------------------------------------
 *
 * configured_settings.h
 *	  What the configuration says of settings that a role has its own of.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CONFIGURED_SETTINGS_H
#define DU_CONFIGURED_SETTINGS_H

#include "nodes/pg_list.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

typedef struct ConfiguredSettings
{
	ConfigVariable *files;		/* later ones win */
	List	   *database;		/* of ConfiguredSetting, later ones win */
} ConfiguredSettings;

extern ConfiguredSettings *du_configured_read(void);
extern const char *du_configured_value(const ConfiguredSettings *settings,
									   const char *name);
extern const char *du_configured_builtin(const struct config_generic *variable);

#endif							/* DU_CONFIGURED_SETTINGS_H */
