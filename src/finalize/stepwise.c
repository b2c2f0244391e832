/*-------------------------------------------------------------------------
 *
 * stepwise.c
 *	  An upgrade that commits each version on its way by itself.
 *
 * There are steps that cannot follow each other in one transaction: one that
 * leaves trigger events behind, and another that alters the table.  Each version
 * of the main extension on the way is finalized like any target, companions
 * included, in a process of its own, because a function cannot commit.  What is
 * committed stays; the error says how far that is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "miscadmin.h"

#include "base/base.h"
#include "extension/extension.h"
#include "plan/plan.h"

/* The way of the main extension; NULL when one attempt says all. */
static const UpdatePath *
find_path(const FinalizeRequest *request)
{
	UpgradeFacts *facts = du_managed_gather();
	UpgradePlan *plan = request->from != NULL ? du_plan_make_named(facts, request->target) :
		du_plan_make(facts, request->target);
	const UpdatePath *path = plan->targets[facts->main].path;

	return path != NULL && path->nversions > 2 ? path : NULL;
}

/* Says how far it came, with the error of the step that failed. */
static void
fail_at(const AttemptOutcome *outcome, const char *committed, const char *target)
{
	const char *stands = committed == NULL ? "Nothing was committed." :
		psprintf("Committed up to \"%s\", which is the installed version now.", committed);

	ereport(ERROR,
			(errcode(outcome->sqlstate),
			 errmsg("stopped on the way to \"%s\": %s", target, outcome->message),
			 errdetail_internal("%s%s%s", stands, outcome->detail[0] ? " " : "", outcome->detail),
			 outcome->hint[0] ? errhint("%s", outcome->hint) : 0));
}

/*
 * Carries a request out version by version, and gives back the row of history of
 * the last one, palloc'd.  Raises what the first attempt that fails has raised,
 * and 53400 and 57000 as du_attempt_detach() does.
 */
Datum
du_finalize_stepwise(const FinalizeRequest *request)
{
	const UpdatePath *path = find_path(request);
	AttemptOrder order;
	AttemptOutcome outcome;
	Datum		row = (Datum) 0;

	du_attempt_describe(request, &order);
	if (path == NULL)
	{
		row = du_attempt_detach(&order, &outcome);
		if (outcome.result == ATTEMPT_FAILED)
			fail_at(&outcome, NULL, request->target);
		return row;
	}
	for (int i = 1; i < path->nversions; i++)
	{
		CHECK_FOR_INTERRUPTS();
		strlcpy(order.target, path->versions[i], sizeof(order.target));
		if (request->from != NULL)
			strlcpy(order.from, path->versions[i - 1], sizeof(order.from));
		row = du_attempt_detach(&order, &outcome);
		if (outcome.result == ATTEMPT_FAILED)
			fail_at(&outcome, i > 1 ? path->versions[i - 1] : NULL, path->versions[i]);
		ereport(NOTICE,
				(errmsg("committed version \"%s\", step %d of %d", path->versions[i], i, path->nversions - 1)));

		/* It was for the first; what it stands for has changed since. */
		order.fingerprint[0] = '\0';
	}
	return row;
}
