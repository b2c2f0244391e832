/*-------------------------------------------------------------------------
 *
 * subtransaction.h
 *	  Runs a piece of work in an internal subtransaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SUBTRANSACTION_H
#define DU_SUBTRANSACTION_H

#include "utils/elog.h"

typedef enum SubtransactionEnd
{
	SUBTRANSACTION_KEEP,
	SUBTRANSACTION_ROLL_BACK
} SubtransactionEnd;

extern ErrorData *du_subtransaction_run(void (*work) (void *arg), void *arg,
										SubtransactionEnd end);

#endif							/* DU_SUBTRANSACTION_H */
