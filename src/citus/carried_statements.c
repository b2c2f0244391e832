/*-------------------------------------------------------------------------
 *
 * carried_statements.c
 *	  Statements that the coordinator has carried to the nodes.
 *
 * The coordinator judges for the whole cluster.  A node knows a statement that
 * was carried to it by its session: Citus names the ones that it opens for
 * itself.  Anybody can take such a name, and gains nothing by it: what cannot
 * work on a node is refused there to everybody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "citus/internal.h"

#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/base.h"

#define PROPAGATE_SETTING "citus.propagate_set_commands"
#define CARRIED_NAME	"citus_internal gpid="

/* Of nobody's prefix, so a node takes them whatever library it has loaded. */
#define ATTEMPT_SETTING CITUS_NODE_PREFIX ".attempt"
#define REHEARSAL_SETTING CITUS_NODE_PREFIX ".rehearsal"

/*
 * True when this session is one of the coordinator's on a worker node.
 */
bool
du_citus_is_carried(void)
{
	return application_name != NULL &&
		strncmp(application_name, CARRIED_NAME, strlen(CARRIED_NAME)) == 0 &&
		du_citus_role() == CITUS_WORKER;
}

/*
 * Has Citus carry no SET LOCAL and no RESET in the innermost execution context:
 * of one in a script it sends the text that it has, which is the whole script's.
 */
void
du_citus_keep_settings_here(void)
{
	if (GetConfigOption(PROPAGATE_SETTING, true, false) != NULL)
		du_context_set(PROPAGATE_SETTING, "none");
}

/*
 * Gives a setting a value here and on each node until the end of the
 * subtransaction: Citus carries a SET LOCAL too, while it is asked to.  SPI must
 * be connected.
 */
static void
set_everywhere(const char *name, const char *value)
{
	if (GetConfigOption(PROPAGATE_SETTING, true, false) == NULL)
		return;
	du_context_set(PROPAGATE_SETTING, "local");
	du_execute(psprintf("SET LOCAL %s = %s", name, quote_literal_cstr(value)));
	du_citus_keep_settings_here();
}

/*
 * Tells the nodes that what follows is an attempt of ours, and within which limits:
 * the sum of its waits for locks, and its duration.
 */
void
du_citus_announce_attempt(int lock_wait_ms, int duration_ms)
{
	set_everywhere("lock_timeout", psprintf("%d", lock_wait_ms));
	set_everywhere(ATTEMPT_SETTING, psprintf("%d %d", lock_wait_ms, duration_ms));
}

/*
 * Tells the nodes that what follows is a rehearsal, and which one.
 */
void
du_citus_announce_rehearsal(const char *rehearsal)
{
	set_everywhere(REHEARSAL_SETTING, rehearsal);
}

/* What the coordinator has told this session of the kind, NULL: nothing. */
static const char *
announced(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value != NULL && value[0] != '\0' && du_citus_is_carried() ? value : NULL;
}

/*
 * True when this session takes part in an attempt of the coordinator's, or in a
 * rehearsal of one; gives its limits.
 */
bool
du_citus_attempt(int *lock_wait_ms, int *duration_ms)
{
	const char *limits = announced(ATTEMPT_SETTING);

	return limits != NULL && sscanf(limits, "%9d %9d", lock_wait_ms, duration_ms) == 2 &&
		*lock_wait_ms > 0 && *duration_ms > 0;
}

/*
 * The rehearsal of the coordinator that this session takes part in, NULL when
 * it is none.
 */
const char *
du_citus_rehearsal(void)
{
	return announced(REHEARSAL_SETTING);
}

/* The host and port that follow a phrase, palloc'd, or NULL. */
static char *
node_after(const char *text, const char *phrase)
{
	const char *hit = text != NULL ? strstr(text, phrase) : NULL;
	const char *start;
	const char *at;
	size_t		length;

	if (hit == NULL)
		return NULL;
	start = hit + strlen(phrase);
	length = strcspn(start, " \n");
	at = memchr(start, '@', length);
	if (at != NULL)
	{
		length -= at + 1 - start;
		start = at + 1;
	}
	return memchr(start, ':', length) != NULL ? pnstrdup(start, length) : NULL;
}

/*
 * The node that an error comes from, as Citus words it, palloc'd; NULL when it
 * is this server's own.
 */
const char *
du_citus_node_of_error(const ErrorData *edata)
{
	static const char *const phrases[] = {"while executing command on ", "connection to the remote node "};

	if (du_citus_role() != CITUS_COORDINATOR)
		return NULL;
	for (int i = 0; i < (int) lengthof(phrases); i++)
	{
		const char *node = node_after(edata->context, phrases[i]);

		if (node == NULL)
			node = node_after(edata->message, phrases[i]);
		if (node != NULL)
			return node;
	}
	return NULL;
}
