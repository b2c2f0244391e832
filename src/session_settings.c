/*-------------------------------------------------------------------------
 *
 * session_settings.c
 *	  Settings of the caller that must not reach an update script.
 *
 * How a script is parsed, and what its statements mean, depends on settings
 * that any role can change.  Those of the server that matter are pinned to
 * their defaults; what the session has set of PL/pgSQL and of the managed
 * extensions goes back to what the configuration says.  All of it lasts for
 * the innermost execution context.  A value that the role or the connection
 * brings along counts as the session's: any role can choose those too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "session_settings.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

#include "compat.h"
#include "execution_context.h"

static const struct
{
	const char *name;
	const char *value;
}			pinned[] =

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
	{"createrole_self_grant", ""},	/* new in 16 */
	{"restrict_nonsystem_relation_kind", ""},	/* in minor releases of 2024 */
};

/* Settings of the server that go back to what the configuration says. */
static const char *const restored[] =
{
	"default_text_search_config",
	"lc_monetary",
	"lc_numeric",
	"lc_time",
	"password_encryption",
	"timezone_abbreviations",
	"xmlbinary",
};

/*
 * True for a setting that goes back to the configuration: one of the list, of
 * PL/pgSQL, or of a managed extension.
 */
static bool
is_restored(const char *name, const UpgradeFacts *facts)
{
	const char *dot = strchr(name, '.');
	size_t		length = dot ? dot - name : 0;

	if (dot == NULL)
	{
		for (int i = 0; i < lengthof(restored); i++)
		{
			if (strcmp(name, restored[i]) == 0)
				return true;
		}
		return false;
	}
	if (length == 7 && strncmp(name, "plpgsql", 7) == 0)
		return true;
	for (int i = 0; i < facts->nextensions; i++)
	{
		if (strlen(facts->extensions[i].name) == length &&
			strncmp(name, facts->extensions[i].name, length) == 0)
			return true;
	}
	return false;
}

/*
 * The built-in value of a setting; empty for one that no library has defined.
 */
static const char *
builtin_value(const char *name)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	char	   *value;

	values[0] = CStringGetTextDatum(name);
	value = du_query("SELECT s.boot_val FROM pg_catalog.pg_settings s WHERE s.name = $1",
					 1, types, values) == 1 ? du_query_text(0, 1) : NULL;
	SPI_freetuptable(SPI_tuptable);
	return value ? value : "";
}

/*
 * Gives a setting the value that it has when nothing of this role or
 * connection is counted: that of the configuration or the database, else,
 * because a value of the role's own hides it, the built-in one.
 */
static void
restore_setting(const struct config_generic *variable)
{
	if (variable->reset_source <= PGC_S_DATABASE)
		du_context_set(variable->name, GetConfigOptionResetString(variable->name));
	else
		du_context_set(variable->name, builtin_value(variable->name));
}

/*
 * Pins and restores them.  SPI must be connected.  May raise when a setting
 * refuses its own default.
 */
void
du_settings_pin(const UpgradeFacts *facts)
{
	struct config_generic **variables;
	int			nvariables;

	for (int i = 0; i < lengthof(pinned); i++)
	{
		if (GetConfigOption(pinned[i].name, true, false) != NULL)
			du_context_set(pinned[i].name, pinned[i].value);
	}

	variables = du_guc_variables(&nvariables);
	for (int i = 0; i < nvariables; i++)
	{
		if (variables[i]->source > PGC_S_DATABASE &&
			is_restored(variables[i]->name, facts))
			restore_setting(variables[i]);
	}
}

/*
 * Pins them once more, after a script has reset some; lasts like a SET of the
 * script's own.
 */
void
du_settings_pin_again(void)
{
	for (int i = 0; i < lengthof(pinned); i++)
	{
		if (GetConfigOption(pinned[i].name, true, false) != NULL)
			(void) set_config_option(pinned[i].name, pinned[i].value,
									 PGC_SUSET, PGC_S_SESSION,
									 GUC_ACTION_SET, true, 0, false);
	}
}
