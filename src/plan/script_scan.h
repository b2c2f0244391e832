/*-------------------------------------------------------------------------
 *
 * script_scan.h
 *	  What an update script says it does.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SCRIPT_SCAN_H
#define DU_SCRIPT_SCAN_H

#include "plan/update_script.h"

extern void du_script_scan(UpdateScript *script);

#endif							/* DU_SCRIPT_SCAN_H */
