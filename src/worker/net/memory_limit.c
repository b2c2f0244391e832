/*-------------------------------------------------------------------------
 *
 * memory_limit.c
 *	  A limit for what a foreign library allocates.
 *
 * libpq lets whoever it talks to decide how large its buffers become, and
 * offers no limit.  The operating system has one for the address space of a
 * process; it is set around calls of the library, which take an allocation
 * that fails for an error of the connection, and taken back after them, so it
 * never meets an allocation of ours.
 *
 * Where the size of a process cannot be read (it is Linux that tells it in
 * /proc) nothing is limited.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/net/internal.h"

#include <fcntl.h>
#include <unistd.h>

/*
 * What the address space of this process is when it has grown by so many
 * bytes; 0 when that cannot be told.
 */
size_t
du_memory_grown_by(size_t more)
{
	char		text[64];
	ssize_t		length;
	int			fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	return strtoul(text, NULL, 10) * (size_t) sysconf(_SC_PAGESIZE) + more;
}

/*
 * Lets the address space grow to so much, which is not less than it has; 0 is
 * no limit.  Must be undone before anything that may raise.
 */
void
du_memory_limit(MemoryLimit *limit, size_t most)
{
	struct rlimit lower;

	limit->set = false;
	if (most == 0 || getrlimit(RLIMIT_AS, &limit->before) != 0)
		return;
	lower = limit->before;
	if (lower.rlim_cur != RLIM_INFINITY && lower.rlim_cur <= most)
		return;
	lower.rlim_cur = most;
	limit->set = setrlimit(RLIMIT_AS, &lower) == 0;
}

/*
 * Undoes it.
 */
void
du_memory_unlimit(const MemoryLimit *limit)
{
	if (limit->set)
		(void) setrlimit(RLIMIT_AS, &limit->before);
}
