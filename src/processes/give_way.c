/*-------------------------------------------------------------------------
 *
 * give_way.c
 *	  Makes the worker give way to those who want its database for
 *	  themselves.
 *
 * DROP DATABASE, ALTER DATABASE ... RENAME or SET TABLESPACE, and CREATE
 * DATABASE, which copies template1 unless told otherwise, fail while anybody
 * is connected to that database.  A worker that is always connected must not
 * be the one in the way: a statement of this kind first asks whoever serves
 * the database to leave, also a worker that is about to start, and it stays
 * away until the transaction has ended.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "processes/internal.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "base/base.h"

/* What the server copies when a statement names nothing. */
#define DEFAULT_TEMPLATE "template1"

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
			{
				const char *template = option_value(((CreatedbStmt *) statement)->options, "template");

				return template != NULL ? template : DEFAULT_TEMPLATE;
			}
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

/* True for roles that may create databases. */
static bool
may_create_databases(void)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	bool		may = superuser();

	if (!HeapTupleIsValid(tuple))
		return may;
	may |= ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
	ReleaseSysCache(tuple);
	return may;
}

/* True for a database that others than its owner may copy. */
static bool
is_template(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * The database that this statement wants for itself, and this role may have;
 * else InvalidOid.
 */
static Oid
find_wanted(Node *statement)
{
	const char *name = wanted_database(statement);
	Oid			database;

	if (name == NULL)
		return InvalidOid;
	database = get_database_oid(name, true);
	if (!OidIsValid(database))
		return InvalidOid;
	if (IsA(statement, CreatedbStmt) && !may_create_databases())
		return InvalidOid;
	if (IsA(statement, CreatedbStmt) && is_template(database))
		return database;
	return du_database_ownercheck(database, GetUserId()) ? database : InvalidOid;
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	/* One that is prepared keeps others away by its own locks. */
	if (!asked || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
				   event != XACT_EVENT_PREPARE))
		return;
	asked = false;
	du_shared_ask_to_leave(InvalidOid);
}

/*
 * Asks who serves a database to leave, and to stay away until what the
 * statement does can be seen.
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
	du_visit_await_end(database);
}

/*
 * To be called before a statement is executed; does nothing unless it is one
 * that wants a database for itself, and this role may run it.
 */
void
du_give_way_to(Node *statement)
{
	Oid			database = find_wanted(statement);

	if (OidIsValid(database))
		ask_until_end_of_transaction(database);
}
