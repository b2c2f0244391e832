/*-------------------------------------------------------------------------
 *
 * failure_memory.c
 *	  What history says of the attempts since the last success.
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

#define SINCE_SUCCESS \
	" h.extension = $1 AND h.id > coalesce((SELECT pg_catalog.max(s.id)" \
	"   FROM documentdb_upgrade.history s" \
	"   WHERE s.extension = $1 AND s.outcome = 'succeeded'), 0)"

/*
 * Fills memory for a main extension; texts are palloc'd.  SPI must be
 * connected.
 */
void
du_failures_recall(const char *extension, FailureMemory *memory)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	bool		isnull;

	memset(memory, 0, sizeof(FailureMemory));
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
 * Marks the failures of a main extension as dismissed by retry(); true when
 * there were any.  SPI must be connected.
 */
bool
du_failures_dismiss(const char *extension)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];

	values[0] = CStringGetTextDatum(extension);
	return du_query("UPDATE documentdb_upgrade.history h"
					" SET dismissed_at = pg_catalog.clock_timestamp()"
					" WHERE h.outcome <> 'succeeded' AND h.dismissed_at IS NULL AND" SINCE_SUCCESS,
					1, types, values) > 0;
}
