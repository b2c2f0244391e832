/*-------------------------------------------------------------------------
 *
 * standby_reports.h
 *	  What the standbys below this server have reported.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_STANDBY_REPORTS_H
#define DU_STANDBY_REPORTS_H

#include "access/xlogdefs.h"

#include "fleet/instance_identity.h"

#define FLEET_MEMBERS 512		/* in all; more are refused */
#define FLEET_DEPTH 64			/* levels of cascades; nobody has more */
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

/* A member with what this server knows of its report. */
typedef struct FleetEntry
{
	FleetMember member;
	int			branch;			/* index of the entry of its direct standby */
	int64		lag_ms;			/* when the report arrived */

	/* Of direct standbys, for all of their branch. */
	pid_t		sender;			/* the WAL sender that it reports for */
	TimestampTz received_at;
	bool		contested;		/* two servers report under this identity */
} FleetEntry;

typedef enum StoreOutcome
{
	STORE_SAME,					/* nothing but positions is new */
	STORE_CHANGED,
	STORE_FULL					/* nothing was stored */
} StoreOutcome;

extern void du_reports_install(void);
extern StoreOutcome du_reports_store(const FleetMember *members, const int64 *lags,
									 int nmembers, const pid_t *senders, int nsenders);
extern int	du_reports_list(FleetEntry **entries);
extern void du_reports_forget(const char *identity);
extern bool du_member_add_extension(FleetMember *member, const MemberExtension *extension);
extern bool du_member_find_extension(const FleetMember *member, const char *name,
									 MemberExtension *extension);
extern const char *du_member_next_extension(const FleetMember *member, const char *position,
											MemberExtension *extension);

#endif							/* DU_STANDBY_REPORTS_H */
