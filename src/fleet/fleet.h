/*-------------------------------------------------------------------------
 *
 * fleet.h
 *	  Every standby below this server, whether it has reported or not.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FLEET_H
#define DU_FLEET_H

#include "nodes/pg_list.h"

#include "fleet/standby_reports.h"

typedef struct FleetInstance
{
	FleetMember member;			/* with its word as this server judges it */
	int			depth;			/* 1: streams from this server */
	bool		ignored;		/* by ignore_standbys, or below one that is */
	bool		contested;
	bool		in_region;		/* not below the head of a replica region */
	bool		connected;		/* its WAL sender is here and runs; for those
								 * of depth 1 */
	int64		lag_ms;			/* -1: not known */
	TimestampTz reported_at;	/* 0: never */
} FleetInstance;

typedef struct Fleet
{
	bool		known;			/* reports can arrive: this library is
								 * preloaded */
	List	   *instances;		/* of FleetInstance */
	int			expected;		/* standbys that this region should have, -1 */
	const char *missing_synchronous;	/* why commits may be nowhere else, or
										 * NULL */
} Fleet;

extern Fleet *du_fleet_gather(void);

#endif							/* DU_FLEET_H */
