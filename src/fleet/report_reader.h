/*-------------------------------------------------------------------------
 *
 * report_reader.h
 *	  Reads the report of a standby, which may be anything.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REPORT_READER_H
#define DU_REPORT_READER_H

#include "utils/jsonb.h"

#include "fleet/standby_reports.h"

extern int	du_report_read(Jsonb *report, const char *own_identity, FleetMember **members);

#endif							/* DU_REPORT_READER_H */
