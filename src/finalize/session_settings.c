/*-------------------------------------------------------------------------
 *
 * session_settings.c
 *	  Settings of the caller that must not reach an update script.
 *
 * How a script is parsed, what its statements mean and what they store depends
 * on settings that any role can change.  A few have the value here that
 * scripts are written for.  All others go back to what the configuration says,
 * so that a script sees what a plain ALTER EXTENSION of a fresh session sees.
 * A value that the role or the connection brings along counts as the
 * session's: any role can choose those too.  What the database has counts as
 * configuration: its owner alone can choose it, and every session there has it.
 *
 * All of it lasts for the innermost execution context.  A RESET in a script, in
 * whatever form, would give back what the role or the connection has brought
 * along, so what we have set is looked at after each statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "miscadmin.h"
#include "utils/formatting.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "citus/citus.h"
#include "extension/extension.h"

static const struct
{
	const char *name;
	const char *value;
}			fixed[] =

{
	{"standard_conforming_strings", "on"},
	{"backslash_quote", "safe_encoding"},
	{"escape_string_warning", "on"},
	{"transform_null_equals", "off"},
	{"array_nulls", "on"},
	{"quote_all_identifiers", "off"},
	{"default_tablespace", ""},
	{"temp_tablespaces", ""},
	{"default_table_access_method", "heap"},
	{"default_toast_compression", "pglz"},
	{"row_security", "on"},
	{"session_replication_role", "origin"},
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"bytea_output", "hex"},
	{"extra_float_digits", "1"},
	{"xmloption", "content"},
	{"lo_compat_privileges", "off"},
	{"jit", "off"},

	/*
	 * Parallel workers wait for locks where our limits do not see it, and load
	 * libraries that look at the version in the catalogue, which is not yet
	 * the one that they are made for: some refuse to start then.
	 */
	{"max_parallel_workers_per_gather", "0"},
	{"max_parallel_maintenance_workers", "0"},
	{"createrole_self_grant", ""},	/* new in 16 */
	{"restrict_nonsystem_relation_kind", ""},	/* in minor releases of 2024 */
};

/* Settings that stay as they are. */
static const char *const left_alone[] = {
	/* Between the session and its client, or who watches it. */
	"application_name",
	"client_encoding",
	"client_min_messages",
	"documentdb_upgrade.progress_interval",
	"tcp_keepalives_count",
	"tcp_keepalives_idle",
	"tcp_keepalives_interval",
	"tcp_user_timeout",

	/* Limits of the caller: those that run would be switched off. */
	"client_connection_check_interval",
	"idle_in_transaction_session_timeout",
	"idle_session_timeout",
	"lock_timeout",
	"statement_timeout",
	"transaction_timeout",		/* new in 17 */

	/* Of the transaction or the session as such. */
	"role",
	"seed",
	"session_authorization",
	"transaction_deferrable",
	"transaction_isolation",
	"transaction_read_only",

	/* No longer to be changed once a temporary table was used. */
	"temp_buffers",

	/* Set by others of us: execution_context.c, attempt_recorder.c. */
	"search_path",
	"synchronous_commit",
};

typedef struct SettingPin
{
	struct config_generic *variable;
	const char *value;
} SettingPin;

/*
 * What the current attempt has pinned that a RESET would change, the
 * placeholders for which no library was found, and what the configuration says
 * when that was needed.  All of it lives in one memory context, the caller's.
 */
static MemoryContext pin_context = NULL;
static SettingPin *pins = NULL;
static int	npins = 0;
static List *placeholders = NIL;
static ConfiguredSettings *configured = NULL;
static struct config_generic *search_path = NULL;

/* True for a source that any role can use. */
static bool
is_callers(GucSource source)
{
	return source > PGC_S_DATABASE && source != PGC_S_OVERRIDE;
}

static bool
has_callers_value(const struct config_generic *variable)
{
	return is_callers(variable->source) || is_callers(variable->reset_source);
}

static bool
is_placeholder(const struct config_generic *variable)
{
	return (variable->flags & GUC_CUSTOM_PLACEHOLDER) != 0;
}

/* True when a name of a setting begins with this prefix and a dot. */
static bool
has_prefix(const char *name, const char *prefix)
{
	size_t		length = strlen(prefix);

	return pg_strncasecmp(name, prefix, length) == 0 && name[length] == '.';
}

/* True for a setting by which the coordinator of a cluster guides a node. */
static bool
is_coordinators(const char *name)
{
	return has_prefix(name, CITUS_NODE_PREFIX) || (has_prefix(name, "citus") && du_citus_is_carried());
}

/* The variable of a name, NULL when there is none. */
static struct config_generic *
find_variable(struct config_generic **variables, int nvariables, const char *name)
{
	int			low = 0;
	int			high = nvariables;

	/* They are sorted, without regard to case. */
	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			order = pg_strcasecmp(variables[middle]->name, name);

		if (order == 0)
			return variables[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * True for a setting that goes back to the configuration: one that any role
 * can change, or one of PL/pgSQL or a managed extension.
 */
static bool
is_restored(const struct config_generic *variable, const UpgradeFacts *facts)
{
	for (int i = 0; i < lengthof(left_alone); i++)
	{
		if (strcmp(variable->name, left_alone[i]) == 0)
			return false;
	}
	for (int i = 0; i < lengthof(fixed); i++)
	{
		if (strcmp(variable->name, fixed[i].name) == 0)
			return false;
	}
	if (variable->context == PGC_USERSET)
		return !is_coordinators(variable->name);
	if (variable->context != PGC_SUSET)
		return false;
	if (has_prefix(variable->name, "plpgsql"))
		return true;
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (has_prefix(variable->name, facts->extensions[i].name))
			return true;
	}
	return false;
}

/* Sets a setting; false when it refuses the value. */
static bool
set(const struct config_generic *variable, const char *value, GucAction action, int elevel)
{
	return set_config_option(variable->name, value, PGC_SUSET, PGC_S_SESSION,
							 action, true, elevel, false) > 0;
}

/* Sets one, and keeps in mind that it has to stay so. */
static void
pin(struct config_generic *variable, const char *value, GucAction action)
{
	(void) set(variable, value, action, 0);
	pins = pins ? repalloc(pins, (npins + 1) * sizeof(SettingPin)) : palloc(sizeof(SettingPin));
	pins[npins].variable = variable;
	pins[npins++].value = value;
}

/*
 * Gives a setting the value that it has when nothing of this role or
 * connection is counted.
 */
static void
restore(struct config_generic *variable, GucAction action)
{
	const char *value;

	if (!is_callers(variable->reset_source))
	{
		(void) set(variable, NULL, action, 0);
		return;
	}
	if (configured == NULL)
		configured = du_configured_read();
	value = du_configured_value(configured, variable->name);
	if (value == NULL || !set(variable, value, action, DEBUG1))
		value = du_configured_builtin(variable);
	pin(variable, value, action);
}

/*
 * Gives a placeholder what the configuration says, as a value of its own: when
 * its library comes after all, a value counts for more than a default.
 */
static void
restore_placeholder(struct config_generic *variable, GucAction action)
{
	const char *value;

	if (is_callers(variable->reset_source))
		value = du_configured_value(configured, variable->name);
	else
		value = GetConfigOptionResetString(variable->name);
	(void) set(variable, value ? value : "", action, 0);
}

/*
 * The prefixes, in lower case, of placeholders that the caller has set.
 */
static List *
placeholder_prefixes(void)
{
	List	   *prefixes = NIL;
	int			nvariables;
	struct config_generic **variables = du_guc_variables(&nvariables);

	for (int i = 0; i < nvariables; i++)
	{
		const char *dot;

		if (!is_placeholder(variables[i]) || !has_callers_value(variables[i]) ||
			is_coordinators(variables[i]->name))
			continue;
		dot = strchr(variables[i]->name, '.');
		if (dot != NULL)
			prefixes = lappend(prefixes, asc_tolower(variables[i]->name,
													 dot - variables[i]->name));
	}
	return prefixes;
}

/* Gives the settings of the first list their values. */
static void
pin_fixed(struct config_generic **variables, int nvariables)
{
	for (int i = 0; i < lengthof(fixed); i++)
	{
		struct config_generic *variable = find_variable(variables, nvariables, fixed[i].name);

		if (variable == NULL)
			continue;
		if (!has_callers_value(variable) &&
			strcmp(GetConfigOption(fixed[i].name, false, false), fixed[i].value) == 0)
			continue;
		pin(variable, fixed[i].value, GUC_ACTION_SAVE);
	}
}

/*
 * Raises where the caller has values for libraries that are not in memory, and
 * none may be loaded now.  What a background process has comes from the
 * configuration.
 */
static void
refuse_placeholders(const List *prefixes)
{
	if (prefixes == NIL || MyBackendType == B_BG_WORKER)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot begin with the update in this session: it has set \"%s.*\", whose library is not loaded",
					(char *) linitial(prefixes)),
			 errhint("RESET these settings, or run the update in a new session.")));
}

/*
 * Pins and restores them.  SPI must be connected.  May load libraries, unless
 * the attempt begins with the update, and may raise when a setting refuses its
 * own default.
 */
void
du_settings_pin(const UpgradeFacts *facts, bool alter_first)
{
	struct config_generic **variables;
	int			nvariables;
	List	   *prefixes = placeholder_prefixes();

	pin_context = CurrentMemoryContext;
	pins = NULL;
	npins = 0;
	placeholders = NIL;
	configured = NULL;
	if (alter_first)
		refuse_placeholders(prefixes);
	else if (prefixes != NIL)
		du_libraries_load(facts, prefixes);

	variables = du_guc_variables(&nvariables);

	/* First what the others' own checks may look at. */
	pin_fixed(variables, nvariables);
	for (int i = 0; i < nvariables; i++)
	{
		struct config_generic *variable = variables[i];

		if (!has_callers_value(variable) || !is_restored(variable, facts))
			continue;
		if (is_placeholder(variable))
		{
			/* Read now, because no query of ours can run within a script. */
			if (configured == NULL)
				configured = du_configured_read();
			placeholders = lappend(placeholders, pstrdup(variable->name));
			restore_placeholder(variable, GUC_ACTION_SAVE);
		}
		else
			restore(variable, GUC_ACTION_SAVE);
	}
	search_path = find_variable(variables, nvariables, "search_path");
}

/*
 * Restores the settings whose library has come meanwhile, and placeholders
 * that were reset.
 */
static void
restore_arrived(void)
{
	MemoryContext context = MemoryContextSwitchTo(pin_context);
	ListCell   *lc;
	int			nvariables;
	struct config_generic **variables = du_guc_variables(&nvariables);

	foreach(lc, placeholders)
	{
		struct config_generic *variable = find_variable(variables, nvariables, lfirst(lc));

		if (variable == NULL || is_placeholder(variable))
		{
			if (variable != NULL && variable->source != PGC_S_SESSION)
				restore_placeholder(variable, GUC_ACTION_SET);
			continue;
		}
		placeholders = foreach_delete_current(placeholders, lc);
		restore(variable, GUC_ACTION_SET);
	}
	MemoryContextSwitchTo(context);
}

/*
 * Pins once more what a statement of a script or a check has reset; lasts like
 * a SET of its own.  The server, or we, have set the search_path given.
 */
static void
pin_again(const char *path)
{
	for (int i = 0; i < npins; i++)
	{
		if (pins[i].variable->source != PGC_S_SESSION)
			(void) set(pins[i].variable, pins[i].value, GUC_ACTION_SET, 0);
	}
	if (path != NULL && search_path->source != PGC_S_SESSION)
		(void) set(search_path, path, GUC_ACTION_SET, 0);
	if (placeholders != NIL)
		restore_arrived();
}

/*
 * Raises when a statement has been analysed while something was reset, which
 * happens when an outer statement has done that and is not yet at its end: the
 * names in it mean what the caller has chosen.
 */
static void
check_kept(void)
{
	const char *name = NULL;

	for (int i = 0; i < npins; i++)
	{
		if (pins[i].variable->source != PGC_S_SESSION)
			name = pins[i].variable->name;
	}
	if (search_path->source != PGC_S_SESSION)
		name = search_path->name;
	if (name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot go on: setting \"%s\" was reset in the middle of a statement", name),
				 errdetail("What follows in the statement would run with a value that the caller has chosen."),
				 errhint("Use a statement RESET, or PERFORM in PL/pgSQL.")));
	if (placeholders != NIL)
		restore_arrived();
}

const SettingsKeeper du_settings_keeper = {check_kept, pin_again};
