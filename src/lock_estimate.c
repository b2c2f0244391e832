/*-------------------------------------------------------------------------
 *
 * lock_estimate.c
 *	  How many entries of the shared lock table a plan may need.
 *
 * All steps run in one transaction, so their entries add up, and a relation
 * counts once however many steps touch it.  What a script names is counted
 * with its indexes, its TOAST table and its children, as the most that can be
 * locked.  Code that hides what it does is followed as far as its text can be
 * had (DO blocks, functions in SQL and PL/pgSQL); behind that every table that
 * belongs to the managed set or hangs on it counts.  Functions of released
 * DocumentDB versions are known for what they touch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lock_estimate.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "commands/proclang.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "code_scan.h"
#include "script_scan.h"

/* How far calls are followed. */
#define MAX_DEPTH			4

/* Entries that a function of an extension outside the managed set may need. */
#define FOREIGN_CALL		8

/* Entries of a new table: itself, TOAST with index, two indexes, sequence. */
#define NEW_TABLE			6

typedef enum CallEffect
{
	CALL_OWN_TABLES,			/* tables that are members, no others */
	CALL_COLLECTIONS			/* creation_time of every collection */
} CallEffect;

/*
 * C functions that released update scripts of DocumentDB call, by what the
 * step to a version was seen to lock.  One that is not listed may touch
 * everything.
 */
static const struct
{
	const char *function;
	const char *to;
	CallEffect	effect;
}			known_calls[] =

{
	{"apply_extension_data_table_upgrade", "0.102-0", CALL_COLLECTIONS},
	{"apply_extension_data_table_upgrade", "0.102-1", CALL_COLLECTIONS},
	{"apply_extension_data_table_upgrade", "0.116-0", CALL_OWN_TABLES},
	{"apply_extension_data_table_upgrade", "1.0-0", CALL_OWN_TABLES},
	{"schedule_background_index_build_jobs", "0.104-0", CALL_OWN_TABLES},
	{"setup_index_queue_table", "0.109-0", CALL_OWN_TABLES},
};

/* One step on the way. */
typedef struct StepContext
{
	LockEstimate *estimate;
	const ExtensionFacts *extension;
	const char *to;
} StepContext;

static void follow_code(const StepContext *step, const char *code, const char *what, int depth);

LockEstimate *
du_estimate_begin(const UpgradeFacts *facts)
{
	LockEstimate *estimate = palloc0(sizeof(LockEstimate));

	estimate->facts = facts;
	return estimate;
}

/*
 * Notes code that may touch any data table.
 */
static void
add_touch(const StepContext *step, const char *what, TableTouch touch)
{
	LockEstimate *estimate = step->estimate;

	estimate->touch = Max(estimate->touch, touch);
	if (estimate->because == NULL)
		estimate->because = psprintf("%s in the step of \"%s\" to \"%s\"", what,
									 step->extension->name, step->to);
}

/*
 * Adds the relation of a name, if there is one.
 */
static bool
add_named(const StepContext *step, const char *schema, const char *name)
{
	Oid			namespace = schema ? get_namespace_oid(schema, true) : step->extension->schema;
	Oid			relation;

	if (!OidIsValid(namespace))
		return false;
	relation = get_relname_relid(name, namespace);
	if (!OidIsValid(relation))
		return false;
	step->estimate->relations = list_append_unique_oid(step->estimate->relations, relation);
	return true;
}

/* A routine that the scripts make before it is called, or NULL. */
static const ScriptRoutine *
find_made(const StepContext *step, const char *schema, const char *name)
{
	ListCell   *lc;

	foreach(lc, step->estimate->routines)
	{
		const ScriptRoutine *routine = lfirst(lc);

		if (strcmp(routine->name.name, name) == 0 &&
			(schema == NULL || routine->name.schema == NULL ||
			 strcmp(routine->name.schema, schema) == 0))
			return routine;
	}
	return NULL;
}

/* True for a member of an extension that is not managed. */
static bool
is_foreign(const StepContext *step, Oid function)
{
	Oid			owner = getExtensionOfObject(ProcedureRelationId, function);

	if (!OidIsValid(owner))
		return false;
	for (int i = 0; i < step->estimate->facts->nextensions; i++)
	{
		if (step->estimate->facts->extensions[i].oid == owner)
			return false;
	}
	return true;
}

/*
 * Follows an existing function.
 */
static void
follow_function(const StepContext *step, HeapTuple tuple, int depth)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	const char *what = psprintf("Function \"%s\"", NameStr(form->proname));
	const char *language = get_language_name(form->prolang, true);
	bool		isnull;

	if (list_member_oid(step->estimate->followed, form->oid))
		return;
	step->estimate->followed = lappend_oid(step->estimate->followed, form->oid);
	if (is_foreign(step, form->oid))
		step->estimate->objects += FOREIGN_CALL;
	else if (language != NULL &&
			 (strcmp(language, "sql") == 0 || strcmp(language, "plpgsql") == 0))
	{
		Datum		source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);

		follow_code(step, TextDatumGetCString(source), what, depth + 1);
	}
	else
		add_touch(step, what, TOUCH_WHOLE);
}

/* True when a name was dealt with by what is known of released versions. */
static bool
add_known_call(const StepContext *step, const char *name)
{
	for (int i = 0; i < lengthof(known_calls); i++)
	{
		if (strcmp(step->extension->name, "documentdb") != 0 ||
			strcmp(known_calls[i].function, name) != 0 ||
			strcmp(known_calls[i].to, step->to) != 0)
			continue;
		if (known_calls[i].effect == CALL_COLLECTIONS)
		{
			step->estimate->collections = true;
			add_touch(step, psprintf("Function \"%s\"", name), TOUCH_NONE);
		}
		else
			step->estimate->own_tables = true;
		return true;
	}
	return false;
}

/*
 * Follows a call.  A name that is nothing that exists counts when it must be
 * a function, which it need not be in procedural code.
 */
static void
follow_call(const StepContext *step, const char *schema, const char *name,
			bool certain, int depth)
{
	const ScriptRoutine *made = find_made(step, schema, name);
	Oid			namespace = schema ? get_namespace_oid(schema, true) : step->extension->schema;
	CatCList   *candidates;
	bool		found = false;

	if (add_known_call(step, name))
		return;
	if (made != NULL)
	{
		const char *what = psprintf("Function \"%s\"", name);

		if (made->body != NULL)
			follow_code(step, made->body, what, depth + 1);
		else
			add_touch(step, what, TOUCH_WHOLE);
		return;
	}

	candidates = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	for (int i = 0; i < candidates->n_members; i++)
	{
		HeapTuple	tuple = &candidates->members[i]->tuple;

		if (((Form_pg_proc) GETSTRUCT(tuple))->pronamespace != namespace)
			continue;
		found = true;
		follow_function(step, tuple, depth);
	}
	ReleaseSysCacheList(candidates);
	if (!found && certain)
		add_touch(step, psprintf("Function \"%s\"", name), TOUCH_WHOLE);
}

/* Follows what a statement runs that is known by its text. */
static void
follow_statement_code(const StepContext *step, const ScriptCode *code,
					  const char *what, int depth)
{
	ListCell   *lc;

	foreach(lc, code->blocks)
		follow_code(step, lfirst(lc), "A DO block", depth + 1);
	foreach(lc, code->reads)
	{
		const ScriptName *read = lfirst(lc);

		(void) add_named(step, read->schema, read->name);
	}
	foreach(lc, code->calls)
	{
		const ScriptName *call = lfirst(lc);

		follow_call(step, call->schema, call->name, true, depth);
	}
	if (code->unknown)
		add_touch(step, what, TOUCH_WHOLE);
}

/*
 * Follows a statement that code executes and whose text is known.
 */
static void
follow_executed(const StepContext *step, const char *text, const char *what, int depth)
{
	UpdateScript script = {0};
	ListCell   *lc;

	script.path = "";
	script.text = text;

	du_script_scan(&script);
	if (script.problem != NULL)
	{
		add_touch(step, what, TOUCH_WHOLE);
		return;
	}
	foreach(lc, script.relations)
	{
		const ScriptRelation *relation = lfirst(lc);

		(void) add_named(step, relation->schema, relation->name);
	}
	follow_statement_code(step, &script.code, what, depth);
}

/*
 * Follows procedural code.  what names it for people.
 */
static void
follow_code(const StepContext *step, const char *code, const char *what, int depth)
{
	CodeMentions *mentions;
	ListCell   *lc;

	check_stack_depth();
	if (depth > MAX_DEPTH)
	{
		add_touch(step, what, TOUCH_WHOLE);
		return;
	}
	mentions = du_code_scan(code);
	if (mentions->touch != TOUCH_NONE)
		add_touch(step, what, mentions->touch);
	step->estimate->nobjects = Max(step->estimate->nobjects, mentions->nobjects);
	foreach(lc, mentions->statements)
		follow_executed(step, lfirst(lc), what, depth + 1);
	foreach(lc, mentions->names)
	{
		const CodeName *name = lfirst(lc);

		if (!add_named(step, name->schema, name->name) && name->called &&
			(name->schema == NULL || strcmp(name->schema, "pg_catalog") != 0))
			follow_call(step, name->schema, name->name, name->schema != NULL, depth);
	}
}

/*
 * Adds a step's script.  to is the step's version; the known locks are those
 * of the plan.
 */
void
du_estimate_add_step(LockEstimate *estimate, int extension, const char *to,
					 const UpdateScript *script, const KnownLock *locks, int nlocks)
{
	StepContext step;

	step.estimate = estimate;
	step.extension = &estimate->facts->extensions[extension];
	step.to = to;

	/* A statement locks the object that it changes, or those it refers to. */
	estimate->objects += script->nstatements - list_length(script->code.routines) +
		(int64) NEW_TABLE * script->ntables;
	estimate->routines = list_concat(list_copy(script->code.routines), estimate->routines);
	for (int i = 0; i < nlocks; i++)
		estimate->relations = list_append_unique_oid(estimate->relations, locks[i].relation);
	follow_statement_code(&step, &script->code, "A statement", 0);
}
