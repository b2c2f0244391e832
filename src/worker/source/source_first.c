/*-------------------------------------------------------------------------
 *
 * source_first.c
 *	  The desired version from what the worker of the first main extension has
 *	  read.
 *
 * A custom resource or a file is about the first main extension of the main
 * database, and its worker alone reads it.  What it says for the others is
 * whether the newest version is desired, and whether a hold is in force; a
 * version is one of the first.  When it is to be read again, before an attempt,
 * that worker is asked to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/source/source.h"

#include "utils/memutils.h"

#include "base/base.h"
#include "processes/processes.h"
#include "worker/net/net.h"

#define LOOK_MS 20				/* while the other worker reads */

static int64 read_asked = 0;	/* of the other worker, by du_clock_us(); 0: it
								 * was not */

/* Replaces a text of the state; true when it was another one. */
static bool
take(const char **field, const char *text)
{
	if (text == NULL ? *field == NULL : *field != NULL && strcmp(*field, text) == 0)
		return false;
	if (*field != NULL)
		pfree(unconstify(char *, *field));
	*field = text != NULL ? MemoryContextStrdup(TopMemoryContext, text) : NULL;
	return true;
}

static bool
take_health(DesiredState *state, SourceHealth health)
{
	bool		changed = state->health != health;

	state->health = health;
	return changed;
}

static bool
advance(DesiredSource *source)
{
	DesiredState *state = &source->state;
	WorkerFacts first;
	bool		serves = du_shared_first_worker(&first);
	bool		waits = state->refreshing && serves && first.source_ok && first.contact < read_asked;
	bool		changed = state->refreshing && !waits;

	state->refreshing = waits;
	if (!serves)
	{
		changed |= take_health(state, SOURCE_UNREACHABLE);
		changed |= take(&state->problem, "The worker of the first main extension, which reads it, does not run.");
		changed |= take(&state->hint, "Look at the row of the first main extension in view status.");
		return changed;
	}
	changed |= take_health(state, first.source_ok ? SOURCE_OK : SOURCE_UNREACHABLE);
	changed |= take(&state->problem, first.source_ok ? NULL : first.source_problem);
	changed |= take(&state->hint, first.source_hint[0] != '\0' ? first.source_hint : NULL);
	changed |= take(&state->location, first.location[0] != '\0' ? first.location : NULL);
	changed |= take(&state->version, first.desired_known ? du_main_desired(first.desired) : NULL);
	state->last_contact = first.last_contact;
	state->contact = first.contact;
	return changed;
}

static void
refresh(DesiredSource *source)
{
	source->state.refreshing = true;
	read_asked = du_clock_us();
	if (!du_shared_ask_first_for_read())
		read_asked = 0;
}

static void
add_waits(DesiredSource *source, WaitList *list)
{
	if (source->state.refreshing)
		du_wait_at_most(list, LOOK_MS);
}

static void
reload(DesiredSource *source)
{
	/* The next advance() sees what has become of it. */
}

static void
close_source(DesiredSource *source)
{
	(void) take(&source->state.problem, NULL);
	(void) take(&source->state.hint, NULL);
	(void) take(&source->state.location, NULL);
	(void) take(&source->state.version, NULL);
	pfree(source);
}

/*
 * A source in TopMemoryContext.
 */
DesiredSource *
du_source_first_open(void)
{
	DesiredSource *source = MemoryContextAllocZero(TopMemoryContext, sizeof(DesiredSource));

	source->name = "first";
	source->advance = advance;
	source->refresh = refresh;
	source->add_waits = add_waits;
	source->reload = reload;
	source->close = close_source;
	return source;
}
