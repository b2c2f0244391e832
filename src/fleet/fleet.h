/*-------------------------------------------------------------------------
 *
 * fleet.h
 *	  The standbys, and what they report.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FLEET_H
#define DU_FLEET_H

#include "access/xlogdefs.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "extension/extension.h"
#include "plan/plan.h"
#include "processes/processes.h"

/* ----
 * instance_identity.c
 *
 * By what a server is told from the others of its fleet.
 * ----
 */

#define INCARNATION_LENGTH 17	/* 16 hexadecimal digits */

extern PGDLLEXPORT void du_identity_read(char *identity, char *incarnation);
extern PGDLLEXPORT char *du_identity_host(void);

/* ----
 * standby_reports.c
 *
 * What the standbys below this server have reported.
 * ----
 */

#define MEMBER_NAME_LENGTH 64
#define MEMBER_VERSION_LENGTH 48
#define MEMBER_PROBLEM_LENGTH 200
#define MEMBER_EXTENSIONS_LENGTH 768
#define MEMBER_FINGERPRINT_LENGTH 65

/* How a member's upstream judges its reports. */
typedef enum MemberWord
{
	MEMBER_OK,
	MEMBER_STALE,				/* the last one is too old */
	MEMBER_SILENT				/* known by a WAL sender or slot alone */
} MemberWord;

/*
 * One standby as it reports itself.  Texts are "" where nothing is known.
 */
typedef struct FleetMember
{
	char		identity[SHARED_IDENTITY_LENGTH];
	char		incarnation[INCARNATION_LENGTH];
	char		upstream[SHARED_IDENTITY_LENGTH];
	char		name[MEMBER_NAME_LENGTH];	/* application_name */
	char		host[MEMBER_NAME_LENGTH];
	char		slot[MEMBER_NAME_LENGTH];
	MemberWord	word;
	bool		designated;		/* head of a replica region */
	int			expected;		/* standbys that its region should have, -1 */
	int			timeline;
	XLogRecPtr	received;
	XLogRecPtr	replayed;
	bool		paused;			/* replay is */
	int			library;		/* a LibraryState */
	int			server;			/* server_version_num */
	char		program[MEMBER_VERSION_LENGTH]; /* version of this extension */
	char		gate[MEMBER_VERSION_LENGTH];
	char		fingerprint[MEMBER_FINGERPRINT_LENGTH];
	char		problem[MEMBER_PROBLEM_LENGTH];

	/*
	 * Name, installed, binary and loaded version and digest of each
	 * extension, each ended by a NUL; ends with an empty name.
	 */
	char		extensions[MEMBER_EXTENSIONS_LENGTH];
} FleetMember;

/* The versions of one extension there; empty texts are not known. */
typedef struct MemberExtension
{
	const char *name;
	const char *installed;
	const char *binary;
	const char *loaded;
	const char *sha256;			/* of its libraries; "" also where it has none */
} MemberExtension;

extern void du_reports_install(void);
extern PGDLLEXPORT bool du_member_add_extension(FleetMember *member, const MemberExtension *extension);
extern PGDLLEXPORT bool du_member_find_extension(const FleetMember *member, const char *name,
									 MemberExtension *extension);
extern PGDLLEXPORT const char *du_member_next_extension(const FleetMember *member, const char *position,
											MemberExtension *extension);

/* ----
 * fleet.c
 *
 * Every standby below this server, whether it has reported or not.
 * ----
 */

typedef struct FleetInstance
{
	FleetMember member;			/* with its word as this server judges it */
	int			depth;			/* 1: streams from this server */
	bool		ignored;		/* by ignore_standbys, or below one that is */
	bool		contested;
	bool		elsewhere;		/* it reports of another database than this
								 * session's: of this one it tells the binaries */
	bool		in_region;		/* not below the head of a replica region */
	bool		connected;		/* its WAL sender is here and runs; for those
								 * of depth 1 */
	Oid			vouched_by;		/* the role that reports for it although no
								 * WAL sender matched; or InvalidOid */
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

extern PGDLLEXPORT Fleet *du_fleet_gather(void);

/* ----
 * fleet_judgement.c
 *
 * Whether a standby is ready for a schema, and what keeps it from that.
 * ----
 */

/* In the order of what is said first. */
typedef enum FleetStatus
{
	FLEET_IGNORED,
	FLEET_CONTESTED,			/* two servers report as this one */
	FLEET_SILENT,
	FLEET_STALE,
	FLEET_OLD_BINARY,
	FLEET_OLD_LIBRARY,
	FLEET_BEHIND,				/* does not see the installed schema yet */
	FLEET_OLD_GATE,
	FLEET_LAGGING,
	FLEET_READY
} FleetStatus;

typedef struct FleetVerdict
{
	FleetStatus status;
	const char *problem;		/* one sentence, NULL when ready or ignored */
	const char *hint;			/* what to do about it, or NULL */
} FleetVerdict;

extern FleetVerdict du_fleet_judge(const FleetInstance *instance, const UpgradeFacts *facts,
								   const UpgradePlan *plan);
extern FleetVerdict du_fleet_judge_lag(const FleetInstance *instance);
extern const char *du_fleet_status_name(FleetStatus status);
extern List *du_fleet_missing(const Fleet *fleet);
extern const char *du_fleet_straggler(const Fleet *fleet, const UpgradeFacts *facts, bool strict);

/* ----
 * report_acceptance.c
 *
 * Takes the report of a standby: allowed, read, stored, answered.
 * ----
 */

extern char *du_report_accept(Jsonb *report);

#endif							/* DU_FLEET_H */
