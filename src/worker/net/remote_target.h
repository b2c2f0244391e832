/*-------------------------------------------------------------------------
 *
 * remote_target.h
 *	  Another server, as a connection string names it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REMOTE_TARGET_H
#define DU_REMOTE_TARGET_H

#include "parity/remote_api.h"

struct RemoteTarget
{
	const char **keywords;		/* for libpq; both end with NULL */
	const char **values;
	long		timeout_ms;		/* for connecting; 0: no limit */
	bool		password_required;
	const PinnedSetting *settings;
};

extern RemoteTarget *du_remote_target_parse(const RemoteRequest *request,
											StatementOutcome *problem);

#endif							/* DU_REMOTE_TARGET_H */
