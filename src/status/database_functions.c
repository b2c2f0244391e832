/*-------------------------------------------------------------------------
 *
 * database_functions.c
 *	  How all databases of this server stand, as any of them shows it.
 *
 * The catalogue says which databases there are, the records how each stood
 * when it was looked at last.  The database of the session is looked at now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "status/internal.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "fence/fence.h"
#include "processes/processes.h"

#define MOST_NAMED 5			/* of the databases that are behind */
#define DEFAULT_TEMPLATE "template1"

PG_FUNCTION_INFO_V1(documentdb_upgrade_database_list);

/* Puts a sentence after those before it. */
static void
say(StringInfo text, const char *sentence)
{
	appendStringInfo(text, "%s%s", text->len > 0 ? " " : "", sentence);
}

/* What kind of database it is, where it is no ordinary one. */
static void
say_kind(StringInfo text, const DatabaseEntry *entry)
{
	if (entry->is_invalid)
		say(text, "Its DROP DATABASE was interrupted; drop it again.");
	else if (!entry->allows_connections)
		say(text, "It allows no connections, so nothing in it can be looked at or upgraded.");
	else if (entry->is_scratch)
		say(text, "A rehearsal has made it and drops it again.");
	if (strcmp(entry->name, DEFAULT_TEMPLATE) == 0)
		say(text, "New databases are copies of it, with the versions of its extensions.");
	else if (entry->is_template)
		say(text, "It is a template for new databases.");
}

/* Why nothing is known of a database, or how that went. */
static void
say_look(StringInfo text, bool recorded, const DatabaseRecord *record)
{
	if (!du_shared_exists())
		say(text, "Nobody looks at it, because documentdb_upgrade is not in shared_preload_libraries.");
	else if (!recorded)
		say(text, psprintf("Nobody looks at it, because %d databases are kept track of; raise documentdb_upgrade.max_databases and restart PostgreSQL.",
						   du_guc_max_databases));
	else if (record->problem[0] != '\0')
		say(text, psprintf("The last look at it failed: %s%s", record->problem,
						   strchr(".!?", record->problem[strlen(record->problem) - 1]) != NULL ? "" : "."));
	else if (record->looked_at == 0 && du_guc_database_look_interval == 0)
		say(text, "Nobody looks at it, because documentdb_upgrade.database_look_interval is 0.");
	else if (record->looked_at == 0)
		say(text, "It is about to be looked at.");
}

/* What would bring a database up to date that no worker serves. */
static void
say_cure(StringInfo text, const char *set, const DatabaseFindings *found)
{
	if (!found->behind || strcmp(found->state, "update_available") != 0)
		return;
	say(text, psprintf("To upgrade it, run there: %sSELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize(%s);",
					   found->has_us ? "" : "CREATE EXTENSION documentdb_upgrade; ",
					   set[0] == '\0' ? "" : quote_literal_cstr(set)));
}

/* True while an attempt at a main extension, "": any, runs in a database. */
static bool
is_upgraded_now(Oid database, const char *extension)
{
	RunningAttempt attempts[RUNNING_ATTEMPTS];
	int			n = du_running_list(attempts);

	for (int i = 0; i < n; i++)
	{
		if (attempts[i].database == database && attempts[i].extension[0] != '\0' &&
			(extension[0] == '\0' || strcmp(attempts[i].extension, extension) == 0))
			return true;
	}
	return false;
}

/* Looks at the managed set that is meant, in the database of this session. */
static void
look_now(DatabaseRecord *record, bool served)
{
	char		state[NAMEDATALEN];

	/* A worker knows more than versions. */
	strlcpy(state, record->found.state, sizeof(state));
	du_look_here(&record->found);
	if (served && state[0] != '\0')
		strlcpy(record->found.state, state, sizeof(state));
	record->looked_at = GetCurrentTimestamp();
}

static const char *
text_or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* Puts the row of a managed set of a database. */
static void
put_set(FunctionCallInfo fcinfo, const DatabaseEntry *entry, const char *set)
{
	DatabaseRecord record;
	bool		recorded = du_records_read(entry->oid, set, &record);
	bool		served = du_shared_exists() && du_shared_serves(entry->oid, set);
	const DatabaseFindings *found = &record.found;
	StringInfoData note;
	ResultRow	row = {0};

	initStringInfo(&note);
	say_kind(&note, entry);
	if (entry->oid == MyDatabaseId)
		look_now(&record, served);
	else if (entry->connectable)
		say_look(&note, recorded, &record);
	if (!served && record.worker_problem[0] != '\0')
		say(&note, psprintf("No worker serves it: %s %s", record.worker_problem, record.worker_hint));
	else if (!served)
		say_cure(&note, set, found);

	du_row_add_text(&row, entry->name);
	du_row_add_text(&row, text_or_null(found->extension));
	du_row_add_text(&row, text_or_null(found->installed));
	du_row_add_text(&row, text_or_null(found->binary));
	du_row_add_text(&row, text_or_null(found->target));
	du_row_add_text(&row, is_upgraded_now(entry->oid, found->extension) ? "finalizing" : text_or_null(found->state));
	if (found->extension[0] != '\0')
		du_row_add(&row, BoolGetDatum(found->behind));
	else
		du_row_add_null(&row);
	du_row_add(&row, BoolGetDatum(served));
	du_row_add_time(&row, record.looked_at);
	du_row_add_text(&row, du_shared_exists() ? du_fence_reasons_of(entry->oid) : NULL);
	du_row_add_text(&row, text_or_null(note.data));
	du_row_put(fcinfo, &row);
}

/* What the next functions put rows of. */
typedef struct SetsOfDatabase
{
	FunctionCallInfo fcinfo;
	const DatabaseEntry *entry;
} SetsOfDatabase;

/* Of this session's database, its settings say which sets there are. */
static void
put_own_set(void *arg)
{
	const SetsOfDatabase *sets = arg;

	put_set(sets->fcinfo, sets->entry, du_main_selected());
}

static int
compare_places(const void *a, const void *b)
{
	return ((const DatabaseRecord *) a)->place - ((const DatabaseRecord *) b)->place;
}

/* Puts the rows of a database, in the order of its main extensions. */
static void
put_database(FunctionCallInfo fcinfo, const DatabaseEntry *entry)
{
	SetsOfDatabase sets = {fcinfo, entry};
	DatabaseRecord *records;
	int			n;

	if (entry->oid == MyDatabaseId)
	{
		du_main_run_each(put_own_set, &sets);
		return;
	}
	put_set(fcinfo, entry, "");
	records = du_records_list(&n);
	if (n > 0)
		qsort(records, n, sizeof(DatabaseRecord), compare_places);
	for (int i = 0; i < n; i++)
	{
		if (records[i].database == entry->oid && records[i].place > 0)
			put_set(fcinfo, entry, records[i].set);
	}
}

/*
 * database_list() returns the rows of view databases
 */
Datum
documentdb_upgrade_database_list(PG_FUNCTION_ARGS)
{
	MemoryContext memory = CurrentMemoryContext;
	ExecutionContext context;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	du_context_enter(&context);
	SPI_connect();
	MemoryContextSwitchTo(memory);
	foreach(lc, du_databases_list())
		put_database(fcinfo, lfirst(lc));
	SPI_finish();
	MemoryContextSwitchTo(memory);
	du_context_leave(&context);
	return (Datum) 0;
}

/*
 * A sentence about the further main extensions of this database that are not at
 * the versions that the files offer; NULL when there are none.  It is for who
 * looks at the first alone, as a custom resource does.
 */
static const char *
sets_behind(const DatabaseRecord *records, int n)
{
	List	   *names = NIL;

	for (int i = 0; i < n && du_main_selected()[0] == '\0'; i++)
	{
		if (records[i].database == MyDatabaseId && records[i].place > 0 && records[i].found.behind)
			names = lappend(names, psprintf("%s (%s)", records[i].found.extension, records[i].found.installed));
	}
	return names == NIL ? NULL :
		psprintf("Of the other main extensions of this database the files do not match what is installed: %s. SELECT * FROM documentdb_upgrade.status; shows all.",
				 du_names_join(names));
}

/*
 * The same about the databases other than this one, as far as they are known.
 */
static const char *
other_databases_behind(const DatabaseRecord *records, int n)
{
	StringInfoData names;
	List	   *databases;
	ListCell   *lc;
	bool		any = false;
	int			count = 0;

	initStringInfo(&names);
	for (int i = 0; i < n; i++)
		any |= records[i].found.behind && records[i].database != MyDatabaseId;
	if (!any || !du_databases_try_list(&databases))
		return NULL;
	foreach(lc, databases)
	{
		const DatabaseEntry *entry = lfirst(lc);

		for (int i = 0; i < n; i++)
		{
			const DatabaseFindings *found = &records[i].found;

			if (records[i].database != entry->oid || entry->oid == MyDatabaseId || !found->behind ||
				records[i].place < 0)
				continue;
			if (count++ < MOST_NAMED)
				appendStringInfo(&names, "%s%s (%s %s)", count > 1 ? ", " : "", entry->name,
								 found->extension, found->installed);
		}
	}
	if (count == 0)
		return NULL;
	if (count > MOST_NAMED)
		appendStringInfo(&names, " and %d more", count - MOST_NAMED);
	return psprintf("In other databases the files do not match what is installed: %s. All are shown by SELECT database, extension, installed_version, binary_version, state FROM documentdb_upgrade.databases;",
					names.data);
}

/*
 * Sentences about what else this server has that is not at the version that the
 * files offer; NULL when there is nothing.
 */
const char *
du_databases_behind(void)
{
	int			n;
	DatabaseRecord *records = du_records_list(&n);
	const char *sets = sets_behind(records, n);
	const char *databases = other_databases_behind(records, n);

	return sets != NULL && databases != NULL ? psprintf("%s %s", sets, databases) :
		sets != NULL ? sets : databases;
}
