/*-------------------------------------------------------------------------
 *
 * session_settings.c
 *	  Settings of the caller that must not reach an update script.
 *
 * How a script is parsed, and what its statements mean, depends on settings
 * that any role can change.  Those of the server that matter are pinned to
 * their defaults; what the session has set of PL/pgSQL and of the managed
 * extensions goes back to what the configuration says.  All of it lasts for
 * the innermost execution context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "session_settings.h"

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
};

/* True for a setting of PL/pgSQL or of a managed extension. */
static bool
belongs_to_scripts(const char *name, const UpgradeFacts *facts)
{
	const char *dot = strchr(name, '.');
	size_t		length = dot ? dot - name : 0;

	if (dot == NULL)
		return false;
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
 * Pins them.  May raise when a setting refuses its own default.
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
		if (variables[i]->source == PGC_S_SESSION &&
			belongs_to_scripts(variables[i]->name, facts))
			du_context_set(variables[i]->name,
						   GetConfigOptionResetString(variables[i]->name));
	}
}
