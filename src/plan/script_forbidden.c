/*-------------------------------------------------------------------------
 *
 * script_forbidden.c
 *	  Statements that an update script may not have.
 *
 * The server refuses them in a transaction that is not their own, as in any
 * ALTER EXTENSION, or where the role was switched, as in a finalize.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/internal.h"

#include "nodes/parsenodes.h"

/*
 * The name of a statement that cannot run in a finalize, a constant; NULL for
 * others.
 */
const char *
du_script_forbidden_name(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_VariableSetStmt:
			{
				const char *name = ((const VariableSetStmt *) stmt)->name;

				if (name != NULL && strcmp(name, "role") == 0)
					return "SET ROLE";
				if (name != NULL && strcmp(name, "session_authorization") == 0)
					return "SET SESSION AUTHORIZATION";
				return NULL;
			}
		case T_TransactionStmt:
			return "transaction control (BEGIN, COMMIT, ROLLBACK, SAVEPOINT)";
		case T_VacuumStmt:
			return ((const VacuumStmt *) stmt)->is_vacuumcmd ? "VACUUM" : NULL;
		case T_IndexStmt:
			return ((const IndexStmt *) stmt)->concurrent ? "CREATE INDEX CONCURRENTLY" : NULL;
		case T_DropStmt:
			return ((const DropStmt *) stmt)->concurrent ? "DROP INDEX CONCURRENTLY" : NULL;
		case T_ReindexStmt:
			{
				const ReindexStmt *reindex = (const ReindexStmt *) stmt;
				ListCell   *lc;

				if (reindex->kind != REINDEX_OBJECT_INDEX && reindex->kind != REINDEX_OBJECT_TABLE)
					return "REINDEX of a schema or database";
				foreach(lc, reindex->params)
				{
					if (strcmp(lfirst_node(DefElem, lc)->defname, "concurrently") == 0)
						return "REINDEX CONCURRENTLY";
				}
				return NULL;
			}
		case T_ClusterStmt:
			return ((const ClusterStmt *) stmt)->relation == NULL ? "CLUSTER of all tables" : NULL;
		case T_AlterTableStmt:
			{
				ListCell   *lc;

				foreach(lc, ((const AlterTableStmt *) stmt)->cmds)
				{
					const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

					if (cmd->subtype == AT_DetachPartition && ((const PartitionCmd *) cmd->def)->concurrent)
						return "DETACH PARTITION CONCURRENTLY";
				}
				return NULL;
			}
		case T_CreatedbStmt:
			return "CREATE DATABASE";
		case T_DropdbStmt:
			return "DROP DATABASE";
		case T_CreateTableSpaceStmt:
			return "CREATE TABLESPACE";
		case T_DropTableSpaceStmt:
			return "DROP TABLESPACE";
		case T_AlterSystemStmt:
			return "ALTER SYSTEM";
		default:
			return NULL;
	}
}
