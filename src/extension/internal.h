/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_EXTENSION_INTERNAL_H
#define DU_EXTENSION_INTERNAL_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "extension/extension.h"

/* ----
 * build_id.c
 *
 * Build-ids of libraries in memory and on disk.
 * ----
 */

#define DU_BUILD_ID_LENGTH 128	/* hexadecimal digits; what is longer is cut */

typedef struct BuildId
{
	char		hex[DU_BUILD_ID_LENGTH + 1];	/* "" when there is none */
} BuildId;

/* Called for an object in memory; must not raise. */
typedef void (*MappedVisitor) (const char *path, void *arg);

extern void du_build_id_visit(MappedVisitor visitor, void *arg);
extern bool du_build_id_mapped(const char *path, BuildId *id);
extern bool du_build_id_file(const char *path, BuildId *id);

/* ----
 * control_file.c
 *
 * An extension's control file and script directory on this instance.
 * ----
 */

extern ControlFile *du_control_read(const char *extension);
extern List *du_control_library_candidates(const char *library);
extern char *du_control_library_path(const char *library);

/* ----
 * definition_body.c
 *
 * What the catalogue says of an object, as a text to digest.
 * ----
 */

extern bool du_definition_is_described(Oid classid);
extern char *du_definition_body(Oid classid, HeapTuple tuple, TupleDesc desc);

/* ----
 * extension_facts.c
 *
 * What is known of one extension: in the catalogue, on disk, and in memory.
 * ----
 */

extern void du_extension_read(ExtensionFacts *extension);
extern void du_extension_offer(ExtensionFacts *extension, const char *version);

/* ----
 * extension_members.c
 *
 * What belongs to an extension: libraries, tables, schemas.
 * ----
 */

/* What du_members_library_names() has found. */
typedef struct LibraryNames
{
	MemoryContext context;		/* of the facts */
	bool		known;
	List	   *names;
} LibraryNames;

extern char *du_members_library_of(Oid function);
extern List *du_members_library_names(const ExtensionFacts *extension);
extern List *du_members_functions_in(const ExtensionFacts *extension, const char *library);

/* ----
 * library_facts.c
 *
 * Whether the libraries in memory are those on disk.
 * ----
 */

extern bool du_library_reports(const ExtensionFacts *extension, Oid function);

/* ----
 * library_record.c
 *
 * Which libraries the server loaded when it started.
 * ----
 */

#define SHA256_HEX_LENGTH 64

typedef struct LibraryRecord
{
	char		path[MAXPGPATH];
	char		sha256[SHA256_HEX_LENGTH + 1];	/* "" when not known */
} LibraryRecord;

extern const LibraryRecord *du_record_find(const char *path);
extern bool du_record_preloaded(const char *path);

/* ----
 * loaded_version.c
 *
 * The version that the library in this server's memory reports.
 * ----
 */

extern Oid	du_loaded_version_function(const ExtensionFacts *main_extension);
extern char *du_loaded_version_ask(const ExtensionFacts *main_extension, Oid function,
								   ErrorData **problem);

/* ----
 * script_listing.c
 *
 * The scripts in a directory, listed once for each state of it.
 * ----
 */

typedef struct ScriptListing
{
	MemoryContext context;
	const char *directory;
	List	   *files;			/* names of script files */
	List	   *paths;			/* for update_paths.c: what the server has
								 * computed from them */
	char	   *state;			/* of the directory; NULL while it is too new
								 * for anything to be kept */
} ScriptListing;

extern ScriptListing *du_script_listing(const char *directory);
extern void du_script_listing_depend(StringInfo key, const ScriptListing *listing);

/* ----
 * update_paths.c
 *
 * Versions and paths as the server computes them from the script files.
 * ----
 */

extern void du_paths_read(ExtensionFacts *extension);

#endif							/* DU_EXTENSION_INTERNAL_H */
