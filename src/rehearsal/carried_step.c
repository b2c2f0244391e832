/*-------------------------------------------------------------------------
 *
 * carried_step.c
 *	  Follows a step that the coordinator of a cluster has carried to this node.
 *
 * The coordinator hears of an error here what Citus passes on: so the error names
 * the script and the line, as the server itself does since release 18.  In a
 * rehearsal it also wants to know what the step does here.  This may not spoil
 * the statement: what goes wrong there costs the figures, or the line.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"
#include "rehearsal/rehearsal.h"

#include "executor/spi.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "citus/citus.h"
#include "extension/extension.h"
#include "finalize/finalize.h"

/* The settings of a statement that is no attempt's are its own, and nobody listens. */
static void
check_nothing(void)
{
}

static void
pin_nothing(const char *search_path)
{
}

static void
hear_nothing(void *arg, int statement, int offset)
{
}

static const SettingsKeeper no_keeper = {check_nothing, pin_nothing};
static const StatementListener nobody = {hear_nothing, NULL};

/* Adds to an error where in the script it has happened. */
static void
name_place(void *arg)
{
#if PG_VERSION_NUM < 180000		/* since then the server does */
	const CarriedStep *step = arg;
	const char *slash = strrchr(step->script->path, '/');
	int			offset = du_trace_offset();

	if (offset >= 0)
		errcontext("extension script file \"%s\", near line %d", slash ? slash + 1 : step->script->path,
				   du_script_statement_line(step->script, offset));
#endif
}

/* Finds the script, when the step is one script. */
static void
find_script(void *arg)
{
	CarriedStep *step = arg;
	UpgradeFacts *facts = du_managed_gather();
	bool		is_main = strcmp(step->extension, du_managed_main(facts)->name) == 0;
	UpgradePlan *plan = du_plan_make(facts, is_main ? step->to : NULL);

	du_plan_read_scripts(plan, facts);
	for (int i = 0; i < plan->nsteps; i++)
	{
		const PlanStep *found = &plan->steps[i];

		if (strcmp(facts->extensions[found->extension].name, step->extension) == 0 &&
			strcmp(found->from, step->from) == 0 && strcmp(found->to, step->to) == 0 &&
			found->script->text != NULL)
			step->script = found->script;
	}
}

/* Has the effects of what follows be found out. */
static void
start_effects(void *arg)
{
	du_effects_start(du_managed_gather());
	du_effects_begin_step(false);
}

typedef struct Work
{
	void		(*function) (void *arg);
	void	   *arg;
	const char *main_extension;
} Work;

/* The work of a subtransaction: in the step's set, and as our own code runs. */
static void
run_in_set(void *arg)
{
	const Work *work = arg;
	ExecutionContext execution;

	du_context_enter(&execution);
	du_main_run(work->main_extension, work->function, work->arg);
	du_context_leave(&execution);
}

/* Gives the error, NULL when there was none; a cancel is passed on. */
static ErrorData *
try_in_set(const CarriedStep *step, void (*function) (void *arg), void *arg)
{
	Work		work = {function, arg, du_managed_set_of(step->extension)};
	ErrorData  *error = du_subtransaction_run(run_in_set, &work, SUBTRANSACTION_KEEP);

	if (error != NULL && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	return error;
}

/*
 * Begins to look on.  Not in a subtransaction, whose transaction ID is later than
 * that of the step.
 */
static void
observe(CarriedStep *step)
{
	MemoryContext caller = CurrentMemoryContext;
	Work		work = {start_effects, NULL, du_managed_set_of(step->extension)};

	/* Ends with the subtransaction, and the looking on with it. */
	MemoryContextSwitchTo(AllocSetContextCreate(CurTransactionContext, "documentdb_upgrade carried step",
												ALLOCSET_DEFAULT_SIZES));
	run_in_set(&work);
	MemoryContextSwitchTo(caller);
	step->observed = true;
}

/*
 * Begins to follow a step that is about to run; to be called within PG_TRY, whose
 * end takes the error context back.
 */
void
du_carried_begin(CarriedStep *step)
{
	ExtensionVersion version;
	const char *reason;

	if (!OidIsValid(du_context_own_extension()) || du_managed_set_of(step->extension) == NULL)
		return;
	if (step->to != NULL && du_version_parse(step->to, &version, &reason))
		(void) try_in_set(step, find_script, step);
	du_carried_attempt_begin(&step->attempt, step->extension);
	if (du_citus_rehearsal() != NULL)
		observe(step);
	INSTR_TIME_SET_CURRENT(step->started);
	if (step->script != NULL || step->attempt.running)
		du_trace_start(step->oid, step->attempt.running ? &du_settings_keeper : &no_keeper, &nobody);
	if (step->script == NULL)
		return;
	step->callback.callback = name_place;
	step->callback.arg = step;
	step->callback.previous = error_context_stack;
	error_context_stack = &step->callback;
}

/* What a step has done, as JSON. */
typedef struct Figures
{
	const CarriedStep *step;
	double		ms;
	StringInfoData json;
} Figures;

static void
write_figures(void *arg)
{
	Figures    *figures = arg;
	MemoryContext caller = CurrentMemoryContext;
	PlanStep	step = {0};
	StepEffects *effects;
	StepRisk	risk;

	SPI_connect();
	MemoryContextSwitchTo(caller);
	step.from = figures->step->from;
	step.to = figures->step->to;
	effects = du_effects_end_step(&step);
	risk = du_risk_of(effects);
	du_rehearsal_write_step(&figures->json, figures->step->extension, &step, figures->ms, effects, &risk);
	SPI_finish();
	MemoryContextSwitchTo(caller);
}

/* Keeps for the coordinator what the step has done. */
static void
keep_figures(const CarriedStep *step)
{
	Figures		figures = {step};
	instr_time	duration;
	ErrorData  *error;

	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, step->started);
	figures.ms = INSTR_TIME_GET_MILLISEC(duration);
	initStringInfo(&figures.json);
	error = try_in_set(step, write_figures, &figures);
	du_figures_add(du_citus_rehearsal(), error == NULL ? figures.json.data : NULL,
				   error != NULL ? error->message : NULL);
}

/*
 * The statement has ended without an error; has_run: it has made the step, and was
 * no statement that changes nothing.
 */
void
du_carried_end(CarriedStep *step, bool has_run)
{
	if (step->observed && has_run)
		keep_figures(step);
	du_carried_attempt_end(&step->attempt);
}

/*
 * Ends it, whatever has become of the step.
 */
void
du_carried_stop(CarriedStep *step)
{
	if (step->script != NULL || step->attempt.running)
		du_trace_stop();
	du_carried_attempt_stop(&step->attempt);
	if (step->observed)
		du_effects_stop();
	step->observed = false;
}

/*
 * Ends one that has raised an error, in PG_CATCH; raises what that means.
 */
void
du_carried_fail(CarriedStep *step)
{
	ErrorData  *error;

	du_carried_stop(step);
	MemoryContextSwitchTo(CurTransactionContext);
	error = CopyErrorData();
	FlushErrorState();
	du_carried_attempt_explain(&step->attempt, error);
	ReThrowError(error);
}
