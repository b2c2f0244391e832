/*-------------------------------------------------------------------------
 *
 * database_yield.c
 *	  Makes the worker give way to those who want its database for
 *	  themselves.
 *
 * DROP DATABASE, ALTER DATABASE ... RENAME or SET TABLESPACE, and CREATE
 * DATABASE with a template fail while anybody is connected to that database.
 * A worker that is always connected must not be the one in the way: a
 * statement of this kind first asks it to leave, and it stays away until the
 * transaction has ended.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "database_yield.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"

#include "compat.h"
#include "shared_status.h"

static bool asked = false;		/* in this transaction */

static const char *
option_value(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

/*
 * The name of the database that a statement wants for itself, or NULL.
 */
static const char *
wanted_database(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) statement)->dbname;
		case T_CreatedbStmt:
			return option_value(((CreatedbStmt *) statement)->options, "template");
		case T_AlterDatabaseStmt:
			if (option_value(((AlterDatabaseStmt *) statement)->options, "tablespace") == NULL)
				return NULL;
			return ((AlterDatabaseStmt *) statement)->dbname;
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType != OBJECT_DATABASE)
				return NULL;
			return ((RenameStmt *) statement)->subname;
		default:
			return NULL;
	}
}

/*
 * The worker's database when this statement wants it, and this role may; else
 * InvalidOid.
 */
static Oid
wanted_of_worker(Node *statement)
{
	const char *name = wanted_database(statement);
	WorkerFacts worker;
	Oid			database;

	if (name == NULL)
		return InvalidOid;
	du_shared_read_worker(&worker);
	if (worker.pid == 0)
		return InvalidOid;
	database = get_database_oid(name, true);
	if (database != worker.database || !du_database_ownercheck(database, GetUserId()))
		return InvalidOid;
	return database;
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (!asked || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT))
		return;
	asked = false;
	du_shared_ask_to_leave(InvalidOid);
}

/*
 * Asks the worker to leave, and to stay away until what the statement does
 * can be seen.
 */
static void
ask_until_end_of_transaction(Oid database)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(at_end_of_transaction, NULL);
	registered = true;
	asked = true;
	du_shared_ask_to_leave(database);
}

/*
 * To be called before a statement is executed; does nothing unless it is one
 * that the worker is in the way of, and this role may run it.
 */
void
du_yield_to(Node *statement)
{
	Oid			database = wanted_of_worker(statement);

	if (OidIsValid(database))
		ask_until_end_of_transaction(database);
}
