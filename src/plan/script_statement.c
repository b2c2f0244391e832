/*-------------------------------------------------------------------------
 *
 * script_statement.c
 *	  What one statement of an update script locks and changes.
 *
 * The relations that it is known to lock and the kinds of things it changes.
 * DO blocks and function calls hide what they do; they are marked opaque instead
 * of being guessed at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/internal.h"

#include "commands/tablecmds.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"

/*
 * Notes that the script locks a relation.
 */
static void
add_relation(UpdateScript *script, const char *schema, const char *name,
			 LOCKMODE mode)
{
	ScriptRelation *relation;
	ListCell   *lc;

	foreach(lc, script->relations)
	{
		relation = lfirst(lc);
		if (strcmp(relation->name, name) == 0 &&
			strcmp(relation->schema ? relation->schema : "",
				   schema ? schema : "") == 0)
		{
			relation->mode = Max(relation->mode, mode);
			return;
		}
	}
	relation = palloc(sizeof(ScriptRelation));
	relation->schema = schema ? pstrdup(schema) : NULL;
	relation->name = pstrdup(name);
	relation->mode = mode;
	script->relations = lappend(script->relations, relation);
}

static void
add_range_var(UpdateScript *script, const RangeVar *rv, LOCKMODE mode)
{
	if (rv != NULL)
		add_relation(script, rv->schemaname, rv->relname, mode);
}

/* Adds the relation that the first n members of a dotted name stand for. */
static void
add_name_list(UpdateScript *script, const List *names, int n, LOCKMODE mode)
{
	if (n == 1)
		add_relation(script, NULL, strVal(linitial(names)), mode);
	else if (n >= 2)
		add_relation(script, strVal(list_nth(names, n - 2)),
					 strVal(list_nth(names, n - 1)), mode);
}

static bool
is_routine(ObjectType type)
{
	return type == OBJECT_FUNCTION || type == OBJECT_PROCEDURE ||
		type == OBJECT_ROUTINE || type == OBJECT_AGGREGATE;
}

static bool
is_relation(ObjectType type)
{
	return type == OBJECT_TABLE || type == OBJECT_VIEW ||
		type == OBJECT_MATVIEW || type == OBJECT_INDEX ||
		type == OBJECT_SEQUENCE || type == OBJECT_FOREIGN_TABLE ||
		type == OBJECT_COLUMN || type == OBJECT_TABCONSTRAINT;
}

static int
scan_drop(UpdateScript *script, const DropStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		if (!IsA(lfirst(lc), List))
			continue;
		if (is_relation(stmt->removeType))
			add_name_list(script, lfirst(lc), list_length(lfirst(lc)),
						  AccessExclusiveLock);
		else if (stmt->removeType == OBJECT_TRIGGER ||
				 stmt->removeType == OBJECT_RULE ||
				 stmt->removeType == OBJECT_POLICY)
			add_name_list(script, lfirst(lc), list_length(lfirst(lc)) - 1,
						  AccessExclusiveLock);
	}
	return is_routine(stmt->removeType) ? SCRIPT_FUNCTIONS : SCRIPT_CATALOGUE;
}

/*
 * True for a SELECT that only calls functions of the server that have no
 * hidden effect: pg_extension_config_dump and set_config.
 */
static bool
is_harmless_select(const SelectStmt *stmt)
{
	ListCell   *lc;

	if (stmt->fromClause != NIL || stmt->withClause != NULL ||
		stmt->op != SETOP_NONE || stmt->valuesLists != NIL)
		return false;
	foreach(lc, stmt->targetList)
	{
		Node	   *value = lfirst_node(ResTarget, lc)->val;
		const char *name;

		if (!IsA(value, FuncCall))
			return false;
		name = strVal(llast(((FuncCall *) value)->funcname));
		if (strcmp(name, "pg_extension_config_dump") != 0 &&
			strcmp(name, "set_config") != 0)
			return false;
	}
	return true;
}

/* Notes the tables that foreign keys of a definition refer to. */
static void
add_referenced(UpdateScript *script, const Node *definition)
{
	const ListCell *lc;

	if (definition == NULL)
		return;
	if (IsA(definition, Constraint))
		add_range_var(script, ((const Constraint *) definition)->pktable,
					  ShareRowExclusiveLock);
	else if (IsA(definition, ColumnDef))
	{
		foreach(lc, ((const ColumnDef *) definition)->constraints)
			add_referenced(script, lfirst(lc));
	}
}

static int
scan_create_table(UpdateScript *script, const CreateStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->inhRelations)
		add_range_var(script, lfirst(lc), ShareUpdateExclusiveLock);
	foreach(lc, stmt->tableElts)
		add_referenced(script, lfirst(lc));
	return SCRIPT_CATALOGUE;
}

static int
scan_alter_table(UpdateScript *script, const AlterTableStmt *stmt)
{
	ListCell   *lc;

	add_range_var(script, stmt->relation, AlterTableGetLockLevel(stmt->cmds));
	foreach(lc, stmt->cmds)
		add_referenced(script, lfirst_node(AlterTableCmd, lc)->def);
	return SCRIPT_CATALOGUE;
}

/* COMMENT and ALTER EXTENSION ADD or DROP, which lock alike. */
static int
scan_object(UpdateScript *script, ObjectType type, const Node *object)
{
	if (is_relation(type) && object != NULL && IsA(object, List))
	{
		const List *names = (const List *) object;
		int			depth = type == OBJECT_COLUMN ? list_length(names) - 1 : list_length(names);

		if (type != OBJECT_TABCONSTRAINT)
			add_name_list(script, names, depth, ShareUpdateExclusiveLock);
	}
	return is_routine(type) ? SCRIPT_FUNCTIONS : SCRIPT_CATALOGUE;
}

/*
 * Notes a call of a function that may be the server's; false when it is another
 * one.  Names without a schema mean those of the server first, because
 * pg_catalog stands before the script's own search_path.
 */
static bool
add_call(ScriptScan *scan, const List *name)
{
	ListCell   *lc;

	if (list_length(name) > 1 && strcmp(strVal(linitial(name)), "pg_catalog") != 0)
		return false;
	foreach(lc, scan->called)
	{
		if (strcmp(lfirst(lc), strVal(llast(name))) == 0)
			return true;
	}
	scan->called = lappend(scan->called, pstrdup(strVal(llast(name))));
	return true;
}

/*
 * True when a statement calls a function that cannot be the server's; else the
 * names of all that it calls are noted.
 */
static bool
runs_code(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) && !add_call(context, ((FuncCall *) node)->funcname))
		return true;
	return raw_expression_tree_walker(node, runs_code, context);
}

/*
 * Statements that change rows.  They count as opaque when they call a
 * function that is not the server's; triggers of the tables are not looked
 * at.
 */
static int
scan_data_statement(ScriptScan *scan, const Node *stmt)
{
	UpdateScript *script = scan->script;

	switch (nodeTag(stmt))
	{
		case T_InsertStmt:
			add_range_var(script, ((const InsertStmt *) stmt)->relation, RowExclusiveLock);
			break;
		case T_UpdateStmt:
			add_range_var(script, ((const UpdateStmt *) stmt)->relation, RowExclusiveLock);
			break;
		case T_DeleteStmt:
			add_range_var(script, ((const DeleteStmt *) stmt)->relation, RowExclusiveLock);
			break;
		case T_MergeStmt:
			add_range_var(script, ((const MergeStmt *) stmt)->relation, RowExclusiveLock);
			break;
		case T_TruncateStmt:
			{
				ListCell   *lc;

				foreach(lc, ((const TruncateStmt *) stmt)->relations)
					add_range_var(script, lfirst(lc), AccessExclusiveLock);
				break;
			}
		case T_LockStmt:
			{
				ListCell   *lc;

				foreach(lc, ((const LockStmt *) stmt)->relations)
					add_range_var(script, lfirst(lc), ((const LockStmt *) stmt)->mode);
				break;
			}
		default:
			return SCRIPT_OPAQUE;
	}

	/*
	 * LOCK and TRUNCATE have no expressions, and the walker does not know
	 * them.
	 */
	if (IsA(stmt, LockStmt) || IsA(stmt, TruncateStmt))
		return SCRIPT_CATALOGUE;
	return SCRIPT_CATALOGUE |
		(runs_code(unconstify(Node *, stmt), scan) ? SCRIPT_OPAQUE : 0);
}

/*
 * Notes what one statement locks and gives back its SCRIPT_ bits.  The lock
 * levels are those of the server's own commands.
 */
int
du_script_statement_scan(ScriptScan *scan, const Node *stmt)
{
	UpdateScript *script = scan->script;

	switch (nodeTag(stmt))
	{
		case T_CreateFunctionStmt:
		case T_AlterFunctionStmt:
			return SCRIPT_FUNCTIONS;
		case T_DefineStmt:
			return is_routine(((const DefineStmt *) stmt)->kind) ?
				SCRIPT_FUNCTIONS : SCRIPT_CATALOGUE;
		case T_CommentStmt:
			return scan_object(script, ((const CommentStmt *) stmt)->objtype,
							   ((const CommentStmt *) stmt)->object);
		case T_AlterExtensionContentsStmt:
			return scan_object(script, ((const AlterExtensionContentsStmt *) stmt)->objtype,
							   ((const AlterExtensionContentsStmt *) stmt)->object);
		case T_DropStmt:
			return scan_drop(script, (const DropStmt *) stmt);
		case T_RenameStmt:
			if (!is_routine(((const RenameStmt *) stmt)->renameType))
				add_range_var(script, ((const RenameStmt *) stmt)->relation,
							  AccessExclusiveLock);
			return is_routine(((const RenameStmt *) stmt)->renameType) ?
				SCRIPT_FUNCTIONS : SCRIPT_CATALOGUE;
		case T_AlterObjectSchemaStmt:
			add_range_var(script, ((const AlterObjectSchemaStmt *) stmt)->relation,
						  AccessExclusiveLock);
			return SCRIPT_CATALOGUE;
		case T_AlterTableStmt:
			return scan_alter_table(script, (const AlterTableStmt *) stmt);
		case T_CreateStmt:
			return scan_create_table(script, (const CreateStmt *) stmt);
		case T_RefreshMatViewStmt:
			add_range_var(script, ((const RefreshMatViewStmt *) stmt)->relation,
						  AccessExclusiveLock);
			return SCRIPT_OPAQUE;
		case T_IndexStmt:
			add_range_var(script, ((const IndexStmt *) stmt)->relation, ShareLock);
			return SCRIPT_CATALOGUE;
		case T_CreateTrigStmt:
			add_range_var(script, ((const CreateTrigStmt *) stmt)->relation,
						  ShareRowExclusiveLock);
			add_range_var(script, ((const CreateTrigStmt *) stmt)->constrrel,
						  ShareRowExclusiveLock);
			return SCRIPT_CATALOGUE;
		case T_CreateStatsStmt:
			{
				ListCell   *lc;

				foreach(lc, ((const CreateStatsStmt *) stmt)->relations)
				{
					if (IsA(lfirst(lc), RangeVar))
						add_range_var(script, lfirst(lc), ShareUpdateExclusiveLock);
				}
				return SCRIPT_CATALOGUE;
			}
		case T_RuleStmt:
			add_range_var(script, ((const RuleStmt *) stmt)->relation, AccessExclusiveLock);
			return SCRIPT_CATALOGUE;
		case T_CreatePolicyStmt:
			add_range_var(script, ((const CreatePolicyStmt *) stmt)->table, AccessExclusiveLock);
			return SCRIPT_CATALOGUE;
		case T_AlterPolicyStmt:
			add_range_var(script, ((const AlterPolicyStmt *) stmt)->table, AccessExclusiveLock);
			return SCRIPT_CATALOGUE;
		case T_ViewStmt:
			if (((const ViewStmt *) stmt)->replace)
				add_range_var(script, ((const ViewStmt *) stmt)->view, AccessExclusiveLock);
			return SCRIPT_CATALOGUE;
		case T_AlterSeqStmt:
			add_range_var(script, ((const AlterSeqStmt *) stmt)->sequence, ShareRowExclusiveLock);
			return SCRIPT_CATALOGUE;
		case T_GrantStmt:
		case T_AlterDefaultPrivilegesStmt:
		case T_AlterOwnerStmt:
			return SCRIPT_PRIVILEGES;
		case T_CreateRoleStmt:
		case T_AlterRoleStmt:
		case T_AlterRoleSetStmt:
		case T_DropRoleStmt:
		case T_GrantRoleStmt:
			return SCRIPT_CLUSTER;
		case T_VariableSetStmt:
			return 0;
		case T_SelectStmt:
			return is_harmless_select((const SelectStmt *) stmt) ? 0 : SCRIPT_OPAQUE;
		case T_DoStmt:
		case T_CallStmt:
		case T_CreateTableAsStmt:
		case T_ExecuteStmt:
			return SCRIPT_OPAQUE;
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
		case T_TruncateStmt:
		case T_LockStmt:
			return scan_data_statement(scan, stmt);
		default:
			/* What is left defines catalogue entries (types, operators, ...). */
			return SCRIPT_CATALOGUE;
	}
}
