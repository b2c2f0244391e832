/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of this room share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_ADMISSION_INTERNAL_H
#define DU_ADMISSION_INTERNAL_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* ----
 * admission_answer.c
 *
 * The answer to a Kubernetes admission review.
 * ----
 */

extern char *du_admission_answer(const JsonbContainer *review);
extern char *du_admission_too_large(const JsonbContainer *review, int limit);

/* ----
 * resource_tree.c
 *
 * JSON that can be changed, member by member.
 * ----
 */

extern JsonbValue *du_tree_read(const JsonbContainer *object);
extern JsonbValue *du_tree_copy(const JsonbValue *tree);
extern JsonbValue du_tree_text(const char *text);
extern JsonbValue du_tree_bool(bool boolean);
extern JsonbValue du_tree_object(void);
extern JsonbValue du_tree_array(int length);
extern JsonbValue *du_tree_member(const JsonbValue *object, const JsonbValue *key);
extern JsonbValue *du_tree_set(JsonbValue *object, const JsonbValue *key, JsonbValue value);
extern void du_tree_unset(JsonbValue *object, const JsonbValue *key);
extern JsonbValue *du_tree_find(const JsonbValue *tree, const char *path);
extern bool du_tree_put(JsonbValue *tree, const char *path, JsonbValue value);
extern void du_tree_drop(JsonbValue *tree, const char *path);
extern bool du_tree_is_unset(const JsonbValue *value);
extern bool du_tree_is_text(const JsonbValue *value, const char *text);
extern bool du_tree_equal(const JsonbValue *a, const JsonbValue *b);
extern char *du_tree_print(JsonbValue *tree);

/* ----
 * resource_versions.c
 *
 * The versions of the custom resource, and where each keeps its fields.
 * ----
 */

#define DU_RESOURCE_KIND	"DocumentDB"
#define DU_VERSION_HUB		3

/*
 * Bytes of jsonb of one resource.  API servers take bodies of 3 MiB.
 */
#define DU_RESOURCE_LIMIT	(4 * 1024 * 1024)

extern const char *du_version_name(int version);
extern const char *du_version_list(void);
extern int	du_version_find(const char *api_version);
extern bool du_version_has_group(const char *group);
extern int	du_version_of(const JsonbContainer *resource);
extern const char *du_version_place(int version, const char *hub);
extern const char *du_version_old_place(const char *hub, int n);
extern void du_version_lift(JsonbValue *resource);
extern void du_version_lower(JsonbValue *resource, int version);
extern bool du_version_knows(const JsonbValue *key);
extern void du_version_drop_unknown(JsonbValue *resource);

/* ----
 * lost_fields.c
 *
 * What a conversion loses, kept in an annotation.
 * ----
 */

#define DU_CONVERSION_ANNOTATION	"documentdb-upgrade/conversion"

extern void du_lost_restore(JsonbValue *resource, const char *version);
extern void du_lost_forget(JsonbValue *resource, const char *version);
extern void du_lost_keep(JsonbValue *resource, const char *version,
						 const JsonbValue *returned, const JsonbValue *original);

/* ----
 * resource_conversion.c
 *
 * A custom resource of one version as one of another.
 * ----
 */

extern JsonbValue *du_conversion_run(const JsonbContainer *resource, const char *to_version,
									 char **problem);
extern const JsonbContainer *du_conversion_hub(const JsonbContainer *resource);

/* ----
 * conversion_review.c
 *
 * The answer to a Kubernetes conversion review.
 * ----
 */

extern char *du_conversion_answer(const JsonbContainer *review);
extern char *du_conversion_too_large(const JsonbContainer *review, int limit);

/* ----
 * spec_form.c
 *
 * A custom resource in the one form that rules look at.
 * ----
 */

/* A field that is not of its type. */
typedef struct WrongType
{
	const char *field;
	const char *wanted;			/* "a string" */
	JsonbValue	value;
} WrongType;

/*
 * Texts are NULL where the resource has nothing, null, an empty string or a
 * value of another type.
 */
typedef struct ResourceForm
{
	char	   *name;
	bool		deleting;

	char	   *schema_version; /* as written: empty, auto or a version */
	char	   *image;
	const char *image_field;	/* where it stands, or would stand */
	bool		image_by_digest;
	char	   *documentdb_version;
	bool		documentdb_version_unread;	/* it tells no version */
	char	   *binary_version; /* that can be ordered; NULL: cannot be told */
	bool		binary_vouched; /* by documentDBVersion alone: the image's name
								 * tells none */
	char	   *unread_version; /* what is written in its place and tells no
								 * version, or NULL */
	const char *unread_field;	/* where */

	int			regions;

	const JsonbContainer *bootstrap;
	char	   *restore_backup;
	char	   *restore_volume;
	char	   *restore_schema; /* of what is restored, as far as it is known */

	char	   *installed;		/* status.schemaVersion */

	List	   *wrong_types;	/* of WrongType */
} ResourceForm;

/* Says of what is restored which schema version it has. */
#define DU_RESTORE_SCHEMA_ANNOTATION	"documentdb.io/schema-version"

extern ResourceForm *du_form_read(const JsonbContainer *resource);
extern const JsonbContainer *du_form_object(const JsonbContainer *parent, const char *key,
												JsonbValue *value);
extern char *du_form_text(const JsonbContainer *parent, const char *key,
							  JsonbValue *value);

/* ----
 * spec_rules.c
 *
 * What a custom resource may ask for.
 * ----
 */

/* Why a field is refused. */
typedef struct FieldError
{
	const char *field;			/* path; empty for the whole resource */
	const char *type;			/* Invalid, Forbidden, ... as Kubernetes says */
	JsonbValue	value;			/* jbvNull: none is shown */
	char	   *detail;
} FieldError;

typedef struct SpecVerdict
{
	List	   *errors;			/* of FieldError */
	List	   *warnings;		/* of char *, each below 256 bytes, one line */
} SpecVerdict;

extern SpecVerdict *du_spec_judge(const ResourceForm *resource, const ResourceForm *old);
extern FieldError *du_spec_error(SpecVerdict *verdict, const char *field, const char *type,
								 const char *detail,...) pg_attribute_printf(4, 5);
extern const char *du_spec_shown(const char *text);

#endif							/* DU_ADMISSION_INTERNAL_H */
