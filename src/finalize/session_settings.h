/*-------------------------------------------------------------------------
 *
 * session_settings.h
 *	  Settings of the caller that must not reach an update script.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SESSION_SETTINGS_H
#define DU_SESSION_SETTINGS_H

#include "extension/managed_set.h"
#include "finalize/step_trace.h"

extern const SettingsKeeper du_settings_keeper;

extern void du_settings_pin(const UpgradeFacts *facts);

#endif							/* DU_SESSION_SETTINGS_H */
