/*-------------------------------------------------------------------------
 *
 * rehearsal_report.c
 *	  What a rehearsal has found, as JSON.
 *
 * Long lists of locked relations are cut, with a count of what was left out;
 * changes are never cut.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "storage/lock.h"

#include "base/base.h"
#include "guards/guards.h"
#include "plan/plan.h"

#define MOST_RELATIONS	200		/* that are named per step */

static const char *
mode_name(LOCKMODE mode)
{
	return GetLockmodeName(DEFAULT_LOCKMETHOD, mode);
}

/* How many relations are locked in each mode, and which. */
static void
write_locks(StringInfo buf, const List *locked)
{
	int			counts[MaxLockMode + 1] = {0};
	int			named = 0;
	const ListCell *lc;

	foreach(lc, locked)
		counts[((const LockedRelation *) lfirst(lc))->mode]++;
	du_write_open(buf, "locks", '{');
	for (LOCKMODE mode = MaxLockMode; mode > NoLock; mode--)
	{
		if (counts[mode] > 0)
			du_write_int(buf, mode_name(mode), counts[mode]);
	}
	du_write_close(buf, '}');

	du_write_open(buf, "relations", '[');
	foreach(lc, locked)
	{
		const LockedRelation *relation = lfirst(lc);

		if (++named > MOST_RELATIONS)
			break;
		du_write_open(buf, NULL, '{');
		du_write_text(buf, "relation", relation->name);
		du_write_text(buf, "mode", mode_name(relation->mode));
		if (relation->is_table)
			du_write_int(buf, "bytes", relation->bytes);
		du_write_close(buf, '}');
	}
	du_write_close(buf, ']');
	if (named > MOST_RELATIONS)
		du_write_int(buf, "relations_not_named", list_length(locked) - MOST_RELATIONS);
}

static void
write_change(StringInfo buf, const CatalogChange *change)
{
	du_write_open(buf, NULL, '{');
	du_write_text(buf, "kind", change->kind);
	du_write_text(buf, "identity", change->identity);
	if (change->action == CHANGE_CHANGED)
	{
		du_write_texts(buf, "what", du_change_words(change));
		if (change->details != NIL)
			du_write_texts(buf, "details", change->details);
		if (change->lost != NIL)
			du_write_texts(buf, "lost", change->lost);
	}
	if (change->granted != NIL)
		du_write_texts(buf, "granted", change->granted);
	if (change->revoked != NIL)
		du_write_texts(buf, "revoked", change->revoked);
	du_write_close(buf, '}');
}

static void
write_changes(StringInfo buf, const List *changes)
{
	for (ChangeAction action = CHANGE_ADDED; action <= CHANGE_CHANGED; action++)
	{
		const ListCell *lc;

		du_write_open(buf, du_changes_action_name(action), '[');
		foreach(lc, changes)
		{
			const CatalogChange *change = lfirst(lc);

			if (change->action == action)
				write_change(buf, change);
		}
		du_write_close(buf, ']');
	}
}

static void
write_rows(StringInfo buf, const List *tables)
{
	const ListCell *lc;

	du_write_open(buf, "rows", '[');
	foreach(lc, tables)
	{
		const TableRows *rows = lfirst(lc);

		du_write_open(buf, NULL, '{');
		du_write_text(buf, "table", rows->table);
		du_write_int(buf, "inserted", rows->inserted);
		du_write_int(buf, "updated", rows->updated);
		du_write_int(buf, "deleted", rows->deleted);
		du_write_close(buf, '}');
	}
	du_write_close(buf, ']');
}

/*
 * Adds the object of one step; without effects, one that did not run to its
 * end.
 */
void
du_rehearsal_write_step(StringInfo buf, const char *extension, const PlanStep *step,
					 double ms, const StepEffects *effects, const StepRisk *risk)
{
	du_write_open(buf, NULL, '{');
	du_write_text(buf, "extension", extension);
	du_write_text(buf, "from", step->from);
	du_write_text(buf, "to", step->to);
	if (step->script != NULL)
	{
		du_write_text(buf, "script", step->script->path);
		du_write_text(buf, "sha256", step->script->sha256);
	}
	du_write_text(buf, "risk", risk->name);
	du_write_text(buf, "risk_reason", risk->reason);
	if (effects != NULL)
	{
		du_write_number(buf, "ms", ms);
		du_write_int(buf, "wal_bytes", effects->wal_bytes);
		du_write_int(buf, "lock_entries", effects->lock_entries);
		write_locks(buf, effects->locked);
		write_changes(buf, effects->changes);
		write_rows(buf, effects->rows);
		du_write_texts(buf, "warnings", effects->warnings);
	}
	du_write_close(buf, '}');
}

/*
 * Adds key "guards": those that do not pass, other than the one that asks for
 * this rehearsal.
 */
void
du_rehearsal_write_guards(StringInfo buf, const GuardResults *guards)
{
	du_write_open(buf, "guards", '[');
	for (int i = 0; guards != NULL && i < guards->nresults; i++)
	{
		const GuardResult *result = &guards->results[i];

		if ((result->status != GUARD_FAIL && result->status != GUARD_WARN) ||
			strcmp(result->guard, "rehearsed") == 0)
			continue;
		du_write_open(buf, NULL, '{');
		du_write_text(buf, "guard", result->guard);
		du_write_text(buf, "status", du_guards_status_name(result->status));
		du_write_text(buf, "detail", result->detail);
		du_write_close(buf, '}');
	}
	du_write_close(buf, ']');
}

/*
 * Adds key "sequences": those that do not stand where they stood.  A sequence
 * stays locked by whom it has served until the end of the transaction, so
 * those that others have advanced meanwhile can be told apart.
 */
void
du_rehearsal_write_sequences(StringInfo buf, List *before, List *after)
{
	const HeldLocks *held = du_held_locks();
	ListCell   *lb = list_head(before);
	ListCell   *la;

	du_write_open(buf, "sequences", '[');
	foreach(la, after)
	{
		const SequenceValue *now = lfirst(la);
		const SequenceValue *then;

		/* Both are ordered by OID. */
		while (lb != NULL && ((const SequenceValue *) lfirst(lb))->sequence < now->sequence)
			lb = lnext(before, lb);
		then = lb != NULL ? lfirst(lb) : NULL;
		if (then == NULL || then->sequence != now->sequence ||
			(then->last_value == now->last_value && then->is_called == now->is_called) ||
			!du_held_locks_include(held, now->sequence))
			continue;
		du_write_open(buf, NULL, '{');
		du_write_text(buf, "sequence", now->name);
		du_write_int(buf, "from", then->last_value);
		du_write_int(buf, "to", now->last_value);
		du_write_close(buf, '}');
	}
	du_write_close(buf, ']');
}
