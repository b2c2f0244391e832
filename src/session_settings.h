/*-------------------------------------------------------------------------
 *
 * session_settings.h
 *	  Settings of the caller that must not reach an update script.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SESSION_SETTINGS_H
#define DU_SESSION_SETTINGS_H

#include "catalog.h"

extern void du_settings_pin(const UpgradeFacts *facts);
extern void du_settings_pin_again(void);

#endif							/* DU_SESSION_SETTINGS_H */
