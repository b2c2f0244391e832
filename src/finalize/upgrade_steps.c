/*-------------------------------------------------------------------------
 *
 * upgrade_steps.c
 *	  Runs the steps of a plan: what finalize and rehearsal have in common.
 *
 * Each script runs by an ALTER EXTENSION UPDATE TO of its own, as the owner
 * of its extension where the server allows that.  The server would run the same scripts in one statement;
 * one by one they can be timed, named in errors, and interrupted in between.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/base.h"
#include "citus/citus.h"
#include "extension/extension.h"
#include "plan/plan.h"
#include "processes/processes.h"

/*
 * Prepares a run; nothing is executed yet.
 */
void
du_steps_start(StepsRun *run, const UpgradeFacts *facts, const UpgradePlan *plan, Oid caller)
{
	run->facts = facts;
	run->plan = plan;
	run->caller = caller;
	run->observer = NULL;
	run->what = "upgrade";
	run->current = -1;
	initStringInfo(&run->report);
}

static void
report_step(StepsRun *run, const PlanStep *step, const char *extension, double ms)
{
	StringInfo	buf = &run->report;

	du_write_open(buf, NULL, '{');
	du_write_text(buf, "extension", extension);
	du_write_text(buf, "from", step->from);
	du_write_text(buf, "to", step->to);
	du_write_text(buf, "sha256", step->script->sha256);
	du_write_number(buf, "ms", ms);
	du_write_close(buf, '}');
}

/*
 * Raises when a script is no longer the one that was planned: the server
 * reads the file itself, after we did.
 */
static void
check_unchanged(const UpdateScript *script)
{
	const char *sha256 = du_digest_file(script->path);

	if (sha256 != NULL && strcmp(sha256, script->sha256) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("script \"%s\" was changed during the upgrade", script->path),
			 errhint("Review the plan again.")));
}

/*
 * As whom a step runs: the extension's owner, who gets no rights by it, or the
 * caller where the server would not let the owner and the caller is a superuser,
 * who could run ALTER EXTENSION just as well.
 */
static Oid
role_of_step(const StepsRun *run, const PlanStep *step)
{
	const ExtensionFacts *extension = &run->facts->extensions[step->extension];

	if (!du_script_suits_owner(step->script, extension) && superuser_arg(run->caller))
		return run->caller;
	return extension->owner;
}

/* Where a statement of the running script is, palloc'd for people. */
static char *
position_within(StepsRun *run, int statement, int offset)
{
	const UpdateScript *script = run->plan->steps[run->current].script;
	StringInfoData text;
	int			line;

	initStringInfo(&text);
	appendStringInfo(&text, "%s, statement %d", run->position, statement);
	if (statement <= script->nstatements)
		appendStringInfo(&text, " of %d", script->nstatements);
	line = du_script_follow(script, offset, &run->place);
	if (line > 0)
		appendStringInfo(&text, " near line %d", line);
	return text.data;
}

/*
 * Tells that from within the script.  The server keeps a script's own notices
 * from the client, by a setting that this message is not meant for: the caller's
 * counts.  A script that has chosen a setting itself is not talked into.
 */
static void
tell_position(StepsRun *run, const char *position)
{
	int			script_level = client_min_messages;

	if (script_level != Max(run->client_level, WARNING))
	{
		du_progress_show(&run->progress, position);
		return;
	}
	client_min_messages = run->client_level;
	PG_TRY();
	{
		du_progress_tell(&run->progress, position, 0);
	}
	PG_FINALLY();
	{
		client_min_messages = script_level;
	}
	PG_END_TRY();
}

/*
 * Serves the trace.  A statement that is begun is shown at once: it can be the
 * long one.
 */
static void
hear_statement(void *arg, int statement, int offset)
{
	StepsRun   *run = arg;
	bool		due = du_progress_is_due(&run->progress);
	char	   *position;

	if (!due && statement == run->shown)
		return;
	position = position_within(run, statement, offset);
	if (due)
		tell_position(run, position);
	else
		du_progress_show(&run->progress, position);
	run->shown = statement;
	pfree(position);
}

/* Runs a step; gives back its duration in milliseconds. */
static double
run_step(StepsRun *run, const PlanStep *step)
{
	const ExtensionFacts *extension = &run->facts->extensions[step->extension];
	char	   *statement = du_plan_statement(extension->name, step->to);
	Oid			save_userid;
	int			save_security;
	instr_time	start;
	instr_time	duration;
	int			guc_nestlevel;
	StatementListener listener = {hear_statement, run};

	INSTR_TIME_SET_CURRENT(start);
	GetUserIdAndSecContext(&save_userid, &save_security);
	SetUserIdAndSecContext(role_of_step(run, step),
						   save_security | SECURITY_LOCAL_USERID_CHANGE);
	guc_nestlevel = NewGUCNestLevel();
	run->client_level = client_min_messages;
	run->shown = 0;
	memset(&run->place, 0, sizeof(run->place));
	du_trace_start(extension->oid, &du_settings_keeper, &listener);

	run->in_script = true;
	du_execute(statement);
	run->in_script = false;

	du_trace_stop();

	/* What a script sets ends with the script. */
	AtEOXact_GUC(false, guc_nestlevel);
	SetUserIdAndSecContext(save_userid, save_security);
	du_limits_check();
	check_unchanged(step->script);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	report_step(run, step, extension->name, INSTR_TIME_GET_MILLISEC(duration));
	return INSTR_TIME_GET_MILLISEC(duration);
}

/* The work of a subtransaction: the current step, looked at. */
static void
run_observed_step(void *arg)
{
	StepsRun   *run = arg;
	const StepObserver *observer = run->observer;
	const PlanStep *step = &run->plan->steps[run->current];
	double		ms;

	observer->before(observer->arg, step);
	ms = run_step(run, step);
	observer->after(observer->arg, step, ms);
}

/*
 * The current step: in a subtransaction of its own when somebody looks on,
 * so that what it writes can be told from the rest.
 */
static void
run_current_step(StepsRun *run)
{
	ErrorData  *error;

	if (run->observer == NULL)
	{
		(void) run_step(run, &run->plan->steps[run->current]);
		return;
	}
	error = du_subtransaction_run(run_observed_step, run, SUBTRANSACTION_KEEP);
	if (error != NULL)
		ReThrowError(error);
}

/*
 * Makes every session, and every standby, forget what it has cached of the
 * extensions' tables.  Extensions that gate features on the version in the
 * catalogue (DocumentDB does) drop their copy on this signal, now and at the
 * commit.  SPI must be connected.
 */
void
du_steps_refresh_gates(const UpgradeFacts *facts)
{
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (OidIsValid(facts->extensions[i].oid))
			du_members_invalidate_tables(facts->extensions[i].oid);
	}
}

/*
 * Runs every step, in order.  Raises what a script raises; run->current then
 * tells which one.  SPI must be connected, and the plan's scripts read.
 */
void
du_steps_run(StepsRun *run)
{
	du_progress_start(&run->progress, run->what);
	for (int i = 0; i < run->plan->nsteps; i++)
	{
		const PlanStep *step = &run->plan->steps[i];
		const char *extension = run->facts->extensions[step->extension].name;

		run->current = i;
		run->position = psprintf("step %d of %d (%s %s to %s)", i + 1, run->plan->nsteps, extension,
								 step->from, step->to);
		du_running_step(i + 1, run->plan->nsteps, extension, step->from, step->to);
		if (du_progress_is_due(&run->progress))
			du_progress_tell(&run->progress, run->position, (double) i / run->plan->nsteps);
		else
			du_progress_show(&run->progress, run->position);
		run_current_step(run);
	}
	du_progress_end();
	run->current = -1;
}

/*
 * The steps that have run, as a palloc'd JSON array.
 */
char *
du_steps_report(const StepsRun *run)
{
	return psprintf("[%s]", run->report.data);
}

/*
 * The byte offset of the nth character, counted from 1.
 */
static int
byte_offset(const char *text, int character)
{
	const char *p = text;

	while (--character > 0 && *p != '\0')
		p += pg_mblen(p);
	return (int) (p - text);
}

/*
 * The line at which an error has a position in the script; 0 when it has
 * none.  Before 18 the position counts from the start of the script, and the
 * text that comes with it is our own statement's; since then, and for errors
 * inside a DO block, the text is a piece of the script.
 */
static int
position_line(const UpdateScript *script, const char *statement, const ErrorData *edata)
{
	int			begun = Max(du_trace_offset(), 0);
	const char *piece;

	if (edata->internalpos <= 0 || edata->internalquery == NULL)
		return 0;
	if (strcmp(edata->internalquery, statement) == 0)
		return du_script_line(script, byte_offset(script->text, edata->internalpos));
	if (begun > (int) strlen(script->text))
		return 0;
	piece = strstr(script->text +begun, edata->internalquery);
	if (piece == NULL)
		return 0;
	return du_script_line(script, (piece - script->text) +
						  byte_offset(edata->internalquery, edata->internalpos));
}

/*
 * The line of a failing script, 0 when it is not known: that of the error's
 * position, else the one that the server names (18), else that of the last
 * statement that was begun.  An error of another node is in the script there,
 * and this one may have run to its end.
 */
static int
error_line(const PlanStep *step, const char *statement, const ErrorData *edata)
{
	static const char near_line[] = ", near line ";
	const char *hit = edata->context ? strstr(edata->context, near_line) : NULL;
	bool		is_ours = du_citus_node_of_error(edata) == NULL;
	int			line = 0;

	if (is_ours && step->script->text !=NULL)
		line = position_line(step->script, statement, edata);
	if (line == 0 && hit != NULL)
		line = atoi(hit + strlen(near_line));
	if (is_ours && line == 0 && step->script->text !=NULL && du_trace_offset() >= 0)
		line = du_script_statement_line(step->script, du_trace_offset());
	return line;
}

/*
 * Adds to an error which step, script and line it comes from.  Does nothing
 * when no step was running.  edata is changed in place, in the current
 * memory context.
 */
ScriptLocation
du_steps_describe_error(const StepsRun *run, ErrorData *edata)
{
	ScriptLocation location = {0};
	const PlanStep *step;
	const char *extension;
	const char *statement;
	StringInfoData context;

	if (run->current < 0)
		return location;

	step = &run->plan->steps[run->current];
	extension = run->facts->extensions[step->extension].name;
	statement = du_plan_statement(extension, step->to);
	location.script = step->script->path;
	location.line = error_line(step, statement, edata);

	/* The statement's text is ours and says nothing about the script. */
	if (edata->internalquery != NULL && strcmp(edata->internalquery, statement) == 0)
	{
		edata->internalquery = NULL;
		edata->internalpos = 0;
	}

	initStringInfo(&context);
	if (edata->context != NULL)
		appendStringInfo(&context, "%s\n", edata->context);
	appendStringInfo(&context, "step %d of %d: extension \"%s\" from \"%s\" to \"%s\", script \"%s\"",
					 run->current + 1, run->plan->nsteps, extension,
					 step->from, step->to, location.script);
	if (location.line > 0)
		appendStringInfo(&context, " near line %d", location.line);
	edata->context = context.data;
	return location;
}
