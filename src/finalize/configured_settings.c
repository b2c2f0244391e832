/*-------------------------------------------------------------------------
 *
 * configured_settings.c
 *	  What the configuration says of settings that a role has its own of.
 *
 * A session that begins with ALTER ROLE ... SET or with options of the
 * connection has forgotten what it would have begun with else.  So the sources
 * below the role are read again, as the server reads them: the configuration
 * files, then ALTER ROLE ALL ... SET and ALTER DATABASE ... SET.  What only the
 * postmaster's command line says cannot be found in them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "miscadmin.h"

#include "base/base.h"

typedef struct ConfiguredSetting
{
	const char *name;
	const char *value;
} ConfiguredSetting;

/* What is set for this database, and for every role in every database. */
static List *
read_database_settings(void)
{
	List	   *settings = NIL;
	ListCell   *lc;

	foreach(lc, list_concat(du_stored_settings(InvalidOid, InvalidOid),
							du_stored_settings(MyDatabaseId, InvalidOid)))
	{
		ConfiguredSetting *setting = palloc(sizeof(ConfiguredSetting));
		char	   *name = lfirst(lc);
		char	   *value = strchr(name, '=');

		if (value == NULL)
			continue;
		*value = '\0';
		setting->name = name;
		setting->value = value + 1;
		settings = lappend(settings, setting);
	}
	return settings;
}

/*
 * Reads files and catalogue.  A file that cannot be read, which a reload
 * ignores too, counts as far as it was understood.
 */
ConfiguredSettings *
du_configured_read(void)
{
	ConfiguredSettings *settings = palloc0(sizeof(ConfiguredSettings));
	ConfigVariable *tail = NULL;

	if (ParseConfigFile(ConfigFileName, true, NULL, 0, 0, DEBUG1, &settings->files, &tail))
		(void) ParseConfigFile(PG_AUTOCONF_FILENAME, false, NULL, 0, 0, DEBUG1,
							   &settings->files, &tail);
	settings->database = read_database_settings();
	return settings;
}

/*
 * The value of a setting as it is written there; NULL when nothing is.
 */
const char *
du_configured_value(const ConfiguredSettings *settings, const char *name)
{
	const char *value = NULL;
	const ListCell *lc;

	for (const ConfigVariable *file = settings->files; file != NULL; file = file->next)
	{
		if (file->errmsg == NULL && pg_strcasecmp(file->name, name) == 0)
			value = file->value;
	}
	foreach(lc, settings->database)
	{
		const ConfiguredSetting *setting = lfirst(lc);

		if (pg_strcasecmp(setting->name, name) == 0)
			value = setting->value;
	}
	return value;
}

/*
 * The built-in value of a setting, in the form that the server reads.
 */
const char *
du_configured_builtin(const struct config_generic *variable)
{
	const char *value;

	switch (variable->vartype)
	{
		case PGC_BOOL:
			return ((const struct config_bool *) variable)->boot_val ? "on" : "off";
		case PGC_INT:
			return psprintf("%d", ((const struct config_int *) variable)->boot_val);
		case PGC_REAL:
			return psprintf("%.17g", ((const struct config_real *) variable)->boot_val);
		case PGC_STRING:
			value = ((const struct config_string *) variable)->boot_val;
			return value ? value : "";
		case PGC_ENUM:
			return config_enum_lookup_by_value((struct config_enum *) unconstify(struct config_generic *, variable),
											   ((const struct config_enum *) variable)->boot_val);
	}
	elog(ERROR, "unrecognized type of setting \"%s\": %d", variable->name, (int) variable->vartype);
}
