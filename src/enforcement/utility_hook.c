/*-------------------------------------------------------------------------
 *
 * utility_hook.c
 *	  Sees the statements that concern us before they run.
 *
 * Adds to what object_access.c enforces what only a statement knows: the
 * version that it is to end at, so that what cannot work is refused before
 * any script has run; the guards that warn; and the record when it is done.
 * It also has the worker give way to those who want its database.
 *
 * All other statements cost one switch.  The tree is never changed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "enforcement/internal.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_extension.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "citus/citus.h"
#include "extension/extension.h"
#include "processes/processes.h"
#include "rehearsal/rehearsal.h"

/*
 * Passes a statement on while it is known to be the one that runs; carried is NULL
 * when the coordinator of a cluster has not sent it.
 */
static void
pass_on_guarded(const UtilityCall *call, GuardedStatement *statement, CarriedStep *carried)
{
	du_enforcement_begin(statement);
	PG_TRY();
	{
		if (carried != NULL)
			du_carried_begin(carried);
		du_hooks_pass_on(call);
		if (carried != NULL)
			du_carried_end(carried, statement->updated_to != NULL);
	}
	PG_CATCH();
	{
		du_enforcement_end(statement);
		if (carried != NULL)
			du_carried_fail(carried);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (carried != NULL)
		du_carried_stop(carried);
	du_enforcement_end(statement);
}

/* The version in a list of options, NULL when there is none. */
static const char *
new_version(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, "new_version") == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

static void
create_extension(const UtilityCall *call, CreateExtensionStmt *create)
{
	GuardedStatement statement = {GUARDED_CREATE};

	statement.extension = create->extname;
	statement.version = new_version(create->options);

	/* A cascade that installs us something is seen later. */
	if (du_guc_enforce == ENFORCE_ON && du_enforcement_watches(create->extname) &&
		!OidIsValid(get_extension_oid(create->extname, true)))
		du_enforcement_judge_create(create->extname, statement.version);
	pass_on_guarded(call, &statement, NULL);
	du_shared_wake_worker_at_commit();
}

/*
 * True when an installed extension is ours to watch and this role's to
 * change; its OID and version are handed out.
 */
static bool
may_change(const char *name, Oid *oid, const char **installed)
{
	if (creating_extension || !du_enforcement_watches(name))
		return false;
	*installed = du_extension_installed_version(name, oid);
	return *installed != NULL && du_extension_ownercheck(*oid, GetUserId());
}

static void
refuse_in_recovery(const char *extension)
{
	if (RecoveryInProgress() && du_guc_enforce == ENFORCE_ON)
		du_refusal_say(ERROR, ERRCODE_READ_ONLY_SQL_TRANSACTION,
					   psprintf("cannot update extension \"%s\": refused by guard \"not_in_recovery\"", extension),
					   "This server is a standby.",
					   "Connect to the primary; its commit reaches every standby.");
}

static void
update_extension(const UtilityCall *call, AlterExtensionStmt *alter)
{
	GuardedStatement statement = {GUARDED_UPDATE};
	CarriedStep carried = {0};
	ManualUpdate update = {0};

	update.extension = alter->extname;
	if (!may_change(alter->extname, &update.oid, &update.from))
	{
		du_hooks_pass_on(call);
		return;
	}
	refuse_in_recovery(alter->extname);
	update.from = du_enforcement_start_of(alter->extname, update.from);
	update.started_at = GetCurrentTimestamp();
	update.to = new_version(alter->options);
	statement.extension = alter->extname;
	statement.version = update.to;
	statement.from = update.from;
	if (!XactReadOnly)
	{
		du_enforcement_judge_update(&statement, update.from);
		du_manual_judge(&update);
	}
	carried.oid = update.oid;
	carried.extension = update.extension;
	carried.from = update.from;
	carried.to = update.to;
	pass_on_guarded(call, &statement, du_citus_is_carried() ? &carried : NULL);

	if (statement.updated_to == NULL)
		return;
	update.from = statement.updated_from;
	update.to = statement.updated_to;
	if (statement.against != NULL)
		update.overridden = lappend(update.overridden, pstrdup(statement.against));
	du_manual_finish(&update);
}

/*
 * Refuses before the members' locks are taken; a warning comes when they are.
 */
static void
before_drop(DropStmt *drop)
{
	ListCell   *lc;

	if (drop->removeType != OBJECT_EXTENSION)
		return;
	du_shared_wake_worker_at_commit();
	if (du_guc_enforce != ENFORCE_ON)
		return;
	foreach(lc, drop->objects)
	{
		const char *installed;
		Oid			oid;

		if (may_change(strVal(lfirst(lc)), &oid, &installed))
			du_enforcement_judge_drop(strVal(lfirst(lc)), installed);
	}
}

/*
 * What was prepared is the managed set's business when it changes a version.
 * The session that prepared it may be gone; the server itself has every
 * session forget what it has cached.
 */
static void
commit_prepared(const UtilityCall *call)
{
	WorkerFacts worker;
	char	   *before;

	if (!du_shared_serving(&worker))
	{
		du_hooks_pass_on(call);
		return;
	}
	before = du_managed_versions();
	du_hooks_pass_on(call);
	AcceptInvalidationMessages();
	if (strcmp(before, du_managed_versions()) != 0)
		du_shared_wake_worker();
}

static void
guarded_utility(const UtilityCall *call)
{
	Node	   *statement = call->pstmt->utilityStmt;

	switch (nodeTag(statement))
	{
		case T_AlterExtensionStmt:
			update_extension(call, (AlterExtensionStmt *) statement);
			return;
		case T_CreateExtensionStmt:
			create_extension(call, (CreateExtensionStmt *) statement);
			return;
		case T_TransactionStmt:
			if (((TransactionStmt *) statement)->kind != TRANS_STMT_COMMIT_PREPARED)
				break;
			commit_prepared(call);
			return;
		case T_DropStmt:
			before_drop((DropStmt *) statement);
			break;
		case T_DropdbStmt:
		case T_CreatedbStmt:
		case T_AlterDatabaseStmt:
		case T_RenameStmt:
			du_give_way_to(statement);
			break;
		default:
			break;
	}
	du_hooks_pass_on(call);
}

/*
 * Begins that; to be called while libraries are preloaded.
 */
void
du_utility_install(void)
{
	du_hooks_add_utility(guarded_utility);
}
