/*-------------------------------------------------------------------------
 *
 * managed_set.h
 *	  The managed set as this instance sees it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_MANAGED_SET_H
#define DU_MANAGED_SET_H

#include "extension/control_file.h"
#include "extension/extension_version.h"

/* One way from the installed version: versions[0] up to the target. */
typedef struct UpdatePath
{
	const char *target;
	int			nversions;
	const char **versions;
} UpdatePath;

typedef struct ExtensionFacts
{
	const char *name;

	/* In pg_extension; oid is InvalidOid when not installed. */
	Oid			oid;
	const char *installed;
	Oid			owner;
	const char *owner_name;
	bool		owner_is_superuser;
	bool		owner_can_create;	/* in this database */
	Oid			schema;
	const char *schema_name;

	/* On this instance's disk. */
	ControlFile *control;
	const char *binary;			/* NULL when not known */
	List	   *offered;		/* version strings that the files offer */
	int			npaths;
	UpdatePath *paths;			/* from the installed version */
} ExtensionFacts;

typedef struct UpgradeFacts
{
	int			nextensions;
	ExtensionFacts *extensions; /* in the order of update */
	int			main;			/* index of the main extension */
} UpgradeFacts;

extern UpgradeFacts *du_catalog_gather(void);
extern PGDLLEXPORT const ExtensionFacts *du_catalog_main(const UpgradeFacts *facts);
extern char *du_catalog_installed_version(const char *extension, Oid *oid);
extern ExtensionFacts *du_catalog_extension(const char *name);
extern int	du_catalog_place(const char *name);
extern List *du_catalog_choices(const ExtensionFacts *extension);

#endif							/* DU_MANAGED_SET_H */
