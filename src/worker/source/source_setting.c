/*-------------------------------------------------------------------------
 *
 * source_setting.c
 *	  The desired version from documentdb_upgrade.desired_schema_version.
 *
 * The setting is changed by a reload, and the worker hears of that at once;
 * there is nothing to wait for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/source/source.h"

#include "utils/memutils.h"

#include "base/base.h"
#include "worker/net/net.h"

static bool
advance(DesiredSource *source)
{
	DesiredState *state = &source->state;
	const char *desired = du_main_desired(du_guc_desired_schema_version);
	bool		changed = state->version == NULL || state->refreshing ||
	strcmp(state->version, desired) != 0;

	state->refreshing = false;
	du_source_note_contact(state);
	if (!changed)
		return false;
	state->health = SOURCE_OK;
	if (state->version != NULL)
		pfree(unconstify(char *, state->version));
	state->version = MemoryContextStrdup(TopMemoryContext, desired);
	return true;
}

static void
refresh(DesiredSource *source)
{
	source->state.refreshing = true;
}

static void
add_waits(DesiredSource *source, WaitList *list)
{
	if (source->state.refreshing)
		du_wait_at_most(list, 0);
}

static void
reload(DesiredSource *source)
{
	/* The next advance() sees it. */
}

static void
close_source(DesiredSource *source)
{
	if (source->state.version != NULL)
		pfree(unconstify(char *, source->state.version));
	pfree(source);
}

/*
 * A source in TopMemoryContext.
 */
DesiredSource *
du_source_setting_open(void)
{
	DesiredSource *source = MemoryContextAllocZero(TopMemoryContext, sizeof(DesiredSource));

	source->name = "setting";
	source->advance = advance;
	source->refresh = refresh;
	source->add_waits = add_waits;
	source->reload = reload;
	source->close = close_source;
	return source;
}
