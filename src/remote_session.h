/*-------------------------------------------------------------------------
 *
 * remote_session.h
 *	  A lasting session on another server, for whoever waits for it.
 *
 * What it offers is in remote_api.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REMOTE_SESSION_H
#define DU_REMOTE_SESSION_H

#include "remote_api.h"

#endif							/* DU_REMOTE_SESSION_H */
