/*-------------------------------------------------------------------------
 *
 * stable_output.c
 *	  Text output of values that does not depend on the session.
 *
 * Settings that output functions look at are pinned for the call.  Whoever
 * sums many rows sets them once for the session: then nothing is done here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "checksum/internal.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"

/*
 * True when every setting that is pinned below has its value already.
 */
static bool
settings_are_stable(void)
{
	return DateStyle == USE_ISO_DATES && DateOrder == DATEORDER_MDY &&
		IntervalStyle == INTSTYLE_POSTGRES &&
		extra_float_digits >= 1 && bytea_output == BYTEA_OUTPUT_HEX &&
		strcmp(pg_get_timezone_name(session_timezone), "UTC") == 0 &&
		strcmp(namespace_search_path, "pg_catalog, pg_temp") == 0;
}

static void
pin(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * What the type's output function makes of the value, in the current memory
 * context.  Raises what that function raises.
 */
char *
du_stable_output(FmgrInfo *output, Datum value)
{
	char	   *text;
	int			level;

	if (settings_are_stable())
		return OutputFunctionCall(output, value);

	level = NewGUCNestLevel();
	pin("search_path", "pg_catalog, pg_temp");
	pin("datestyle", "ISO, MDY");
	pin("intervalstyle", "postgres");
	pin("timezone", "UTC");
	pin("extra_float_digits", "1");
	pin("bytea_output", "hex");
	text = OutputFunctionCall(output, value);

	AtEOXact_GUC(true, level);
	return text;
}
