/*-------------------------------------------------------------------------
 *
 * parity_statement.c
 *	  What a parity process runs in its own database.
 *
 * Two kinds of transactions, never one within the other.  The engine's own
 * functions run as this process, which is the server itself, and may raise.
 * The statements that the engine orders run with the rights of whoever has
 * called, read-only, and whatever they raise is their outcome.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "parity/internal.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "processes/processes.h"

#define LONGEST_LOCK_WAIT_MS 10000

/* What the texts of values depend on: the same here and on other servers. */
const PinnedSetting du_parity_settings[] = {
	{"search_path", "pg_catalog, pg_temp"},
	{"TimeZone", "UTC"},
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"xmloption", "content"},
	{"lc_monetary", "C"},
	{"row_security", "off"},
	{"standard_conforming_strings", "on"},
	{"jit", "off"},
	{NULL, NULL}
};

/* Defaults of this database that must not decide about our transactions. */
static const PinnedSetting own_settings[] = {
	{"default_transaction_read_only", "off"},
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_deferrable", "off"},
	{"statement_timeout", "0"},
	{"lock_timeout", "0"},
	{"transaction_timeout", "0"},	/* new in 17 */
	{"session_replication_role", "origin"},
	{"backslash_quote", "safe_encoding"},
	{"transform_null_equals", "off"},
	{"array_nulls", "on"},
	{"quote_all_identifiers", "off"},
	{"plpgsql.variable_conflict", "error"},
	{NULL, NULL}
};

/* Those of the caller that statements on its behalf run with. */
static const char *const passed_settings[] = {
	"documentdb_upgrade.parity_text_types",
	"lock_timeout",
	"max_parallel_workers_per_gather",
	"work_mem"
};

static void
add(StringInfo settings, const char *text)
{
	appendBinaryStringInfo(settings, text, strlen(text) + 1);
}

/*
 * Collects those settings of this session, as an order carries them.
 */
void
du_parity_collect_settings(StringInfo settings)
{
	for (int i = 0; i < lengthof(passed_settings); i++)
	{
		const char *value = GetConfigOption(passed_settings[i], true, false);

		if (value == NULL)
			continue;
		add(settings, passed_settings[i]);
		add(settings, value);
	}
	add(settings, "");
}

static void
pin(const PinnedSetting *settings)
{
	for (int i = 0; settings[i].name != NULL; i++)
	{
		/* Not every release has each of them. */
		if (strchr(settings[i].name, '.') != NULL ||
			GetConfigOption(settings[i].name, true, false) != NULL)
			SetConfigOption(settings[i].name, settings[i].value, PGC_SUSET, PGC_S_OVERRIDE);
	}
}

/*
 * Sets what this process depends on, whatever the database has as defaults.
 */
void
du_parity_pin_settings(void)
{
	pin(du_parity_settings);
	pin(own_settings);
}

/*
 * Becomes the caller until the transaction ends.
 */
static void
become_caller(const ParityOrder *order)
{
	const char *setting = du_parity_order_text(order, order->settings);

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(order->role)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the role that has started this run does not exist any more")));
	while (setting[0] != '\0')
	{
		const char *value = setting + strlen(setting) + 1;

		du_context_set(setting, value);
		setting = value + strlen(value) + 1;
	}
	SetUserIdAndSecContext(order->role, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

/* The one value that a statement gives, as text in the given context. */
static char *
execute(const char *statement, MemoryContext context)
{
	char	   *value;
	int			rc;

	/* A limit of rows would forbid parallel plans. */
	rc = SPI_execute(statement, false, 0);
	if (rc < 0)
		elog(ERROR, "statement failed: %s", SPI_result_code_string(rc));
	if (SPI_tuptable == NULL || SPI_processed != 1 || SPI_tuptable->tupdesc->natts != 1)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("one row of one column was expected")));
	value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	return value != NULL ? MemoryContextStrdup(context, value) : NULL;
}

static void
begin(const char *activity)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	pgstat_report_activity(STATE_RUNNING, activity);
}

static void
commit(void)
{
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

static char *
run_in_transaction(const ParityOrder *order, const char *statement, bool exported,
				   MemoryContext context)
{
	Oid			own_role;
	int			own_security;
	int			nestlevel;
	char	   *value;

	begin(statement);
	XactReadOnly = true;
	XactIsoLevel = exported ? XACT_REPEATABLE_READ : XACT_READ_COMMITTED;
	if (exported)
		ImportSnapshot(order->snapshot);
	PushActiveSnapshot(GetTransactionSnapshot());
	GetUserIdAndSecContext(&own_role, &own_security);
	nestlevel = NewGUCNestLevel();
	become_caller(order);

	SPI_connect();
	value = execute(statement, context);
	SPI_finish();

	SetUserIdAndSecContext(own_role, own_security);
	AtEOXact_GUC(true, nestlevel);
	PopActiveSnapshot();
	commit();
	return value;
}

/*
 * Runs a statement of one row and one column with the caller's rights, under
 * the caller's snapshot or under a fresh one.  Whatever it raises is the
 * outcome.  No transaction may be open.
 */
void
du_parity_run(const ParityOrder *order, const char *statement, bool exported,
			  StatementOutcome *outcome)
{
	MemoryContext context = CurrentMemoryContext;
	instr_time	begun;
	instr_time	ended;

	INSTR_TIME_SET_CURRENT(begun);
	PG_TRY();
	{
		outcome->value = run_in_transaction(order, statement, exported, context);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		du_outcome_take_error(outcome);
		AbortCurrentTransaction();
		pgstat_report_activity(STATE_IDLE, NULL);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	INSTR_TIME_SET_CURRENT(ended);
	INSTR_TIME_SUBTRACT(ended, begun);
	outcome->ms = INSTR_TIME_GET_MILLISEC(ended);
}

static void
begin_own(const char *activity)
{
	begin(activity);
	(void) du_own_relations_lock(LONGEST_LOCK_WAIT_MS);
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
}

static void
commit_own(MemoryContext context)
{
	SPI_finish();
	PopActiveSnapshot();
	commit();
	MemoryContextSwitchTo(context);
}

/* Runs a query of one row. */
static void
query(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	int			rc = SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0);

	if (rc != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "a row was expected: %s", SPI_result_code_string(rc));
}

/*
 * Has the engine begin, or resume, a run; gives back its number.  Who calls is
 * not for the options to say.
 */
int64
du_parity_begin(const char *options, Oid role, int caller)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[3] = {TEXTOID, OIDOID, INT4OID};
	Datum		values[3];
	int64		run;
	bool		isnull;

	begin_own("beginning a parity run");
	values[0] = CStringGetTextDatum(options);
	values[1] = ObjectIdGetDatum(role);
	values[2] = Int32GetDatum(caller);
	query("SELECT documentdb_upgrade_internal.parity_begin($1::pg_catalog.jsonb"
		  " OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object("
		  "   'role', $2, 'role_name', pg_catalog.pg_get_userbyid($2), 'caller', $3))",
		  3, types, values, NULL);
	run = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (isnull)
		elog(ERROR, "a parity run has no number");
	commit_own(context);
	return run;
}

static char *
take_text(int column, MemoryContext context)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

	return value != NULL ? MemoryContextStrdup(context, value) : NULL;
}

/* Asks the engine for its next step; planned once, for there are many. */
static void
query_next(Datum *values, const char *nulls)
{
	static SPIPlanPtr plan = NULL;
	int			rc;

	if (plan == NULL)
	{
		Oid			types[3] = {INT8OID, INT4OID, TEXTOID};

		plan = SPI_prepare("SELECT n.action, n.local, n.remote, n.wait_ms"
						   " FROM documentdb_upgrade_internal.parity_next($1, $2, $3::pg_catalog.jsonb) n",
						   3, types);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare a statement: %s", SPI_result_code_string(SPI_result));
	}
	rc = SPI_execute_plan(plan, values, nulls, false, 0);
	if (rc != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "a row was expected: %s", SPI_result_code_string(rc));
}

/*
 * Has the commit of this transaction wait neither for the disk nor for a
 * standby: after a crash a run goes on from an earlier place.
 */
static void
commit_without_wait(void)
{
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * Gives the engine the answer to the step before, NULL when there is none, and
 * takes its next one.
 */
void
du_parity_next(int64 run, int member, const char *answer, ParityStep *step)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		values[3];
	char	   *wait_ms;

	begin_own("asking what to compare next");
	values[0] = Int64GetDatum(run);
	values[1] = Int32GetDatum(member);
	values[2] = answer != NULL ? CStringGetTextDatum(answer) : (Datum) 0;
	query_next(values, answer != NULL ? "   " : "  n");
	step->action = take_text(1, context);
	step->local = take_text(2, context);
	step->remote = take_text(3, context);
	wait_ms = take_text(4, context);
	step->wait_ms = wait_ms != NULL ? atol(wait_ms) : 0;
	if (step->action == NULL)
		elog(ERROR, "a parity step has no action");

	/* The commit that ends a run makes all before it durable too. */
	if (strcmp(step->action, "done") != 0)
		commit_without_wait();
	commit_own(context);
}

/*
 * Tells the engine that a run cannot go on.
 */
void
du_parity_fail(int64 run, const char *error)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {INT8OID, TEXTOID};
	Datum		values[2];

	begin_own("noting that a parity run has failed");
	values[0] = Int64GetDatum(run);
	values[1] = CStringGetTextDatum(error);
	query("SELECT documentdb_upgrade_internal.parity_fail($1, $2::pg_catalog.jsonb)", 2, types, values, NULL);
	commit_own(context);
}
