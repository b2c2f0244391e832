/*-------------------------------------------------------------------------
 *
 * extension_version.h
 *	  Version strings of extensions: parse, order, spell.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_EXTENSION_VERSION_H
#define DU_EXTENSION_VERSION_H

#include "fmgr.h"

#define DU_VERSION_MAX_LENGTH		255
#define DU_VERSION_MAX_COMPONENTS	16

/* A run of decimal digits without leading zeros; length 0 means zero. */
typedef struct VersionNumber
{
	const char *digits;
	int			length;
} VersionNumber;

/*
 * A parsed version.  The numbers point into the text it was parsed from,
 * which must live as long as the struct.
 */
typedef struct ExtensionVersion
{
	int			ncomponents;
	VersionNumber components[DU_VERSION_MAX_COMPONENTS];
	const char *prerelease;		/* canonical word ("RC"), or NULL */
	int			prerelease_rank;	/* order among pre-releases */
	VersionNumber prerelease_number;
} ExtensionVersion;

extern PGDLLEXPORT bool du_version_parse(const char *text, ExtensionVersion *version,
										 const char **reason);
extern PGDLLEXPORT int du_version_compare(const ExtensionVersion *a,
										  const ExtensionVersion *b);
extern PGDLLEXPORT char *du_version_to_semver(const ExtensionVersion *version);
extern char *du_version_to_extension(const ExtensionVersion *version);
extern char *du_version_respell(const char *text, const char *like);
extern void du_version_error(const char *text, const char *reason);
extern char *du_version_argument(FunctionCallInfo fcinfo, int n);

#endif							/* DU_EXTENSION_VERSION_H */
