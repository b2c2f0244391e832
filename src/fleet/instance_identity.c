/*-------------------------------------------------------------------------
 *
 * instance_identity.c
 *	  By what a server is told from the others of its fleet.
 *
 * Instances of a fleet share system identifier, cluster name and often even
 * host name and application_name; what they do not share is the data
 * directory.  Its identity is a random number in a file that base backups and
 * pg_rewind leave behind, because it lies in pg_stat_tmp.  Copies made in other
 * ways (of files, of volumes) are told by the file itself: it names the host
 * and its own inode, and is made anew when they are others.
 *
 * The incarnation is a random number per start of the server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fleet/internal.h"

#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"

#include "processes/processes.h"

#define IDENTITY_FILE "pg_stat_tmp/documentdb_upgrade.instance"
#define HOST_LENGTH 64

/* What lies in shared memory. */
typedef struct Identity
{
	char		identity[SHARED_IDENTITY_LENGTH];
	char		incarnation[INCARNATION_LENGTH];
} Identity;

/*
 * The name of this host, palloc'd, cut where it is very long.
 */
char *
du_identity_host(void)
{
	char		host[HOST_LENGTH];

	if (gethostname(host, sizeof(host)) != 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	return pstrdup(host);
}

/* size - 1 random hexadecimal digits; false when there is no randomness. */
static bool
make_random(char *digits, int size)
{
	uint8		bytes[SHARED_IDENTITY_LENGTH / 2];
	int			n = (size - 1) / 2;

	if (!pg_strong_random(bytes, n))
		return false;
	for (int i = 0; i < n; i++)
		snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
	return true;
}

/*
 * Reads the identity from the file; false when there is none or it was made
 * for another host or file.
 */
static bool
read_file(char *identity)
{
	char		line[256];
	char		host[HOST_LENGTH + 1];
	unsigned long long inode;
	struct stat st;
	FILE	   *file = AllocateFile(IDENTITY_FILE, "r");
	bool		read;

	if (file == NULL)
		return false;
	read = fgets(line, sizeof(line), file) != NULL &&
		fstat(fileno(file), &st) == 0;
	FreeFile(file);
	return read &&
		sscanf(line, "%32[0-9a-f] %llu %64s", identity, &inode, host) == 3 &&
		strlen(identity) == SHARED_IDENTITY_LENGTH - 1 &&
		inode == (unsigned long long) st.st_ino &&
		strcmp(host, du_identity_host()) == 0;
}

/*
 * Writes the file.  What goes wrong costs no more than another identity after
 * the next start.
 */
static void
write_file(const char *identity)
{
	struct stat st;
	FILE	   *file = AllocateFile(IDENTITY_FILE, "w");
	bool		written;

	if (file != NULL)
	{
		written = fstat(fileno(file), &st) == 0 &&
			fprintf(file, "%s %llu %s\n", identity, (unsigned long long) st.st_ino,
					du_identity_host()) > 0;
		if (FreeFile(file) == 0 && written)
			return;
	}
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("could not write file \"%s\": %m", IDENTITY_FILE)));
}

/*
 * Finds out identity and incarnation once after each start of the server.
 */
static void
establish(Identity *shared)
{
	if (!read_file(shared->identity))
	{
		if (!make_random(shared->identity, sizeof(shared->identity)))
			shared->identity[0] = '\0';
		else
			write_file(shared->identity);
	}
	if (!make_random(shared->incarnation, sizeof(shared->incarnation)))
		shared->incarnation[0] = '\0';
}

/*
 * Copies both, SHARED_IDENTITY_LENGTH and INCARNATION_LENGTH bytes; either may
 * be NULL.  They are "" in a server without shared memory of ours.
 */
void
du_identity_read(char *identity, char *incarnation)
{
	Identity	found = {0};

	if (du_shared_exists())
	{
		Identity   *shared = du_shared_room(ROOM_IDENTITY);

		LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
		if (shared->incarnation[0] == '\0')
			establish(shared);
		found = *shared;
		LWLockRelease(du_shared_lock());
	}
	if (identity != NULL)
		strlcpy(identity, found.identity, SHARED_IDENTITY_LENGTH);
	if (incarnation != NULL)
		strlcpy(incarnation, found.incarnation, INCARNATION_LENGTH);
}
