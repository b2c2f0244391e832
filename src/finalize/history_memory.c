/*-------------------------------------------------------------------------
 *
 * history_memory.c
 *	  What history remembers of earlier attempts.
 *
 * The worker keeps no state of its own on disk: a failure that must not be
 * repeated for ever is in history, where people see it too.  So a worker
 * that has just started, or a single pass by tick(), knows what has failed,
 * and retry() is a mark on those rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/base.h"

/*
 * What a function says of the newest row about a main extension, or of the
 * newest of those that name a restore point; otherwise when there is none.
 */
static bool
ask_newest(const char *extension, bool has_restore_point,
		   bool (*ask) (const TableScan *history, const void *arg), const void *arg, bool otherwise)
{
	TableScan	history;
	bool		answer = otherwise;

	du_scan_begin_newest(&history, "documentdb_upgrade", "history");
	while (du_scan_next(&history))
	{
		if (!du_scan_has_text(&history, "extension", extension) ||
			(has_restore_point && du_scan_text(&history, "restore_point") == NULL))
			continue;
		answer = ask(&history, arg);
		break;
	}
	du_scan_end(&history, NoLock);
	return answer;
}

static bool
has_succeeded(const TableScan *history, const void *arg)
{
	return du_scan_has_text(history, "outcome", "succeeded");
}

/* True for an attempt from the same state that has not got through. */
static bool
is_repeated(const TableScan *history, const void *arg)
{
	const AttemptRecord *record = arg;
	bool		no_timeline;
	bool		no_dismissal;
	Datum		timeline = du_scan_value(history, "restore_timeline", &no_timeline);

	(void) du_scan_value(history, "dismissed_at", &no_dismissal);
	return no_dismissal && !no_timeline && DatumGetInt64(timeline) == (int64) record->restore_timeline &&
		du_scan_has_text(history, "fingerprint", record->fingerprint) &&
		du_scan_has_text(history, "restore_point", record->restore_point) && !has_succeeded(history, NULL);
}

/*
 * True when the newest restore point of the extension has this name and was
 * written by an attempt at the same from the same state, which did not get
 * through: the record tells extension, fingerprint and timeline.
 */
bool
du_history_has_restore_point(const AttemptRecord *record, const char *name)
{
	AttemptRecord named = *record;

	named.restore_point = name;
	return ask_newest(record->extension, true, is_repeated, &named, false);
}

#define SINCE_SUCCESS \
	" h.extension = $1 AND h.id > coalesce((SELECT pg_catalog.max(s.id)" \
	"   FROM documentdb_upgrade.history s" \
	"   WHERE s.extension = $1 AND s.outcome = 'succeeded'), 0)"

/*
 * Fills memory for a main extension; texts are palloc'd.  SPI must be
 * connected.
 */
void
du_history_recall_failures(const char *extension, FailureMemory *memory)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	bool		isnull;

	memset(memory, 0, sizeof(FailureMemory));
	if (ask_newest(extension, false, has_succeeded, NULL, true))
		return;
	values[0] = CStringGetTextDatum(extension);
	du_query("SELECT coalesce(pg_catalog.sum(1 + h.repeats), 0)::pg_catalog.int8,"
			 " (pg_catalog.array_agg(h.message ORDER BY h.id DESC) FILTER (WHERE h.outcome = 'failed'))[1]"
			 " FROM documentdb_upgrade.history h WHERE h.outcome <> 'succeeded' AND" SINCE_SUCCESS,
			 1, types, values);
	memory->attempts = du_query_int(0, 1);
	memory->last_error = du_query_text(0, 2);
	SPI_freetuptable(SPI_tuptable);
	if (memory->attempts == 0)
		return;

	if (du_query("SELECT h.message, h.cause, h.to_version, h.fingerprint,"
				 " (1 + h.repeats)::pg_catalog.int8, coalesce(h.last_repeated_at, h.finished_at)"
				 " FROM documentdb_upgrade.history h"
				 " WHERE (h.outcome = 'failed' OR h.cause = 'cancel') AND h.cause IS DISTINCT FROM 'hold'"
				 " AND h.actor IN ('worker', 'tick') AND h.dismissed_at IS NULL AND" SINCE_SUCCESS
				 " ORDER BY h.id DESC LIMIT 1",
				 1, types, values) > 0)
	{
		memory->message = du_query_text(0, 1);
		memory->cause = du_history_cause(du_query_text(0, 2));
		memory->target = du_query_text(0, 3);
		memory->fingerprint = du_query_text(0, 4);
		memory->count = du_query_int(0, 5);
		memory->at = DatumGetTimestampTz(du_query_datum(0, 6, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * True when a library has ever refused an attempt at this main extension that
 * did not begin with the update.  SPI must be connected.
 */
bool
du_history_library_refuses(const char *extension)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	bool		found;

	values[0] = CStringGetTextDatum(extension);
	found = du_query("SELECT FROM documentdb_upgrade.history h"
					 " WHERE h.extension = $1 AND h.cause = 'library' LIMIT 1",
					 1, types, values) > 0;
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/*
 * Marks the failures of a main extension as dismissed by retry(); true when
 * there were any.  SPI must be connected.
 */
bool
du_history_dismiss_failures(const char *extension)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];

	values[0] = CStringGetTextDatum(extension);
	return du_query("UPDATE documentdb_upgrade.history h"
					" SET dismissed_at = pg_catalog.clock_timestamp()"
					" WHERE h.outcome <> 'succeeded' AND h.dismissed_at IS NULL AND" SINCE_SUCCESS,
					1, types, values) > 0;
}
