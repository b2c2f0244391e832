/*-------------------------------------------------------------------------
 *
 * scratch_rehearsal.c
 *	  A rehearsal in a throw-away database.
 *
 * The managed set is installed there at the versions of here, and updated, in
 * one transaction that never commits: roles that its scripts create are seen
 * by nobody, and nothing is locked here.  There are no data, so what depends
 * on data shows only in a rehearsal in place.
 *
 * In another such database the target is installed as CREATE EXTENSION does it,
 * to be compared with what the update left (fresh_install.c).
 *
 * The order is a row of texts, each with its terminating NUL: pairs of setting
 * and value, the target, and triples of extension, version and schema; each of
 * the three ends with an empty text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/base.h"
#include "extension/extension.h"
#include "finalize/finalize.h"
#include "plan/plan.h"

PGDLLEXPORT char *documentdb_upgrade_scratch_rehearse(const char *order, Size length);
PGDLLEXPORT char *documentdb_upgrade_scratch_fresh(const char *order, Size length);

/* Those that say what is rehearsed, and for how long; see write_order(). */
static const char *const passed_settings[] = {
	"documentdb_upgrade.extension",
	"documentdb_upgrade.managed_extensions",
	"documentdb_upgrade.loaded_version_function",
	"documentdb_upgrade.lock_timeout",
	"documentdb_upgrade.attempt_timeout"
};

static void
add(StringInfo order, const char *text)
{
	appendBinaryStringInfo(order, text, strlen(text) + 1);
}

/*
 * The value of a setting there.  The managed set that is meant here is the only
 * one there.
 */
static const char *
value_there(const char *name)
{
	if (strcmp(name, "documentdb_upgrade.extension") == 0)
		return quote_identifier(du_main_extension());
	if (strcmp(name, "documentdb_upgrade.managed_extensions") == 0 && du_main_selected()[0] != '\0')
		return "";
	return GetConfigOption(name, false, false);
}

/* With a plan: at the versions that it leads to. */
static void
write_order(StringInfo order, const UpgradeFacts *facts, const char *target, const UpgradePlan *plan)
{
	for (int i = 0; i < lengthof(passed_settings); i++)
	{
		add(order, passed_settings[i]);
		add(order, value_there(passed_settings[i]));
	}
	add(order, "");
	add(order, target != NULL ? target : "");
	for (int i = 0; i < facts->nextensions; i++)
	{
		const ExtensionFacts *extension = &facts->extensions[i];

		if (extension->installed == NULL)
			continue;
		add(order, extension->name);
		add(order, plan != NULL && plan->targets[i].target != NULL ? plan->targets[i].target : extension->installed);
		add(order, extension->schema_name);
	}
	add(order, "");
}

/* The next text of an order; "" at its end. */
static const char *
take(const char **rest, const char *end)
{
	const char *text = *rest;

	if (text >=end)
		return "";
	*rest += strlen(text) + 1;
	return text;
}

/* Installs an extension as it is installed where the order comes from. */
static void
install(const char *extension, const char *version, const char *schema)
{
	const char *with_schema = "";

	if (strcmp(schema, "pg_catalog") != 0)
	{
		du_execute(psprintf("CREATE SCHEMA IF NOT EXISTS %s", quote_identifier(schema)));
		with_schema = psprintf("SCHEMA %s", quote_identifier(schema));
	}
	du_execute(psprintf("CREATE EXTENSION IF NOT EXISTS %s %s VERSION %s CASCADE",
						quote_identifier(extension), with_schema, quote_literal_cstr(version)));
}

/* Installs what an order says, and gives back its target. */
static const char *
prepare_database(const char *order, Size length)
{
	const char *end = order + length;
	const char *text;
	const char *target;

	while ((text = take(&order, end))[0] != '\0')
		SetConfigOption(text, take(&order, end), PGC_SUSET, PGC_S_SESSION);
	target = take(&order, end);
	while ((text = take(&order, end))[0] != '\0')
	{
		const char *version = take(&order, end);
		const char *schema = take(&order, end);

		install(text, version, schema);
	}
	du_execute("CREATE EXTENSION IF NOT EXISTS documentdb_upgrade");
	return target;
}

/*
 * Serves in the throw-away database: does what an order says and gives back
 * the row as JSON.
 */
char *
documentdb_upgrade_scratch_rehearse(const char *order, Size length)
{
	MemoryContext context = CurrentMemoryContext;
	const char *target;
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	char	   *row;

	SPI_connect();
	MemoryContextSwitchTo(context);
	target = prepare_database(order, length);
	du_fresh_want_members();
	values[0] = CStringGetTextDatum(target);
	if (du_query("SELECT (pg_catalog.to_jsonb(r) || '{\"scratch\": true}')::pg_catalog.text"
				 " FROM documentdb_upgrade.rehearse(NULLIF($1, '')) r", 1, types, values) != 1)
		elog(ERROR, "a row of rehearsals was expected");
	row = du_query_text(0, 1);
	SPI_finish();
	MemoryContextSwitchTo(context);
	return row;
}

/*
 * Serves in another one, where an order installs the versions of the target, and
 * gives back what there is then, as JSON.
 */
char *
documentdb_upgrade_scratch_fresh(const char *order, Size length)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *members;

	SPI_connect();
	MemoryContextSwitchTo(context);
	(void) prepare_database(order, length);
	du_fresh_want_members();
	members = du_fresh_list_members(du_managed_gather());
	SPI_finish();
	MemoryContextSwitchTo(context);
	return members;
}

/*
 * Says in a row that was made elsewhere who has asked for it here, and for
 * which fingerprint it holds (NULL: the one it has).
 */
char *
du_rehearsal_sign(const char *row, const char *fingerprint)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, row);
	buf.data[--buf.len] = '\0'; /* its closing bracket; of keys that come twice the last one counts */
	du_write_text(&buf, "role_name", GetUserNameFromId(GetSessionUserId(), false));
	du_write_text(&buf, "client", du_history_client());
	if (fingerprint != NULL)
		du_write_text(&buf, "fingerprint", fingerprint);
	du_write_close(&buf, '}');
	return buf.data;
}

typedef struct FreshInstall
{
	const UpgradeFacts *facts;
	const char *target;
	char	   *members;
} FreshInstall;

static void
install_fresh(void *arg)
{
	FreshInstall *fresh = arg;
	StringInfoData order;

	initStringInfo(&order);
	write_order(&order, fresh->facts, fresh->target, du_plan_make(fresh->facts, fresh->target));
	fresh->members = du_scratch_run("documentdb_upgrade_scratch_fresh", &order);
}

/*
 * Adds to the row of a rehearsal that passed how what it left differs from a fresh
 * installation.  Where there can be none, why.
 */
static char *
compare_with_fresh(const char *row, const UpgradeFacts *facts, const char *target)
{
	FreshInstall fresh = {facts, target, NULL};
	ErrorData  *error;

	if (!du_fresh_has_members(row))
		return du_fresh_compare(row, NULL, NULL);
	error = du_subtransaction_run(install_fresh, &fresh, SUBTRANSACTION_KEEP);
	if (error != NULL && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	return du_fresh_compare(row, fresh.members, error != NULL ? error->message : NULL);
}

/*
 * Like du_rehearse(), in a throw-away database, which is dropped again.
 * Raises 0A000 where the managed set cannot be installed in one, and 53400
 * when there are no processes for it.
 */
Datum
du_rehearse_in_scratch(const char *target, bool *isnull)
{
	MemoryContext context = CurrentMemoryContext;
	ExecutionContext execution;
	UpgradeFacts *facts;
	StringInfoData order;
	char	   *row;
	Datum		stored;

	du_stage_check_transaction("rehearse");
	du_context_enter(&execution);
	SPI_connect();
	MemoryContextSwitchTo(context);

	facts = du_managed_gather();
	if (du_managed_main(facts)->installed == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" is not installed in this database",
						du_managed_main(facts)->name)));
	initStringInfo(&order);
	write_order(&order, facts, target, NULL);
	row = du_scratch_run("documentdb_upgrade_scratch_rehearse", &order);
	row = compare_with_fresh(row, facts, target);
	du_fresh_warn(row);
	stored = du_rehearsal_store(du_rehearsal_sign(row, du_fingerprint(facts)), isnull);

	SPI_finish();
	du_context_leave(&execution);
	MemoryContextSwitchTo(context);
	return stored;
}
