/*-------------------------------------------------------------------------
 *
 * worker_settings.c
 *	  Has the worker's process go by what ALTER DATABASE and ALTER ROLE have set.
 *
 * Such settings are read when a process connects, so a change means to connect
 * anew.  What a process has read cannot be asked for afterwards: a change
 * that is committed between its connection and its first look at the catalogue
 * is one that it does not know of.  So a look is compared with that of the process
 * before it, which was made before this one connected; the first process of a
 * database compares with what is in effect in it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/loop/internal.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/guc_tables.h"

#include "base/base.h"
#include "processes/processes.h"

/*
 * What is stored for this process, as "name=value"; of a name that is there more than
 * once the first counts.
 */
static List *
settings_for_us(void)
{
	List	   *settings = du_stored_settings(MyDatabaseId, GetUserId());

	settings = list_concat(settings, du_stored_settings(InvalidOid, GetUserId()));
	settings = list_concat(settings, du_stored_settings(MyDatabaseId, InvalidOid));
	return list_concat(settings, du_stored_settings(InvalidOid, InvalidOid));
}

static char *
digest_of(const List *settings)
{
	StringInfoData buf;
	const ListCell *lc;

	initStringInfo(&buf);
	foreach(lc, settings)
		appendBinaryStringInfo(&buf, lfirst(lc), strlen(lfirst(lc)) + 1);
	return du_digest_bytes(buf.data, buf.len);
}

/* The value that counts of those stored for a name, NULL: none is. */
static const char *
stored_value(const List *settings, const char *name)
{
	const ListCell *lc;

	foreach(lc, settings)
	{
		const char *equals = strchr(lfirst(lc), '=');

		if (equals != NULL && strlen(name) == equals - (const char *) lfirst(lc) &&
			pg_strncasecmp(name, lfirst(lc), strlen(name)) == 0)
			return equals + 1;
	}
	return NULL;
}

/*
 * True when what is stored is in effect, and nothing that is not.  False also
 * where the server writes a value in another way than it is stored ("1min"),
 * or refuses it.
 */
static bool
are_in_effect(const List *settings)
{
	int			nvariables;
	struct config_generic **variables = du_guc_variables(&nvariables);
	const ListCell *lc;

	for (int i = 0; i < nvariables; i++)
	{
		if (variables[i]->source >= PGC_S_GLOBAL && variables[i]->source <= PGC_S_DATABASE_USER &&
			stored_value(settings, variables[i]->name) == NULL)
			return false;
	}
	foreach(lc, settings)
	{
		char	   *name = pstrdup(lfirst(lc));
		const char *value;

		name[strcspn(name, "=")] = '\0';
		value = GetConfigOption(name, true, false);
		if (value == NULL || strcmp(value, stored_value(settings, name)) != 0)
			return false;
	}
	return true;
}

/*
 * Ends the process, to be started anew, when it may have read other settings
 * than are stored now.
 */
void
du_worker_follow_settings(void)
{
	const List *settings = settings_for_us();

	if (du_shared_settings_known(digest_of(settings), are_in_effect(settings)))
		return;
	du_shared_want_restart();
	proc_exit(0);
}
