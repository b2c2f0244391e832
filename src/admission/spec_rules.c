/*-------------------------------------------------------------------------
 *
 * spec_rules.c
 *	  What a custom resource may ask for.
 *
 * One function a rule, over the forms of the resource and of what it was
 * before; nothing is read and nothing raised.  Each says its errors, and all
 * are said at once.  Rules, their moments and their messages are those of the
 * operator's own webhook (documentdb/documentdb-kubernetes-operator,
 * operator/src/internal/webhook/documentdb_webhook.go) where it has them, so
 * that users meet the same words: what concerns the spec alone is looked at
 * each time, what concerns a change only when those fields change, against the
 * status of before.  Beyond it go the ways round it: digests, tags that tell no
 * version, and a desired version below what is installed.  What is written and
 * cannot be compared is named, and never taken for something that is not there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "admission/internal.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "extension/extension.h"

/* Longest quotation of what somebody has written, and longest warning. */
#define SHOWN_LENGTH	100
#define WARNING_LENGTH	255

#define SCHEMA_VERSION_PATTERN	"^(auto|[0-9]+\\.[0-9]+\\.[0-9]+)?$"

typedef struct SpecCase
{
	const ResourceForm *resource;
	const ResourceForm *old;	/* NULL: it is created */
	SpecVerdict *verdict;
} SpecCase;

/*
 * The text, shortened where it is long, without control characters.
 */
const char *
du_spec_shown(const char *text)
{
	size_t		length = strlen(text);
	char	   *shown;

	if (length <= SHOWN_LENGTH)
		shown = pstrdup(text);
	else
		shown = psprintf("%.*s...", pg_mbcliplen(text, length, SHOWN_LENGTH), text);
	for (char *p = shown; *p != '\0'; p++)
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			*p = ' ';
	return shown;
}

static char *format_text(const char *format, va_list args) pg_attribute_printf(1, 0);

static char *
format_text(const char *format, va_list args)
{
	StringInfoData buf;
	int			needed;

	initStringInfo(&buf);
	for (;;)
	{
		va_list		copy;

		va_copy(copy, args);
		needed = appendStringInfoVA(&buf, format, copy);
		va_end(copy);
		if (needed == 0)
			return buf.data;
		enlargeStringInfo(&buf, needed);
	}
}

/*
 * Adds an error, which shows no value unless the caller puts one in.
 */
FieldError *
du_spec_error(SpecVerdict *verdict, const char *field, const char *type, const char *detail,...)
{
	FieldError *error = palloc0(sizeof(FieldError));
	va_list		args;

	va_start(args, detail);
	error->detail = format_text(detail, args);
	va_end(args);
	error->field = field;
	error->type = type;
	error->value.type = jbvNull;
	verdict->errors = lappend(verdict->errors, error);
	return error;
}

/*
 * Adds a warning.  API servers pass warnings on as HTTP headers and cut them
 * at 256 characters.
 */
static void pg_attribute_printf(2, 3)
spec_warn(SpecVerdict *verdict, const char *warning,...)
{
	va_list		args;
	char	   *line;

	va_start(args, warning);
	line = format_text(warning, args);
	va_end(args);
	line[pg_mbcliplen(line, strlen(line), WARNING_LENGTH)] = '\0';
	verdict->warnings = lappend(verdict->warnings, line);
}

static void
show_text(FieldError *error, const char *value)
{
	error->value.type = jbvString;
	error->value.val.string.val = (char *) value;
	error->value.val.string.len = strlen(value);
}

static bool
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

/*
 * The order of two versions; false, with *reason, when one cannot be ordered.
 */
static bool
compare_texts(const char *a, const char *b, int *cmp, const char **reason)
{
	ExtensionVersion first;
	ExtensionVersion second;

	if (!du_version_parse(a, &first, reason) || !du_version_parse(b, &second, reason))
		return false;
	*cmp = du_version_compare(&first, &second);
	return true;
}

/*
 * The desired version when it is one and well-formed, else NULL.
 */
static const char *
explicit_version(const ResourceForm *form)
{
	const char *p = form->schema_version;
	ExtensionVersion version;
	const char *reason;

	if (p == NULL || strspn(p, "0123456789.") != strlen(p))
		return NULL;
	if (!du_version_parse(p, &version, &reason) || version.ncomponents != 3)
		return NULL;
	return p;
}

static bool
wants_auto(const ResourceForm *form)
{
	return same_text(form->schema_version, "auto");
}

static bool
image_changes(const SpecCase *c)
{
	return c->old != NULL &&
		(!same_text(c->resource->image, c->old->image) ||
		 !same_text(c->resource->documentdb_version, c->old->documentdb_version));
}

static bool
schema_version_changes(const SpecCase *c)
{
	return c->old != NULL && !same_text(c->resource->schema_version, c->old->schema_version);
}

/*
 * Whether the version that is installed is written in the old status, though
 * not as a text.
 */
static bool
installed_unreadable(const ResourceForm *old)
{
	ListCell   *lc;

	foreach(lc, old->wrong_types)
	{
		if (strncmp(((WrongType *) lfirst(lc))->field, "status", 6) == 0)
			return true;
	}
	return false;
}

static void
fields_have_their_types(SpecCase *c)
{
	ListCell   *lc;

	foreach(lc, c->resource->wrong_types)
	{
		WrongType  *wrong = lfirst(lc);

		du_spec_error(c->verdict, wrong->field, "TypeInvalid", "must be %s", wrong->wanted)->value = wrong->value;
	}
}

static void
schema_version_is_well_formed(SpecCase *c)
{
	const char *version = c->resource->schema_version;

	if (version == NULL || wants_auto(c->resource) || explicit_version(c->resource) != NULL)
		return;
	if (strlen(version) > DU_VERSION_MAX_LENGTH)
		du_spec_error(c->verdict, "spec.schemaVersion", "TooLong", "may not be more than %d bytes", DU_VERSION_MAX_LENGTH);
	else
		show_text(du_spec_error(c->verdict, "spec.schemaVersion", "Invalid",
								"must be empty, \"auto\" or a version such as 0.112.0, to match \"%s\"", SCHEMA_VERSION_PATTERN),
				  version);
}

/*
 * Only where it is written: a resource that has it already, as the tag that it
 * also is, must not be kept from every other change.
 */
static void
documentdb_version_tells_one(SpecCase *c)
{
	const ResourceForm *form = c->resource;

	if (!form->documentdb_version_unread ||
		(c->old != NULL && same_text(form->documentdb_version, c->old->documentdb_version)))
		return;
	if (strlen(form->documentdb_version) > DU_VERSION_MAX_LENGTH)
		du_spec_error(c->verdict, "spec.documentDBVersion", "TooLong", "may not be more than %d bytes", DU_VERSION_MAX_LENGTH);
	else
		show_text(du_spec_error(c->verdict, "spec.documentDBVersion", "Invalid",
								"must be a version such as 0.112.0, or begin with one: what it tells cannot be compared with a schema version"),
				  form->documentdb_version);
}

/* What is written where a version belongs, in the operator's words. */
static char *
name_unread(const char *version, const char *field)
{
	return psprintf("version comparison failed: invalid version \"%s\" in %s", du_spec_shown(version), field);
}

/* How a version becomes visible behind a digest. */
#define DIGEST_HINT "set spec.documentDBVersion, or put the tag before the digest (NAME:0.112.0@sha256:...)"

static void
schema_version_within_binary(SpecCase *c)
{
	const char *wanted = explicit_version(c->resource);
	const char *binary = c->resource->binary_version;
	const char *reason;
	int			cmp;

	if (wanted == NULL)
		return;
	if (binary == NULL && c->resource->unread_version != NULL)
		show_text(du_spec_error(c->verdict, "spec.schemaVersion", "Invalid", "cannot validate schemaVersion: %s",
								name_unread(c->resource->unread_version, c->resource->unread_field)),
				  wanted);
	else if (binary == NULL)
		show_text(du_spec_error(c->verdict, "spec.schemaVersion", "Invalid",
								"cannot set an explicit schemaVersion without also setting spec.documentDBVersion or %s; "
								"the webhook needs a binary version to validate against%s",
								c->resource->image == NULL ? c->resource->image_field : "a tag that begins with a version",
								c->resource->image_by_digest ? ", and a digest tells none: " DIGEST_HINT : ""),
				  wanted);
	else if (compare_texts(wanted, binary, &cmp, &reason) && cmp > 0)
		show_text(du_spec_error(c->verdict, "spec.schemaVersion", "Invalid",
								"schemaVersion %s exceeds the binary version %s; schema version must be <= binary version",
								wanted, binary),
				  wanted);
}

/*
 * Only for a version that is newly asked for: one that the schema has passed
 * since, by finalize_to() say, must not make the next change of something else
 * fail.
 */
static void
schema_version_not_below_installed(SpecCase *c)
{
	const char *wanted = explicit_version(c->resource);
	const char *reason;
	int			cmp;

	if (wanted == NULL || !schema_version_changes(c))
		return;
	if (c->old->installed == NULL)
	{
		if (installed_unreadable(c->old))
			show_text(du_spec_error(c->verdict, "spec.schemaVersion", "Invalid",
									"cannot validate schemaVersion: the status does not tell the installed schema version as a string"),
					  wanted);
	}
	else if (!compare_texts(wanted, c->old->installed, &cmp, &reason))
		show_text(du_spec_error(c->verdict, "spec.schemaVersion", "Invalid", "cannot validate schemaVersion: %s",
								name_unread(c->old->installed, "status.schemaVersion")),
				  wanted);
	else if (cmp < 0)
		show_text(du_spec_error(c->verdict, "spec.schemaVersion", "Invalid",
								"schemaVersion %s is older than the installed schema version %s; a schema never goes back",
								wanted, du_spec_shown(c->old->installed)),
				  wanted);
}

/*
 * An older image under a newer schema.  Where the image is named by a digest
 * alone, one could hide behind it.
 */
static void
image_not_below_installed(SpecCase *c)
{
	const char *binary = c->resource->binary_version;
	const char *installed;
	const char *reason;
	int			cmp;

	if (!image_changes(c))
		return;
	installed = c->old->installed;
	if (installed == NULL)
	{
		if (installed_unreadable(c->old))
			du_spec_error(c->verdict, "spec", "Forbidden",
						  "cannot validate image rollback: the status does not tell the installed schema version as a string");
		return;
	}
	if (binary == NULL)
	{
		if (c->resource->unread_version != NULL)
			du_spec_error(c->verdict, "spec", "Forbidden", "cannot validate image rollback: %s, while schema version %s is installed",
						  name_unread(c->resource->unread_version, c->resource->unread_field),
						  du_spec_shown(installed));
		else if (c->resource->image_by_digest)
			du_spec_error(c->verdict, c->resource->image_field, "Forbidden",
						  "image rollback cannot be ruled out: the image is pinned by digest, which tells no version, while schema version %s is installed; " DIGEST_HINT,
						  du_spec_shown(installed));
		else
			spec_warn(c->verdict, "the DocumentDB version of this spec cannot be told: it is not checked that the image is not older than installed schema version %s",
						 du_spec_shown(installed));
		return;
	}
	if (!compare_texts(binary, installed, &cmp, &reason))
	{
		du_spec_error(c->verdict, "spec", "Forbidden",
					  "cannot validate image rollback: %s", name_unread(installed, "status.schemaVersion"));
		return;
	}
	if (c->resource->binary_vouched)
		spec_warn(c->verdict, "%s tells no version: that the image is of spec.documentDBVersion %.40s, and not older than installed schema version %.40s, cannot be checked",
				  c->resource->image_field, binary, installed);
	if (cmp < 0)
		du_spec_error(c->verdict, "spec", "Forbidden",
					  "image rollback blocked: requested version %s is older than installed schema version %s. "
					  "ALTER EXTENSION has no downgrade path: running an older binary with a newer schema may cause data corruption. "
					  "To recover, restore from backup or update to a version >= %s.",
					  binary, installed, installed);
}

static bool
is_prerelease(const char *text)
{
	ExtensionVersion version;
	const char *reason;

	return du_version_parse(text, &version, &reason) && version.prerelease != NULL;
}

/*
 * A release brings no update script from its own pre-releases; the operator's
 * notes on 1.0.0 ask for a new cluster.
 */
static void
prerelease_stays(SpecCase *c)
{
	const char *binary = c->resource->binary_version;
	const char *installed = c->old == NULL ? NULL : c->old->installed;
	const char *reason;
	int			cmp;

	if (!image_changes(c) || installed == NULL || binary == NULL || !is_prerelease(installed) ||
		!compare_texts(binary, installed, &cmp, &reason) || cmp <= 0)
		return;
	if (is_prerelease(binary))
		spec_warn(c->verdict, "installed schema version %.40s is a pre-release: whether another one, %.40s, can update it is not known",
				  installed, binary);
	else
		du_spec_error(c->verdict, "spec", "Forbidden",
					  "upgrade in place blocked: installed schema version %s is a pre-release, and an upgrade in place from a pre-release to %s is not supported. "
					  "Keep spec.documentDBVersion at %s, and move the data to a new cluster of version %s.",
					  installed, binary, du_version_respell(installed, "-"), binary);
}

/*
 * A restored database brings its schema along.  It is in the status of the
 * backup, or an annotation of the volume; whoever sends us the resource has
 * to copy it into an annotation of that.
 */
static void
restore_not_below_schema(SpecCase *c)
{
	const ResourceForm *form = c->resource;
	bool		backup = form->restore_backup != NULL;
	const char *kind = backup ? "backup" : "PersistentVolume";
	const char *field = backup ? "spec.bootstrap.recovery.backup" : "spec.bootstrap.recovery.persistentVolume";
	const char *name = backup ? form->restore_backup : form->restore_volume;
	const char *schema = form->restore_schema;
	ExtensionVersion version;
	const char *reason;
	int			cmp;

	if (c->old != NULL || name == NULL)
		return;
	if (backup && form->restore_volume != NULL)
	{
		du_spec_error(c->verdict, "spec.bootstrap.recovery", "Forbidden",
					  "cannot specify both backup and persistentVolume recovery at the same time");
		return;
	}
	if (schema == NULL)
		spec_warn(c->verdict, "%s \"%s\" has no recorded schema version: make sure that the target DocumentDB version is not older than its schema",
					 kind, du_spec_shown(name));
	else if (!du_version_parse(schema, &version, &reason))
		show_text(du_spec_error(c->verdict, "metadata.annotations[" DU_RESTORE_SCHEMA_ANNOTATION "]", "Invalid",
								"must be the schema version of the %s, such as 0.112.0: this cannot be compared with the target DocumentDB version",
								kind),
				  du_spec_shown(schema));
	else if (form->binary_version == NULL && form->unread_version != NULL)
		du_spec_error(c->verdict, form->unread_field, "Forbidden",
					  "restore blocked: %s, while the %s has schema version %s",
					  name_unread(form->unread_version, form->unread_field), kind, du_spec_shown(schema));
	else if (form->binary_version == NULL && form->image_by_digest)
		du_spec_error(c->verdict, form->image_field, "Forbidden",
					  "restore blocked: the image is pinned by digest, which tells no version, while the %s has schema version %s; " DIGEST_HINT,
					  kind, du_spec_shown(schema));
	else if (form->binary_version == NULL)
		spec_warn(c->verdict, "cannot determine the target DocumentDB version: compatibility with the %s's schema version %s cannot be verified",
					 kind, du_spec_shown(schema));
	else if (version.prerelease != NULL && !is_prerelease(form->binary_version) &&
			 compare_texts(form->binary_version, schema, &cmp, &reason) && cmp > 0)
		du_spec_error(c->verdict, field, "Forbidden",
					  "restore blocked: the %s's schema version %s is a pre-release, and an upgrade in place from a pre-release to %s is not supported. "
					  "Set spec.documentDBVersion to %s, and move the data to a new cluster afterwards.",
					  kind, du_spec_shown(schema), form->binary_version, du_version_respell(schema, "-"));
	else if (compare_texts(form->binary_version, schema, &cmp, &reason) && cmp < 0)
		du_spec_error(c->verdict, field, "Forbidden",
					  "restore blocked: the target DocumentDB version %s is older than the %s's schema version %s. "
					  "Restoring onto an older DocumentDB version runs it against a newer, irreversible schema and may cause data corruption. "
					  "Set spec.documentDBVersion (or %s) to %s or newer.",
					  form->binary_version, kind, schema, form->image_field, schema);
}

/*
 * What is restored is looked at on creation, so it must not change later.
 */
static void
bootstrap_stays(SpecCase *c)
{
	if (c->old == NULL || c->resource->bootstrap == NULL)
		return;
	if (c->old->bootstrap == NULL ||
		compareJsonbContainers((JsonbContainer *) c->resource->bootstrap,
							   (JsonbContainer *) c->old->bootstrap) != 0)
		du_spec_error(c->verdict, "spec.bootstrap", "Forbidden",
					  "bootstrap configuration cannot be changed after cluster creation");
}

/*
 * Nothing wrong, and better known before.
 */
static void
warn_of_schema_change(SpecCase *c)
{
	const ResourceForm *form = c->resource;
	const char *installed = c->old == NULL ? NULL : c->old->installed;
	const char *wanted = wants_auto(form) ? form->binary_version : explicit_version(form);
	const char *reason;
	int			cmp;

	if (wants_auto(form) && form->regions > 1)
		spec_warn(c->verdict, "schemaVersion \"auto\" with %d regions: a region's schema may be finalized before another region has the binary; use an explicit version",
					 form->regions);
	if (installed == NULL)
		return;
	if (form->schema_version == NULL && form->binary_version != NULL && !is_prerelease(form->binary_version) &&
		image_changes(c) &&
		compare_texts(form->binary_version, installed, &cmp, &reason) && cmp > 0)
		spec_warn(c->verdict, "Schema update available: binary version is %.40s, schema is at %.40s. Set spec.schemaVersion to \"%.40s\" or \"auto\" to finalize the upgrade.",
					 form->binary_version, installed, form->binary_version);
	if (wanted != NULL && image_changes(c) &&
		compare_texts(wanted, installed, &cmp, &reason) && cmp > 0)
		spec_warn(c->verdict, "image and schema change together (schema %.40s to %.40s): once the schema is finalized, the image cannot go back",
					 installed, wanted);
}

/*
 * Judges a resource that is created, or has been "old".  One that is being
 * deleted is left alone: what is wrong with it must not keep it.
 */
SpecVerdict *
du_spec_judge(const ResourceForm *resource, const ResourceForm *old)
{
	SpecCase	c = {resource, old, palloc0(sizeof(SpecVerdict))};

	if (resource->deleting)
		return c.verdict;
	fields_have_their_types(&c);
	schema_version_is_well_formed(&c);
	documentdb_version_tells_one(&c);
	schema_version_within_binary(&c);
	schema_version_not_below_installed(&c);
	image_not_below_installed(&c);
	prerelease_stays(&c);
	restore_not_below_schema(&c);
	bootstrap_stays(&c);
	if (c.verdict->errors == NIL)
		warn_of_schema_change(&c);
	return c.verdict;
}
