/*-------------------------------------------------------------------------
 *
 * outside_answers.c
 *	  What a worker has found out about things that a database cannot see.
 *
 * The health reports have checks for people, of things that lie outside of the
 * server.  Where a worker may look at one, its answer lies here, with the time;
 * or the reason why there is none.  The texts come from elsewhere, and every
 * database of the server reads them, whatever its encoding: they are ASCII.
 * Nothing survives a restart of the server, and nothing has to: it is found
 * out again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "utils/timestamp.h"

#include "base/base.h"

static OutsideAnswer *answers = NULL;

static void
start_memory(void *memory, LWLockPadded *locks, bool is_new)
{
	answers = memory;
}

/*
 * Asks for the memory; to be called while libraries are preloaded.
 */
void
du_outside_install(void)
{
	static const SharedPart part = {"documentdb_upgrade outside answers",
	OUTSIDE_ANSWERS * sizeof(OutsideAnswer), 0, start_memory};

	du_shared_memory_add(&part);
}

/*
 * The answer of a check, made if there is none yet; NULL when there is no room.
 * The lock must be held.
 */
static OutsideAnswer *
find(const char *check_name)
{
	for (int i = 0; i < OUTSIDE_ANSWERS; i++)
	{
		OutsideAnswer *answer = &answers[i];

		if (answer->check_name[0] == '\0')
			strlcpy(answer->check_name, check_name, sizeof(answer->check_name));
		if (strcmp(answer->check_name, check_name) == 0)
			return answer;
	}
	return NULL;
}

/* Copies what can be shown everywhere; what is cut ends with dots. */
static void
copy_text(char *field, const char *text)
{
	int			length = 0;

	for (; length < OUTSIDE_TEXT_LENGTH - 1 && text[length] != '\0'; length++)
		field[length] = text[length] >= ' ' && text[length] <= '~' ? text[length] : '?';
	field[length] = '\0';
	if (text[length] != '\0')
		strcpy(field + length - 3, "...");
}

/*
 * A check was answered: "pass", "warn" or "fail", and what was seen.
 */
void
du_outside_answer(const char *check_name, const char *status, const char *detail)
{
	OutsideAnswer *answer;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	answer = find(check_name);
	if (answer != NULL)
	{
		strlcpy(answer->status, status, sizeof(answer->status));
		copy_text(answer->detail, detail);
		answer->answered_at = GetCurrentTimestamp();
		answer->answered = du_clock_ms();
		answer->problem[0] = '\0';
	}
	LWLockRelease(du_shared_lock());
}

/*
 * A check was not answered, for a reason that is a sentence.  The last answer
 * stays where that may pass by itself.
 */
void
du_outside_fail(const char *check_name, const char *problem, bool passes)
{
	OutsideAnswer *answer;

	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	answer = find(check_name);
	if (answer != NULL)
	{
		if (!passes)
			answer->status[0] = '\0';
		copy_text(answer->problem, problem);
	}
	LWLockRelease(du_shared_lock());
}

/*
 * Nobody looks any more.
 */
void
du_outside_clear(void)
{
	LWLockAcquire(du_shared_lock(), LW_EXCLUSIVE);
	memset(answers, 0, OUTSIDE_ANSWERS * sizeof(OutsideAnswer));
	LWLockRelease(du_shared_lock());
}

/*
 * Copies the answers, for OUTSIDE_ANSWERS of which there is room; how many there
 * are.  None without the memory.
 */
int
du_outside_list(OutsideAnswer *copies)
{
	int			n = 0;

	if (answers == NULL)
		return 0;
	LWLockAcquire(du_shared_lock(), LW_SHARED);
	while (n < OUTSIDE_ANSWERS && answers[n].check_name[0] != '\0')
	{
		copies[n] = answers[n];
		n++;
	}
	LWLockRelease(du_shared_lock());
	return n;
}
