/*-------------------------------------------------------------------------
 *
 * loaded_version.c
 *	  The version that the library in this server's memory reports.
 *
 * The function that tells it is named in a setting, so it is called only
 * when it is a member of the main extension.  That alone does not make it
 * trustworthy: an extension's owner can add members.  So it runs as that
 * owner, in the restricted mode, in a subtransaction that is rolled back.
 * One that fails (a library older than its schema may lack the symbol) is
 * expected trouble.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "loaded_version.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "extension_version.h"
#include "guc.h"
#include "subtransaction.h"

/*
 * The function of the configured name without arguments, when it belongs to
 * the extension and returns text; else InvalidOid.
 */
static Oid
find_version_function(Oid extension)
{
	char	   *copy = pstrdup(du_guc_loaded_version_function);
	List	   *names;
	List	   *qualified = NIL;
	ListCell   *lc;
	FuncCandidateList candidates;
	Oid			function;

	if (!SplitIdentifierString(copy, '.', &names) || list_length(names) != 2)
		return InvalidOid;
	foreach(lc, names)
		qualified = lappend(qualified, makeString(lfirst(lc)));
	candidates = FuncnameGetCandidates(qualified, 0, NIL, false, false, false, true);
	if (candidates == NULL)
		return InvalidOid;
	function = candidates->oid;
	if (getExtensionOfObject(ProcedureRelationId, function) != extension ||
		get_func_rettype(function) != TEXTOID)
		return InvalidOid;
	return function;
}

typedef struct VersionCall
{
	Oid			function;
	Oid			owner;
	char	   *reported;		/* NULL until it has been told */
} VersionCall;

/*
 * Calls the version function as the extension's owner.
 */
static void
call_version_function(void *arg)
{
	VersionCall *version_call = arg;
	FmgrInfo	flinfo;
	Oid			save_userid;
	int			save_security;
	Datum		value;

	LOCAL_FCINFO(call, 0);

	GetUserIdAndSecContext(&save_userid, &save_security);
	SetUserIdAndSecContext(version_call->owner,
						   save_security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	PushActiveSnapshot(GetTransactionSnapshot());

	fmgr_info(version_call->function, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, 0, InvalidOid, NULL, NULL);
	value = FunctionCallInvoke(call);
	if (!call->isnull)
		version_call->reported = TextDatumGetCString(value);

	PopActiveSnapshot();
	SetUserIdAndSecContext(save_userid, save_security);
}

/*
 * What the library in this server's memory reports as its version, spelled
 * as the extension spells versions; NULL when the extension offers no
 * version function, or when that function fails, which is a warning.  The
 * function is called only when it is a member of the main extension, and as
 * its owner.
 */
char *
du_loaded_version(const ExtensionFacts *main_extension)
{
	VersionCall version_call = {0};
	ErrorData  *error;

	if (!OidIsValid(main_extension->oid) ||
		du_guc_loaded_version_function[0] == '\0')
		return NULL;
	version_call.function = find_version_function(main_extension->oid);
	version_call.owner = main_extension->owner;
	if (!OidIsValid(version_call.function))
		return NULL;

	/* Settings, deferred triggers and whatever else it leaves are dropped. */
	error = du_subtransaction_run(call_version_function, &version_call,
								  SUBTRANSACTION_ROLL_BACK);
	if (error != NULL)
	{
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			error->sqlerrcode == ERRCODE_OUT_OF_MEMORY)
			ReThrowError(error);
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("function \"%s\" does not tell the loaded version: %s",
						du_guc_loaded_version_function, error->message)));
	}
	return version_call.reported ?
		du_version_respell(version_call.reported, main_extension->installed) : NULL;
}
