/*-------------------------------------------------------------------------
 *
 * script_objects.c
 *	  The objects that an update script names to drop or replace them.
 *
 * Names are taken as they are written, with the number of arguments where
 * there are some: which object of the catalogue each one means is for the one
 * who asks.  What DO blocks and functions drop is in no text and not here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/internal.h"

#include "nodes/parsenodes.h"
#include "nodes/value.h"

#include "base/base.h"

static List *
add_object(List *objects, const char *kind, const char *schema, const char *name, const char *does)
{
	ScriptObject *object = palloc0(sizeof(ScriptObject));

	object->kind = kind;
	object->schema = schema ? pstrdup(schema) : NULL;
	object->name = pstrdup(name);
	object->does = does;
	object->nargs = -1;
	return lappend(objects, object);
}

/* Adds the object that the last members of a dotted name stand for. */
static List *
add_dotted(List *objects, const char *kind, const List *names, const char *does)
{
	int			n = list_length(names);

	return add_object(objects, kind, n > 1 ? strVal(list_nth(names, n - 2)) : NULL,
					  strVal(llast(names)), does);
}

static List *
add_with_arguments(List *objects, const char *kind, const ObjectWithArgs *named, const char *does)
{
	objects = add_dotted(objects, kind, named->objname, does);
	if (!named->args_unspecified)
		((ScriptObject *) llast(objects))->nargs = list_length(named->objargs);
	return objects;
}

/* The word for a kind of object that others can depend on; NULL for the rest. */
static const char *
kind_of(ObjectType type)
{
	switch (type)
	{
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
		case OBJECT_AGGREGATE:
			return "routine";
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_SEQUENCE:
		case OBJECT_FOREIGN_TABLE:
			return "relation";
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			return "type";
		case OBJECT_OPERATOR:
			return "operator";
		case OBJECT_OPCLASS:
			return "operator class";
		case OBJECT_OPFAMILY:
			return "operator family";
		case OBJECT_COLLATION:
			return "collation";
		case OBJECT_TSCONFIGURATION:
			return "text search configuration";
		case OBJECT_TSDICTIONARY:
			return "text search dictionary";
		case OBJECT_SCHEMA:
			return "schema";
		case OBJECT_LANGUAGE:
			return "language";
		case OBJECT_ACCESS_METHOD:
			return "access method";
		case OBJECT_FDW:
			return "foreign-data wrapper";
		case OBJECT_FOREIGN_SERVER:
			return "server";
		default:
			return NULL;
	}
}

static List *
add_dropped(List *objects, const DropStmt *stmt)
{
	const char *kind = kind_of(stmt->removeType);
	const char *does = stmt->behavior == DROP_CASCADE ? "drops with CASCADE" : "drops";
	ListCell   *lc;

	if (kind == NULL)
		return objects;
	foreach(lc, stmt->objects)
	{
		const Node *named = lfirst(lc);

		if (IsA(named, ObjectWithArgs))
			objects = add_with_arguments(objects, kind, (const ObjectWithArgs *) named, does);
		else if (IsA(named, TypeName))
			objects = add_dotted(objects, kind, ((const TypeName *) named)->names, does);
		else if (IsA(named, List))
			objects = add_dotted(objects, kind, (const List *) named, does);
		else if (IsA(named, String))
			objects = add_object(objects, kind, NULL, strVal(unconstify(Node *, named)), does);
	}
	return objects;
}

static List *
add_columns(List *objects, const AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		ScriptObject *column;

		if (cmd->subtype != AT_DropColumn && cmd->subtype != AT_AlterColumnType)
			continue;
		objects = add_object(objects, "column", stmt->relation->schemaname, stmt->relation->relname,
							 cmd->subtype == AT_AlterColumnType ? "gives another type to" :
							 cmd->behavior == DROP_CASCADE ? "drops with CASCADE" : "drops");
		column = llast(objects);
		column->column = pstrdup(cmd->name);
	}
	return objects;
}

/* Its input arguments, which identify a routine. */
static int
count_arguments(const CreateFunctionStmt *stmt)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, stmt->parameters)
	{
		FunctionParameterMode mode = lfirst_node(FunctionParameter, lc)->mode;

		n += mode != FUNC_PARAM_TABLE && (mode != FUNC_PARAM_OUT || stmt->is_procedure);
	}
	return n;
}

/*
 * Adds what one statement drops or replaces to a list of ScriptObject, palloc'd.
 */
List *
du_script_objects_add(List *objects, const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_DropStmt:
			return add_dropped(objects, (const DropStmt *) stmt);
		case T_AlterTableStmt:
			return add_columns(objects, (const AlterTableStmt *) stmt);
		case T_CreateFunctionStmt:
			{
				const CreateFunctionStmt *create = (const CreateFunctionStmt *) stmt;

				if (!create->replace)
					return objects;
				objects = add_dotted(objects, "routine", create->funcname, "replaces");
				((ScriptObject *) llast(objects))->nargs = count_arguments(create);
				return objects;
			}
		default:
			return objects;
	}
}

/*
 * Writes an object as du_script_object_recall() reads it.
 */
void
du_script_object_keep(StringInfo value, const ScriptObject *object)
{
	du_cache_put_text(value, object->kind);
	du_cache_put_text(value, object->schema);
	du_cache_put_text(value, object->name);
	du_cache_put_text(value, object->column);
	du_cache_put_text(value, object->does);
	du_cache_put_int(value, object->nargs);
}

/*
 * The next object of a value; its texts stay there.
 */
ScriptObject *
du_script_object_recall(const char **value)
{
	ScriptObject *object = palloc(sizeof(ScriptObject));

	object->kind = du_cache_take_text(value);
	object->schema = du_cache_take_text(value);
	object->name = du_cache_take_text(value);
	object->column = du_cache_take_text(value);
	object->does = du_cache_take_text(value);
	object->nargs = du_cache_take_int(value);
	return object;
}

/*
 * True when a script of the plan, which must have been read, names an object of
 * that name, or of any where it is NULL, to drop, change or replace it.
 */
bool
du_plan_names_object(const UpgradePlan *plan, const char *name)
{
	for (int i = 0; i < plan->nsteps; i++)
	{
		ListCell   *lc;

		foreach(lc, plan->steps[i].script->objects)
		{
			const ScriptObject *object = lfirst(lc);

			if (name == NULL || strcmp(object->name, name) == 0)
				return true;
		}
	}
	return false;
}

/*
 * The names of the managed set, and what the scripts of a plan, which must have
 * been read, drop or replace; as a JSON object of two arrays: "extensions" and
 * "objects", each with kind, schema, name, nargs, column, does, script; palloc'd.
 */
char *
du_plan_objects(const UpgradePlan *plan, const UpgradeFacts *facts)
{
	StringInfoData buf;

	initStringInfo(&buf);
	du_write_open(&buf, NULL, '{');
	du_write_open(&buf, "extensions", '[');
	for (int i = 0; i < facts->nextensions; i++)
		du_write_text(&buf, NULL, facts->extensions[i].name);
	du_write_close(&buf, ']');
	du_write_open(&buf, "objects", '[');
	for (int i = 0; i < plan->nsteps; i++)
	{
		ListCell   *lc;

		foreach(lc, plan->steps[i].script->objects)
		{
			const ScriptObject *object = lfirst(lc);

			du_write_open(&buf, NULL, '{');
			du_write_text(&buf, "kind", object->kind);
			du_write_text(&buf, "schema", object->schema);
			du_write_text(&buf, "name", object->name);
			du_write_text(&buf, "column", object->column);
			if (object->nargs >= 0)
				du_write_int(&buf, "nargs", object->nargs);
			du_write_text(&buf, "does", object->does);
			du_write_text(&buf, "script", plan->steps[i].script->path);
			du_write_close(&buf, '}');
		}
	}
	du_write_close(&buf, ']');
	du_write_close(&buf, '}');
	return buf.data;
}
