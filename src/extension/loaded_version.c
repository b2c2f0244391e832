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
 * Beside it, the version that a library believes to be in force: DocumentDB gates
 * its features on a copy of the installed version in shared memory, six 32-bit
 * integers, of which the first three are major, minor and patch; all zero means
 * that it is loaded at the next use.  The segment is looked up in the server's
 * own list first, because attaching to one that does not exist would create it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/internal.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "base/base.h"

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
 * The function that tells the loaded version, InvalidOid when the extension
 * has none.
 */
Oid
du_loaded_version_function(const ExtensionFacts *main_extension)
{
	if (!OidIsValid(main_extension->oid) ||
		du_guc_loaded_version_function[0] == '\0')
		return InvalidOid;
	return find_version_function(main_extension->oid);
}

/*
 * What that function reports, spelled as the extension spells versions; NULL
 * when it reports nothing or fails, and then *problem says why if it failed.
 * It is called as the extension's owner.
 */
char *
du_loaded_version_ask(const ExtensionFacts *main_extension, Oid function,
					  ErrorData **problem)
{
	VersionCall version_call = {0};

	version_call.function = function;
	version_call.owner = main_extension->owner;

	/* Settings, deferred triggers and whatever else it leaves are dropped. */
	*problem = du_subtransaction_run(call_version_function, &version_call,
									 SUBTRANSACTION_ROLL_BACK);
	if (*problem != NULL &&
		((*problem)->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		 (*problem)->sqlerrcode == ERRCODE_OUT_OF_MEMORY))
		ReThrowError(*problem);
	return version_call.reported ?
		du_version_respell(version_call.reported, main_extension->installed) : NULL;
}

/*
 * The same, NULL too when the extension offers no version function.  One that
 * fails is a warning.
 */
char *
du_loaded_version(const ExtensionFacts *main_extension)
{
	Oid			function = du_loaded_version_function(main_extension);
	ErrorData  *problem;
	char	   *version;

	if (!OidIsValid(function))
		return NULL;
	version = du_loaded_version_ask(main_extension, function, &problem);
	if (problem != NULL)
		ereport(WARNING,
				(errcode(problem->sqlerrcode),
				 errmsg("function \"%s\" does not tell the loaded version: %s",
						du_guc_loaded_version_function, problem->message)));
	return version;
}

#define GATE_INTEGERS 6
#define DOCUMENTDB_GATE "DocumentDB Version Cache"

/*
 * True when the gate that is configured is that of the main extension.  Where
 * there are several, the one that nobody has configured is DocumentDB's, and
 * any other one that of the first.
 */
bool
du_loaded_gate_is_of_main(void)
{
	if (list_length(du_main_extensions()) == 1)
		return true;
	if (strcmp(du_guc_version_gate, DOCUMENTDB_GATE) == 0)
		return strcmp(du_main_extension(), "documentdb") == 0;
	return du_main_selected()[0] == '\0';
}

/*
 * True when the configured segment exists with the size we know.  One that does
 * stays as long as the server's shared memory, so it is asked for once.
 */
static bool
gate_exists(void)
{
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2];
	StringInfoData key;
	size_t		length;
	bool		exists;

	du_cache_key(&key, "version gate");
	appendStringInfoString(&key, du_guc_version_gate);
	if (du_cache_find(&key, &length) != NULL)
		return true;
	values[0] = CStringGetTextDatum(du_guc_version_gate);
	values[1] = Int64GetDatum(GATE_INTEGERS * sizeof(int32));
	exists = du_query("SELECT 1 FROM pg_catalog.pg_shmem_allocations a"
					  " WHERE a.name = $1 AND a.size = $2",
					  2, types, values) == 1;
	SPI_freetuptable(SPI_tuptable);
	if (exists)
		du_cache_keep(&key, "t", 1);
	return exists;
}

/*
 * The version in force, spelled like another one and palloc'd; NULL when
 * there is no gate, or when it will be loaded at the next use.
 */
char *
du_loaded_gate(const char *spelled_like)
{
	volatile int32 *gate;
	bool		found;

	if (du_guc_version_gate[0] == '\0' || !du_loaded_gate_is_of_main() || !gate_exists())
		return NULL;
	gate = ShmemInitStruct(du_guc_version_gate, GATE_INTEGERS * sizeof(int32), &found);
	if (gate[0] == 0 && gate[1] == 0 && gate[2] == 0)
		return NULL;
	return du_version_respell(psprintf("%d.%d.%d", gate[0], gate[1], gate[2]),
							  spelled_like);
}
