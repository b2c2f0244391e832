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
