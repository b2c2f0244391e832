/*-------------------------------------------------------------------------
 *
 * sql_reports.h
 *	  Arguments that SQL functions have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SQL_REPORTS_H
#define DU_SQL_REPORTS_H

#include "fmgr.h"

extern char *du_target_argument(FunctionCallInfo fcinfo, int n);

#endif							/* DU_SQL_REPORTS_H */
