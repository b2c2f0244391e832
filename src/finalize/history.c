/*-------------------------------------------------------------------------
 *
 * history.c
 *	  The audit record of one attempt.
 *
 * A record travels as one JSON object whose keys are the columns of the
 * history table, and those of binaries_seen where a binary was seen first:
 * the same form goes into the table with the upgrade, into the recorder
 * process when an attempt failed, and into the server log when nothing else
 * is possible.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "plan/plan.h"

#define RECORD_COLUMNS \
	"extension, from_version, to_version, extensions, outcome, actor, role_name, client," \
	" started_at, finished_at, skipped_guards, refused_by, fingerprint," \
	" restore_point, restore_lsn, restore_timeline, steps, sqlstate," \
	" message, detail, hint, context, script, script_line," \
	" resource_uid, resource_generation, cause"

/* As column cause has them. */
static const char *const cause_names[] = {
	[CAUSE_NONE] = NULL,
	[CAUSE_GUARD] = "guard",
	[CAUSE_LOCK] = "lock",
	[CAUSE_RACE] = "race",
	[CAUSE_END] = "end",
	[CAUSE_HOLD] = "hold",
	[CAUSE_CANCEL] = "cancel",
	[CAUSE_LIMIT] = "limit",
	[CAUSE_SCRIPT] = "script",
	[CAUSE_CHECK] = "check",
	[CAUSE_SERVER] = "server",
	[CAUSE_LIBRARY] = "library",
	[CAUSE_NODE] = "node"
};

/*
 * The cause of that name, CAUSE_NONE for NULL.
 */
FailureCause
du_history_cause(const char *name)
{
	for (int cause = CAUSE_NONE + 1; name != NULL && cause < (int) lengthof(cause_names); cause++)
	{
		if (strcmp(cause_names[cause], name) == 0)
			return (FailureCause) cause;
	}
	return CAUSE_NONE;
}

/*
 * True for what may pass by itself, so that another attempt makes sense.  All
 * else is final until an input changes, or somebody says retry().
 */
bool
du_history_heals(FailureCause cause)
{
	switch (cause)
	{
		case CAUSE_NONE:
		case CAUSE_GUARD:
		case CAUSE_LOCK:
		case CAUSE_RACE:
		case CAUSE_END:
		case CAUSE_HOLD:
		case CAUSE_NODE:
		case CAUSE_LIBRARY:		/* another form of attempt may do */
			return true;
		case CAUSE_CANCEL:
		case CAUSE_LIMIT:
		case CAUSE_SCRIPT:
		case CAUSE_CHECK:
		case CAUSE_SERVER:
			break;
	}
	return false;
}

/*
 * From where this session comes: its application name and address, palloc'd.
 */
char *
du_history_client(void)
{
	const char *application = application_name && application_name[0] ?
	application_name : "no application name";

	LOCAL_FCINFO(call, 0);
	Datum		address;

	InitFunctionCallInfoData(*call, NULL, 0, InvalidOid, NULL, NULL);
	address = inet_client_addr(call);
	if (call->isnull)
		return psprintf("%s, local", application);
	return psprintf("%s, %s", application,
					DatumGetCString(DirectFunctionCall1(inet_out, address)));
}

/* What is to change, by its extensions. */
static void
write_changes(StringInfo buf, const List *changes)
{
	const ListCell *lc;

	du_write_open(buf, "extensions", '[');
	foreach(lc, changes)
	{
		const VersionChange *change = lfirst(lc);

		du_write_open(buf, NULL, '{');
		du_write_text(buf, "extension", change->extension);
		du_write_text(buf, "from", change->from);
		du_write_text(buf, "to", change->to);
		du_write_close(buf, '}');
	}
	du_write_close(buf, ']');
}

/*
 * The record as a JSON object, palloc'd.
 */
char *
du_history_json(const AttemptRecord *record)
{
	StringInfoData buf;

	initStringInfo(&buf);
	du_write_open(&buf, NULL, '{');
	du_write_text(&buf, "extension", record->extension);
	du_write_text(&buf, "from_version", record->from_version);
	du_write_text(&buf, "to_version", record->to_version);
	write_changes(&buf, record->changes);
	du_write_text(&buf, "outcome", record->outcome);
	du_write_text(&buf, "actor", record->actor);
	du_write_text(&buf, "role_name", record->role_name ? record->role_name :
				  GetUserNameFromId(GetSessionUserId(), true));
	du_write_text(&buf, "client", du_history_client());
	du_write_text(&buf, "started_at", timestamptz_to_str(record->started_at));
	du_write_text(&buf, "finished_at", timestamptz_to_str(record->finished_at));
	du_write_texts(&buf, "skipped_guards", record->skipped_guards);
	du_write_texts(&buf, "refused_by", record->refused_by);
	du_write_text(&buf, "fingerprint", record->fingerprint);
	if (record->restore_point != NULL)
	{
		du_write_text(&buf, "restore_point", record->restore_point);
		du_write_text(&buf, "restore_lsn",
					  psprintf("%X/%X", LSN_FORMAT_ARGS(record->restore_lsn)));
		du_write_int(&buf, "restore_timeline", record->restore_timeline);
	}
	if (record->steps != NULL)
	{
		du_write_key(&buf, "steps");
		appendStringInfoString(&buf, record->steps);
	}
	if (record->nodes != NULL)
	{
		du_write_key(&buf, "nodes");
		appendStringInfoString(&buf, record->nodes);
	}
	du_write_text(&buf, "binary_version", record->binary_version);
	du_write_text(&buf, "binary_digest", record->binary_digest);
	du_write_text(&buf, "cause", cause_names[record->cause]);
	if (record->sqlstate != 0)
		du_write_text(&buf, "sqlstate", unpack_sql_state(record->sqlstate));
	du_write_text(&buf, "message", record->message);
	du_write_text(&buf, "detail", record->detail);
	du_write_text(&buf, "hint", record->hint);
	du_write_text(&buf, "context", record->context);
	du_write_text(&buf, "script", record->script);
	if (record->script_line > 0)
		du_write_int(&buf, "script_line", record->script_line);
	du_write_text(&buf, "resource_uid", record->resource_uid);
	if (record->resource_generation > 0)
		du_write_int(&buf, "resource_generation", record->resource_generation);
	du_write_close(&buf, '}');
	return buf.data;
}

/*
 * Makes of the record of a success the one of a failure at its commit,
 * palloc'd.  Of keys that come twice the last one counts.
 */
char *
du_history_json_failed(const char *json, FailureCause cause, const ErrorData *edata)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, json);
	buf.data[--buf.len] = '\0'; /* its closing bracket */
	du_write_text(&buf, "outcome",
				  cause == CAUSE_CANCEL || cause == CAUSE_HOLD ? "cancelled" : "failed");
	du_write_text(&buf, "cause", cause_names[cause]);
	du_write_text(&buf, "sqlstate", unpack_sql_state(edata->sqlerrcode));
	du_write_text(&buf, "message", edata->message);
	du_write_text(&buf, "detail", edata->detail);
	du_write_text(&buf, "hint", edata->hint);
	du_write_text(&buf, "context", edata->context);
	du_write_close(&buf, '}');
	return buf.data;
}

/*
 * What listeners of channel documentdb_upgrade are told: a JSON object.
 */
char *
du_history_notice(const AttemptRecord *record)
{
	StringInfoData buf;

	initStringInfo(&buf);
	du_write_open(&buf, NULL, '{');
	du_write_text(&buf, "event", strcmp(record->actor, "manual") == 0 || strcmp(record->actor, "coordinator") == 0 ?
				  "update" : "finalize");
	du_write_text(&buf, "extension", record->extension);
	du_write_text(&buf, "from_version", record->from_version);
	du_write_text(&buf, "to_version", record->to_version);
	du_write_text(&buf, "outcome", record->outcome);
	write_changes(&buf, record->changes);
	du_write_close(&buf, '}');
	return buf.data;
}

/*
 * Runs a statement whose only parameter is the JSON text and whose only
 * result is one history row; copies that row into the current context.
 */
static Datum
query_row(const char *sql, const char *json, bool *isnull)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	Datum		row;

	values[0] = CStringGetTextDatum(json);
	if (du_query(sql, 1, types, values) != 1)
		elog(ERROR, "a history row was expected");
	row = du_query_datum(0, 1, isnull);
	if (!*isnull)
		row = datumCopy(row, false, -1);
	SPI_freetuptable(SPI_tuptable);
	return row;
}

#define INSERT_RECORD(columns, record) \
	"INSERT INTO documentdb_upgrade.history AS h (" columns ")" \
	" SELECT " columns \
	" FROM pg_catalog.jsonb_populate_record(" \
	"   NULL::documentdb_upgrade.history, " record ")" \
	" RETURNING h"

/* The table of 1.0 has a constraint that knows fewer causes. */
#define RECORD_OF_1_0 \
	"CASE WHEN $1::pg_catalog.jsonb->>'cause' IN ('library', 'node')" \
	" THEN $1::pg_catalog.jsonb || '{\"cause\": \"server\"}' ELSE $1::pg_catalog.jsonb END"

/* False until this extension itself is updated from 1.0. */
static bool
keeps_nodes(void)
{
	Oid			history = get_relname_relid("history", get_namespace_oid("documentdb_upgrade", false));

	return get_attnum(history, "nodes") != InvalidAttrNumber;
}

/*
 * Inserts a record and gives back its row.
 */
Datum
du_history_insert(const char *json, bool *isnull)
{
	return query_row(keeps_nodes() ? INSERT_RECORD(RECORD_COLUMNS ", nodes", "$1::pg_catalog.jsonb") :
					 INSERT_RECORD(RECORD_COLUMNS, RECORD_OF_1_0),
					 json, isnull);
}

/*
 * The row that a record would give, not stored: its id is null.
 */
Datum
du_history_row(const char *json, bool *isnull)
{
	return query_row("SELECT pg_catalog.jsonb_populate_record("
					 "   NULL::documentdb_upgrade.history, $1::pg_catalog.jsonb)",
					 json, isnull);
}

/*
 * Notes the binary that an attempt has seen first, if its record tells one:
 * the refusal for want of soak time starts that time.
 */
static void
note_binary(const char *json)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];

	values[0] = CStringGetTextDatum(json);
	du_query("INSERT INTO documentdb_upgrade_internal.binaries_seen (extension, version, digest, first_seen)"
			 " SELECT j->>'extension', j->>'binary_version', j->>'binary_digest',"
			 "   (j->>'started_at')::pg_catalog.timestamptz"
			 " FROM (SELECT $1::pg_catalog.jsonb) AS r(j)"
			 " WHERE j->>'binary_digest' IS NOT NULL ON CONFLICT DO NOTHING",
			 1, types, values);
}

/*
 * Stores a record of an attempt that did not succeed.  When it says the same
 * as the newest row, that row's count goes up instead, so that a client that
 * asks again and again does not fill the table.
 */
void
du_history_insert_or_repeat(const char *json)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	bool		isnull;

	note_binary(json);
	values[0] = CStringGetTextDatum(json);
	if (du_query("UPDATE documentdb_upgrade.history h"
				 " SET repeats = h.repeats + 1, last_repeated_at = r.finished_at"
				 " FROM pg_catalog.jsonb_populate_record("
				 "   NULL::documentdb_upgrade.history, $1::pg_catalog.jsonb) r"
				 " WHERE h.id = (SELECT pg_catalog.max(l.id) FROM documentdb_upgrade.history l"
				 "   WHERE l.extension = r.extension)"
				 " AND h.outcome = r.outcome AND h.extension = r.extension"
				 " AND h.message = r.message AND h.role_name = r.role_name"
				 " AND h.from_version IS NOT DISTINCT FROM r.from_version"
				 " AND h.to_version IS NOT DISTINCT FROM r.to_version"
				 " AND h.extensions = r.extensions"
				 " AND h.sqlstate IS NOT DISTINCT FROM r.sqlstate"
				 " AND h.cause IS NOT DISTINCT FROM r.cause"
				 " AND h.skipped_guards IS NOT DISTINCT FROM r.skipped_guards"
				 " AND h.actor = r.actor AND h.fingerprint IS NOT DISTINCT FROM r.fingerprint"
				 " AND h.dismissed_at IS NULL",
				 1, types, values) == 0)
		(void) du_history_insert(json, &isnull);
}
