/*-------------------------------------------------------------------------
 *
 * extension.h
 *	  Extensions as they are here: versions, files, members and libraries.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_EXTENSION_H
#define DU_EXTENSION_H

#include "fmgr.h"
#include "nodes/pg_list.h"

/* ----
 * control_file.c
 *
 * An extension's control file and script directory on this instance.
 * ----
 */

typedef struct ControlFile
{
	const char *problem;		/* why it cannot be used, or NULL */
	const char *path;			/* of the control file, when found */
	List	   *shadowed;		/* paths of control files that it hides, which
								 * are later in extension_control_path */
	const char *directory;		/* where its scripts are */
	const char *default_version;	/* NULL when it names none */
	const char *module_pathname;	/* NULL when it names none */
	int			encoding;		/* of its scripts, -1 for the database's */
	bool		relocatable;
	bool		superuser;
	bool		trusted;
	List	   *requires;		/* names of extensions */
} ControlFile;

extern void du_control_apply_secondary(ControlFile *control,
									   const char *extension,
									   const char *version);
extern char *du_control_script_path(const ControlFile *control,
									const char *extension,
									const char *from, const char *to);

/* ----
 * script_listing.c
 *
 * The scripts in a directory, listed once for each state of it.
 * ----
 */

extern List *du_script_names(const ControlFile *control, const char *extension);

/* ----
 * extension_version.c
 *
 * Version strings of extensions: parse, order, spell.
 * ----
 */

#define DU_VERSION_MAX_LENGTH		255
#define DU_VERSION_MAX_COMPONENTS	16
#define DU_VERSION_MAX_VENDOR		8	/* numbers */

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

	/* What a vendor has added ("-yb-1.0", "+build2"): a word and numbers. */
	bool		has_vendor;
	const char *vendor;			/* not terminated; may be empty */
	int			vendor_length;
	int			nvendor_numbers;
	VersionNumber vendor_numbers[DU_VERSION_MAX_VENDOR];
} ExtensionVersion;

extern PGDLLEXPORT bool du_version_parse(const char *text, ExtensionVersion *version,
										 const char **reason);
extern PGDLLEXPORT int du_version_compare(const ExtensionVersion *a,
										  const ExtensionVersion *b);
extern bool du_version_extends(const char *text, const char *shorter);
extern PGDLLEXPORT char *du_version_to_semver(const ExtensionVersion *version);
extern char *du_version_respell(const char *text, const char *like);
extern void du_version_error(const char *text, const char *reason);
extern char *du_version_argument(FunctionCallInfo fcinfo, int n);

/* ----
 * image_tag.c
 *
 * What the name of a container image tells about versions.
 * ----
 */

/* Versions are as written, without a "v"; NULL: not told. */
typedef struct ImageTag
{
	char	   *tag;			/* NULL: there is none */
	bool		by_digest;
	char	   *postgres;
	char	   *version;		/* the extension's, which can be ordered */
	char	   *ferretdb;
} ImageTag;

/* What image and documentDBVersion of a custom resource tell together. */
typedef struct SpecImage
{
	char	   *version;		/* of the binary, with dots; NULL: not told */
	bool		vouched;		/* only documentDBVersion says so, and there is
								 * an image whose name tells none */
	char	   *unread;			/* what is written where a version belongs and
								 * tells none, or NULL */
	bool		unread_in_image;
	bool		documentdb_version_unread;
	bool		by_digest;
} SpecImage;

extern void du_image_read_tag(const char *tag, ImageTag *result);
extern void du_image_read(const char *image, ImageTag *result);
extern PGDLLEXPORT void du_image_resolve(const char *image, const char *documentdb_version,
										 SpecImage *result);

/* ----
 * extension_facts.c
 *
 * What is known of one extension: in the catalogue, on disk, and in memory.
 * ----
 */

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
	const char *limit;			/* the highest version that may be asked for:
								 * the binary one, or one above it that the
								 * scripts lead to; NULL when not known */
	const char *odds;			/* sentences about files that contradict each
								 * other, or NULL */
	List	   *offered;		/* version strings that the files offer */
	int			npaths;
	UpdatePath *paths;			/* from the installed version */
	List	   *stations;		/* versions without an order from which a script
								 * leads to one that has one; of
								 * du_extension_alone() */

	struct LibraryNames *libraries; /* as extension_members.c has found them;
									 * NULL: they are looked for each time */
} ExtensionFacts;

extern PGDLLEXPORT char *du_extension_installed_version(const char *extension, Oid *oid);
extern char *du_extension_version_before(const char *extension);
extern ExtensionFacts *du_extension_alone(const char *name);

/* ----
 * offered_versions.c
 *
 * Which versions of an extension people can choose, in words for them.
 * ----
 */

extern List *du_offered_choices(const ExtensionFacts *extension);
extern const char *du_offered_creation_hint(const ExtensionFacts *extension);
extern const char *du_offered_choices_hint(const ExtensionFacts *extension, const char *target);

/* ----
 * managed_set.c
 *
 * The managed set as this instance sees it.
 * ----
 */

typedef struct UpgradeFacts
{
	int			nextensions;
	ExtensionFacts *extensions; /* in the order of update */
	int			main;			/* index of the main extension */
	const char *overlap;		/* sentence about one that belongs to another
								 * managed set too, or NULL */
} UpgradeFacts;

extern PGDLLEXPORT UpgradeFacts *du_managed_gather(void);
extern PGDLLEXPORT const ExtensionFacts *du_managed_main(const UpgradeFacts *facts);
extern char *du_managed_versions(void);
extern int	du_managed_place(const char *name);
extern const char *du_managed_set_of(const char *name);

/* ----
 * extension_members.c
 *
 * What belongs to an extension: libraries, tables, schemas.
 * ----
 */

extern List *du_members_of(Oid extension);
extern List *du_members_libraries(const ExtensionFacts *extension);
extern void du_members_invalidate_tables(Oid extension);
extern List *du_members_schemas_without_usage(const ExtensionFacts *extension, Oid role);

/* ----
 * member_definitions.c
 *
 * The members of an extension: a digest of the definition of each.
 * ----
 */

typedef struct MemberDefinition
{
	const char *kind;
	const char *identity;
	const char *digest;
	const char *privileges;
} MemberDefinition;

extern List *du_member_definitions(const char *extension);

/* ----
 * library_facts.c
 *
 * Whether the libraries in memory are those on disk.
 * ----
 */

/* In the order of what matters more. */
typedef enum LibraryState
{
	LIBRARY_NONE,				/* the extensions have none */
	LIBRARY_CURRENT,			/* nothing in memory differs from disk */
	LIBRARY_UNKNOWN,			/* something could not be compared */
	LIBRARY_STALE				/* something in memory is not what is on disk */
} LibraryState;

typedef struct LibraryFacts
{
	LibraryState state;
	const char *detail;			/* one sentence */
	const char *hint;			/* what to do, or NULL */
	const char *missing;		/* sentences about functions whose library has
								 * no file, or NULL */
} LibraryFacts;

/* For functions without a library that no update is going to cure. */
#define LIBRARY_MISSING_HINT \
	"Put that file in place, or create these functions anew as the newest install script of the extension does."

extern PGDLLEXPORT const char *du_library_state_name(LibraryState state);
extern PGDLLEXPORT LibraryFacts du_library_facts(const UpgradeFacts *facts);
extern const char *du_library_problem(const ExtensionFacts *extension, const char **hint);

/* ----
 * library_record.c
 *
 * Which libraries the server loaded when it started.
 * ----
 */

extern void du_record_install(void);

/* ----
 * loaded_version.c
 *
 * The version that the library in this server's memory reports.
 * ----
 */

extern PGDLLEXPORT char *du_loaded_version(const ExtensionFacts *main_extension);
extern bool du_loaded_gate_is_of_main(void);
extern PGDLLEXPORT char *du_loaded_gate(const char *spelled_like);

#endif							/* DU_EXTENSION_H */
