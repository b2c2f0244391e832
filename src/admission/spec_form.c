/*-------------------------------------------------------------------------
 *
 * spec_form.c
 *	  A custom resource in the one form that rules look at.
 *
 * A resource may be of any version; it may lack its spec, its status or any
 * part of them, and may hold anything where a text belongs.  All that is dealt
 * with here, so that no rule needs to know of it.  Of a resource that has the
 * form of the hub nothing is walked but the way to the fields that count, so
 * what else it holds, however deep, costs nothing.
 *
 * The fields are those of documentdb/documentdb-kubernetes-operator,
 * operator/src/api/preview/documentdb_types.go.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "admission/internal.h"

#include "extension/extension.h"

#define IMAGE_FIELD	"spec.image.documentDB"

/*
 * The value of a key; NULL when there is none, or a null.
 */
static JsonbValue *
find_value(const JsonbContainer *parent, const char *key, JsonbValue *value)
{
	value->type = jbvNull;
	if (parent == NULL || !JsonContainerIsObject(parent))
		return NULL;
	if (getKeyJsonValueFromContainer((JsonbContainer *) parent, key, strlen(key), value) == NULL)
		value->type = jbvNull;
	return value->type == jbvNull ? NULL : value;
}

/*
 * The object under a key, or NULL; *value is what stands there, jbvNull for
 * nothing.
 */
const JsonbContainer *
du_form_object(const JsonbContainer *parent, const char *key, JsonbValue *value)
{
	if (find_value(parent, key, value) == NULL)
		return NULL;
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data) ?
		value->val.binary.data : NULL;
}

/*
 * The string under a key, or NULL; *value as above.
 */
char *
du_form_text(const JsonbContainer *parent, const char *key, JsonbValue *value)
{
	if (find_value(parent, key, value) == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static void
note_wrong_type(ResourceForm *form, const char *field, const char *wanted, const JsonbValue *value)
{
	WrongType  *wrong = palloc(sizeof(WrongType));

	wrong->field = field;
	wrong->wanted = wanted;
	wrong->value = *value;
	form->wrong_types = lappend(form->wrong_types, wrong);
}

/*
 * The last part of the path "field" is the key.
 */
static const char *
key_of(const char *field)
{
	const char *dot = strrchr(field, '.');

	return dot == NULL ? field : dot + 1;
}

static const JsonbContainer *
read_object(ResourceForm *form, const JsonbContainer *parent, const char *field)
{
	JsonbValue	value;
	const JsonbContainer *object = du_form_object(parent, key_of(field), &value);

	if (object == NULL && value.type != jbvNull)
		note_wrong_type(form, field, "an object", &value);
	return object;
}

static char *
read_text(ResourceForm *form, const JsonbContainer *parent, const char *field)
{
	JsonbValue	value;
	char	   *text = du_form_text(parent, key_of(field), &value);

	if (text == NULL && value.type != jbvNull)
		note_wrong_type(form, field, "a string", &value);
	return text == NULL || text[0] == '\0' ? NULL : text;
}

/*
 * The length of the list "field".
 */
static int
read_length(ResourceForm *form, const JsonbContainer *parent, const char *field)
{
	JsonbValue	value;

	if (find_value(parent, key_of(field), &value) == NULL)
		return 0;
	if (value.type == jbvBinary && JsonContainerIsArray(value.val.binary.data) &&
		!JsonContainerIsScalar(value.val.binary.data))
		return JsonContainerSize(value.val.binary.data);
	note_wrong_type(form, field, "an array", &value);
	return 0;
}

/*
 * The text of a field of the spec, which is an object's member or the spec's own.
 */
static char *
read_place(ResourceForm *form, const JsonbContainer *spec, const char *field)
{
	size_t		length = key_of(field) - 1 - field;

	if (length == strlen("spec"))
		return read_text(form, spec, field);
	return read_text(form, read_object(form, spec, pnstrdup(field, length)), field);
}

/*
 * The image of the hub's form, which may come from the annotation of a
 * conversion, and the place where it is written: of several the newest that holds
 * one, which is what messages name.
 */
static void
read_image(ResourceForm *form, const JsonbContainer *written, const JsonbContainer *spec, int version)
{
	const char *place = IMAGE_FIELD;
	bool		converted = written != spec;
	int			wrong = list_length(form->wrong_types);
	JsonbValue	value;
	SpecImage	told;

	form->image_field = version < 0 ? IMAGE_FIELD : du_version_place(version, IMAGE_FIELD);
	for (int i = 0; place != NULL; place = du_version_old_place(IMAGE_FIELD, i++))
	{
		char	   *image = read_place(form, written, place);

		if (image == NULL || form->image != NULL)
			continue;
		form->image = image;
		form->image_field = place;
	}
	if (converted)
	{
		form->image = du_form_text(du_form_object(spec, "image", &value), key_of(IMAGE_FIELD), &value);
		if (form->image != NULL && form->image[0] == '\0')
			form->image = NULL;
		if (form->image == NULL && value.type != jbvNull && value.type != jbvString &&
			list_length(form->wrong_types) == wrong)
			note_wrong_type(form, IMAGE_FIELD, "a string", &value);
	}
	form->documentdb_version = read_text(form, spec, "spec.documentDBVersion");
	du_image_resolve(form->image, form->documentdb_version, &told);
	form->image_by_digest = told.by_digest;
	form->documentdb_version_unread = told.documentdb_version_unread;
	form->binary_version = told.version;
	form->binary_vouched = told.vouched;
	form->unread_version = told.unread;
	if (told.unread != NULL)
		form->unread_field = told.unread_in_image ? form->image_field : "spec.documentDBVersion";
}

static void
read_restore(ResourceForm *form, const JsonbContainer *spec, const JsonbContainer *metadata)
{
	const JsonbContainer *recovery;
	const JsonbContainer *backup;
	const JsonbContainer *volume;
	const JsonbContainer *annotations = read_object(form, metadata, "metadata.annotations");
	JsonbValue	value;

	form->bootstrap = read_object(form, spec, "spec.bootstrap");
	recovery = read_object(form, form->bootstrap, "spec.bootstrap.recovery");
	backup = read_object(form, recovery, "spec.bootstrap.recovery.backup");
	volume = read_object(form, recovery, "spec.bootstrap.recovery.persistentVolume");
	form->restore_backup = read_text(form, backup, "spec.bootstrap.recovery.backup.name");
	form->restore_volume = read_text(form, volume, "spec.bootstrap.recovery.persistentVolume.name");
	form->restore_schema = du_form_text(annotations, DU_RESTORE_SCHEMA_ANNOTATION, &value);
	if (form->restore_schema != NULL && form->restore_schema[0] == '\0')
		form->restore_schema = NULL;
}

/*
 * The form of an object: that of the hub, with the image named as it is written.
 * It points into the document, which must live as long as it does.
 */
ResourceForm *
du_form_read(const JsonbContainer *written)
{
	ResourceForm *form = palloc0(sizeof(ResourceForm));
	const JsonbContainer *resource = du_conversion_hub(written);
	JsonbValue	value;
	const JsonbContainer *metadata = read_object(form, resource, "metadata");
	const JsonbContainer *spec = read_object(form, resource, "spec");
	const JsonbContainer *status = read_object(form, resource, "status");
	const JsonbContainer *replication = read_object(form, spec, "spec.clusterReplication");

	form->name = read_text(form, metadata, "metadata.name");
	form->deleting = read_text(form, metadata, "metadata.deletionTimestamp") != NULL;
	form->schema_version = read_text(form, spec, "spec.schemaVersion");
	read_image(form, du_form_object(written, "spec", &value), spec,
			   du_version_find(du_form_text(written, "apiVersion", &value)));
	read_restore(form, spec, metadata);
	form->regions = read_length(form, replication, "spec.clusterReplication.clusterList");
	form->installed = read_text(form, status, "status.schemaVersion");
	return form;
}
