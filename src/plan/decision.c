/*-------------------------------------------------------------------------
 *
 * decision.c
 *	  What a desired version means for an installed and a binary one.
 *
 * A pure function: the same input gives the same decision on every instance,
 * in tests, in what-if questions and in the worker.  The rows below stand in
 * their order of precedence and the first that applies wins.  What cannot be
 * ordered is refused with its reason, never skipped.
 *
 * Files can offer more than the binary version that they name.  That is for those
 * who ask for it: nothing else goes beyond the binary version.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/internal.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "extension/extension.h"

PG_FUNCTION_INFO_V1(documentdb_upgrade_decide);

static DecisionResult
result(Decision decision, const char *target, const char *reason)
{
	DecisionResult r = {decision, target, reason};

	return r;
}

/*
 * The decision for an explicit desired version.
 */
static DecisionResult
decide_explicit(const DecisionInput *input, const ExtensionVersion *installed,
				const ExtensionVersion *binary, const ExtensionVersion *limit)
{
	ExtensionVersion desired;
	const char *why;
	const char *target;

	if (!du_version_parse(input->desired, &desired, &why))
		return result(DECISION_REFUSE, NULL,
					  psprintf("The desired version \"%s\" cannot be ordered: %s",
							   input->desired, why));

	target = du_version_respell(input->desired, input->binary);

	if (du_version_compare(&desired, limit) > 0)
		return result(DECISION_WAIT, target,
					  psprintf("Version %s is desired, but this binary offers only %s.%s",
							   target, input->limit ? input->limit : input->binary,
							   du_version_extends(input->desired, input->binary) ?
							   psprintf(" A package and the extension in it have versions of their own: %s may be that of a package, whose extension is at %s.",
										target, input->binary) : ""));
	if (du_version_compare(&desired, installed) < 0)
		return result(DECISION_REFUSE, NULL,
					  psprintf("Version %s is desired, but %s is installed, and a schema never goes back.",
							   target, input->installed));
	if (du_version_compare(&desired, installed) == 0)
	{
		if (input->behind != NULL)
			return result(DECISION_FINALIZE, input->installed,
						  psprintf("Version %s is installed, as desired, but a companion is not at its target: %s.",
								   input->installed, input->behind));
		return result(DECISION_NONE, input->installed,
					  psprintf("Version %s is installed, as desired.",
							   input->installed));
	}
	if (du_version_compare(&desired, binary) == 0)
		target = input->binary;
	return result(DECISION_FINALIZE, target,
				  psprintf("Version %s is desired, %s is installed.",
						   target, input->installed));
}

/*
 * The decision where the installed version is that of the binary and no other is
 * desired.
 */
static DecisionResult
decide_at_binary(const DecisionInput *input, bool automatic)
{
	if (input->behind != NULL)
		return result(automatic ? DECISION_FINALIZE : DECISION_UPDATE_AVAILABLE, input->installed,
					  psprintf("Version %s is installed, and the binary offers nothing newer, but a companion is not at its target: %s.",
							   input->installed, input->behind));
	return result(DECISION_NONE, input->installed,
				  psprintf("Version %s is installed, and the binary offers nothing newer.",
						   input->installed));
}

/*
 * The decision and its reason.  Texts in the result are palloc'd or point
 * into the input.  Never raises for what a version says.
 */
DecisionResult
du_decide(const DecisionInput *input)
{
	ExtensionVersion installed;
	ExtensionVersion binary;
	ExtensionVersion limit;
	const char *why;
	const char *desired = input->desired ? input->desired : "";
	bool		automatic = strcmp(desired, "auto") == 0;

	if (input->installed == NULL)
		return result(DECISION_NOT_INSTALLED, NULL,
					  "The extension is not installed.");
	if (input->binary == NULL)
		return result(DECISION_REFUSE, NULL,
					  "The version that this binary offers is not known.");

	/* The very same text is the same version, whether it has an order or not. */
	if (strcmp(input->installed, input->binary) == 0 && (desired[0] == '\0' || automatic))
		return decide_at_binary(input, automatic);
	if (!du_version_parse(input->installed, &installed, &why))
		return result(DECISION_REFUSE, NULL,
					  psprintf("The installed version \"%s\" cannot be ordered: %s",
							   input->installed, why));
	if (!du_version_parse(input->binary, &binary, &why))
		return result(DECISION_REFUSE, NULL,
					  psprintf("The binary version \"%s\" cannot be ordered: %s",
							   input->binary, why));
	if (input->limit == NULL || !du_version_parse(input->limit, &limit, &why))
		limit = binary;
	if (du_version_compare(&limit, &installed) < 0)
	{
		ExtensionVersion ignored;

		if (desired[0] != '\0' && !automatic &&
			!du_version_parse(desired, &ignored, &why))
			return decide_explicit(input, &installed, &binary, &limit);
		return result(DECISION_SCHEMA_AHEAD, NULL,
					  psprintf("The schema is at %s, newer than the binary's %s.",
							   input->installed, input->binary));
	}

	if (desired[0] != '\0' && !automatic)
		return decide_explicit(input, &installed, &binary, &limit);

	if (du_version_compare(&binary, &installed) <= 0)
		return decide_at_binary(input, automatic);
	if (automatic)
		return result(DECISION_FINALIZE, input->binary,
					  psprintf("Following the binary: %s is installed, it offers %s.",
							   input->installed, input->binary));
	return result(DECISION_UPDATE_AVAILABLE, input->binary,
				  psprintf("The binary offers %s, %s is installed; nothing runs until a version is desired.",
						   input->binary, input->installed));
}

/*
 * The decision's name as SQL shows it.
 */
const char *
du_decision_name(Decision decision)
{
	switch (decision)
	{
		case DECISION_NOT_INSTALLED:
			return "not_installed";
		case DECISION_REFUSE:
			return "refuse";
		case DECISION_SCHEMA_AHEAD:
			return "schema_ahead";
		case DECISION_WAIT:
			return "wait";
		case DECISION_NONE:
			return "none";
		case DECISION_UPDATE_AVAILABLE:
			return "update_available";
		case DECISION_FINALIZE:
			return "finalize";
	}
	elog(ERROR, "unrecognized decision: %d", (int) decision);
}

/*
 * decide(desired text, installed text, binary text)
 * returns (decision text, target text, reason text)
 */
Datum
documentdb_upgrade_decide(PG_FUNCTION_ARGS)
{
	DecisionInput input = {0};
	DecisionResult decided;
	TupleDesc	tupdesc;
	Datum		values[3];
	bool		nulls[3] = {false};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	if (!PG_ARGISNULL(0))
		input.desired = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!PG_ARGISNULL(1))
		input.installed = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
		input.binary = text_to_cstring(PG_GETARG_TEXT_PP(2));

	decided = du_decide(&input);

	values[0] = CStringGetTextDatum(du_decision_name(decided.decision));
	nulls[1] = decided.target == NULL;
	if (decided.target != NULL)
		values[1] = CStringGetTextDatum(decided.target);
	values[2] = CStringGetTextDatum(decided.reason);

	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc),
													  values, nulls)));
}
