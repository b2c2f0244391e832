/*-------------------------------------------------------------------------
 *
 * lost_fields.c
 *	  What a conversion loses, kept in an annotation.
 *
 * The annotation is a JSON object with a list for each version that something is
 * kept for.  An entry of it is a field of the spec: its path, what the conversion
 * to that version gives by itself ("was"), and what there must be ("is"); either
 * may be missing, when there is no such field.  An entry is put back only where
 * its "was" still holds: what somebody has changed meanwhile is newer than what
 * was kept.
 *
 * Anybody may write an annotation.  One that is no such list is left alone, and
 * none can touch more than the spec.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "admission/internal.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#define ANNOTATIONS	"metadata.annotations"

/* Beside the versions: what has been made for the annotation, and goes with it. */
#define MADE		"made"

/* Deeper nesting is not read back, nor numbers that numeric might not take. */
#define DEEPEST			1000
#define LONGEST_NUMBER	16383

static JsonbValue *
find_annotations(const JsonbValue *resource)
{
	JsonbValue *annotations = du_tree_find(resource, ANNOTATIONS);

	return annotations != NULL && annotations->type == jbvObject ? annotations : NULL;
}

/*
 * Whether jsonb takes the text without raising.  The server's parser tells of
 * most faults by a value; the loop is for those of which it does not.
 */
static bool
is_sound(char *text)
{
	bool		in_string = false;
	int			depth = 0;
	int			digits = 0;
	JsonLexContext *lex;
#if PG_VERSION_NUM >= 170000
	JsonLexContext context;
#endif

	for (const char *p = text; *p != '\0'; p++)
	{
		digits = *p >= '0' && *p <= '9' ? digits + 1 : 0;
		if (in_string && *p == '\\')
		{
			if (p[1] == 'u' && strncmp(p + 2, "001", 3) != 0 && (strncmp(p + 2, "000", 3) != 0 || p[5] == '0'))
				return false;
			if (*++p == '\0')
				return false;
		}
		else if (*p == '"')
			in_string = !in_string;
		else if (in_string)
			continue;
		else if (*p == '[' || *p == '{')
			depth++;
		else if (*p == ']' || *p == '}')
			depth--;
		else if ((*p == 'e' || *p == 'E') && p > text && p[-1] >= '0' && p[-1] <= '9')
			return false;
		if (depth > DEEPEST || (!in_string && digits > LONGEST_NUMBER))
			return false;
	}

#if PG_VERSION_NUM >= 170000
	/* 17 has the caller bring the context. */
	lex = makeJsonLexContextCstringLen(&context, text, strlen(text), GetDatabaseEncoding(), true);
#else
	lex = makeJsonLexContextCstringLen(text, strlen(text), GetDatabaseEncoding(), true);
#endif
	return pg_parse_json(lex, &nullSemAction) == JSON_SUCCESS;
}

/*
 * What the annotation of a resource holds; an empty object when there is none
 * that can be read.
 */
static JsonbValue
read_annotation(const JsonbValue *resource)
{
	JsonbValue	key = du_tree_text(DU_CONVERSION_ANNOTATION);
	JsonbValue *kept = du_tree_member(find_annotations(resource), &key);
	Jsonb	   *jsonb;
	char	   *text;

	if (kept == NULL || kept->type != jbvString)
		return du_tree_object();
	text = pnstrdup(kept->val.string.val, kept->val.string.len);
	if (!is_sound(text))
		return du_tree_object();
	jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	return JB_ROOT_IS_OBJECT(jsonb) ? *du_tree_read(&jsonb->root) : du_tree_object();
}

/*
 * Writes the annotation; one that holds no version is removed, with what has been
 * made for it.
 */
static void
write_annotation(JsonbValue *resource, JsonbValue *kept)
{
	JsonbValue	key = du_tree_text(DU_CONVERSION_ANNOTATION);
	JsonbValue	made = du_tree_text(MADE);
	JsonbValue *annotations = find_annotations(resource);
	JsonbValue *of_ours = du_tree_member(kept, &made);

	if (kept->val.object.nPairs > (of_ours == NULL ? 0 : 1))
	{
		if (annotations == NULL)
		{
			JsonbValue *metadata = du_tree_find(resource, "metadata");

			du_tree_set(kept, &made, du_tree_text(metadata == NULL ? "metadata" : ANNOTATIONS));
			(void) du_tree_put(resource, ANNOTATIONS, du_tree_object());
			annotations = find_annotations(resource);
		}
		du_tree_set(annotations, &key, du_tree_text(du_tree_print(kept)));
		return;
	}
	if (annotations == NULL)
		return;
	du_tree_unset(annotations, &key);
	if (of_ours == NULL || annotations->val.object.nPairs > 0)
		return;
	key = du_tree_text("annotations");
	du_tree_unset(du_tree_find(resource, "metadata"), &key);
	key = du_tree_text("metadata");
	if (du_tree_is_text(of_ours, "metadata") && du_tree_find(resource, "metadata")->val.object.nPairs == 0)
		du_tree_unset(resource, &key);
}

/*
 * Puts one entry back.
 */
static void
restore_entry(JsonbValue *resource, const JsonbValue *entry)
{
	JsonbValue *path = du_tree_find(entry, "path");
	JsonbValue *is = du_tree_find(entry, "is");
	JsonbValue *parent = resource;
	JsonbValue *key;

	if (path == NULL || path->type != jbvArray || path->val.array.nElems == 0 ||
		!du_tree_is_text(&path->val.array.elems[0], "spec"))
		return;
	for (int i = 0;; i++)
	{
		key = &path->val.array.elems[i];
		if (key->type != jbvString || parent == NULL || parent->type != jbvObject)
			return;
		if (i == path->val.array.nElems - 1)
			break;
		parent = du_tree_member(parent, key);
	}
	if (!du_tree_equal(du_tree_member(parent, key), du_tree_find(entry, "was")))
		return;
	if (is == NULL)
		du_tree_unset(parent, key);
	else
		du_tree_set(parent, key, *is);
}

/*
 * The entries for a version in what an annotation holds, or NULL.
 */
static JsonbValue *
find_entries(const JsonbValue *kept, const char *version)
{
	JsonbValue	key = du_tree_text(version);
	JsonbValue *entries = du_tree_member(kept, &key);

	return entries != NULL && entries->type == jbvArray ? entries : NULL;
}

/*
 * Puts back what has been kept for a version, of which the resource now is.
 */
void
du_lost_restore(JsonbValue *resource, const char *version)
{
	JsonbValue	kept = read_annotation(resource);
	JsonbValue	key = du_tree_text(version);
	JsonbValue *entries = find_entries(&kept, version);

	if (entries == NULL)
		return;
	for (int i = 0; i < entries->val.array.nElems; i++)
		restore_entry(resource, &entries->val.array.elems[i]);
	du_tree_unset(&kept, &key);
	write_annotation(resource, &kept);
}

/*
 * Takes out of a spec the members that no version knows and that have been kept
 * for this one: they are that version's, and no loss to any other.
 */
void
du_lost_forget(JsonbValue *resource, const char *version)
{
	JsonbValue	kept = read_annotation(resource);
	JsonbValue *entries = find_entries(&kept, version);
	JsonbValue *spec = du_tree_find(resource, "spec");

	if (entries == NULL || spec == NULL || spec->type != jbvObject)
		return;
	for (int i = 0; i < entries->val.array.nElems; i++)
	{
		JsonbValue *path = du_tree_find(&entries->val.array.elems[i], "path");
		JsonbValue *key = path == NULL || path->type != jbvArray || path->val.array.nElems != 2 ?
			NULL : &path->val.array.elems[1];

		if (key != NULL && key->type == jbvString && !du_version_knows(key))
			du_tree_unset(spec, key);
	}
}

/*
 * Adds to "lost", a list of entries, how "is" differs from "was"; path is of the
 * keys that lead there.
 */
static List *
list_differences(List *lost, List *path, const JsonbValue *was, const JsonbValue *is)
{
	JsonbValue	entry;
	JsonbValue	keys;
	JsonbValue	name;
	ListCell   *lc;

	if (du_tree_equal(was, is))
		return lost;
	if (was != NULL && is != NULL && was->type == jbvObject && is->type == jbvObject)
	{
		for (int i = 0; i < was->val.object.nPairs; i++)
		{
			JsonbPair  *pair = &was->val.object.pairs[i];

			lost = list_differences(lost, lappend(list_copy(path), &pair->key), &pair->value,
									du_tree_member(is, &pair->key));
		}
		for (int i = 0; i < is->val.object.nPairs; i++)
		{
			JsonbPair  *pair = &is->val.object.pairs[i];

			if (du_tree_member(was, &pair->key) == NULL)
				lost = list_differences(lost, lappend(list_copy(path), &pair->key), NULL, &pair->value);
		}
		return lost;
	}

	entry = du_tree_object();
	keys = du_tree_array(list_length(path));
	foreach(lc, path)
		keys.val.array.elems[keys.val.array.nElems++] = *(JsonbValue *) lfirst(lc);
	name = du_tree_text("path");
	du_tree_set(&entry, &name, keys);
	name = du_tree_text("was");
	if (was != NULL)
		du_tree_set(&entry, &name, *was);
	name = du_tree_text("is");
	if (is != NULL)
		du_tree_set(&entry, &name, *is);
	return lappend(lost, du_tree_copy(&entry));
}

/*
 * Keeps for a version how the original, which was of it, differs from what a
 * conversion back returns.
 */
void
du_lost_keep(JsonbValue *resource, const char *version, const JsonbValue *returned, const JsonbValue *original)
{
	JsonbValue	spec = du_tree_text("spec");
	JsonbValue	key = du_tree_text(version);
	JsonbValue	kept = read_annotation(resource);
	List	   *lost = list_differences(NIL, list_make1(&spec), du_tree_member(returned, &spec),
										du_tree_member(original, &spec));
	JsonbValue	entries = du_tree_array(list_length(lost));
	ListCell   *lc;

	foreach(lc, lost)
		entries.val.array.elems[entries.val.array.nElems++] = *(JsonbValue *) lfirst(lc);
	if (lost != NIL)
		du_tree_set(&kept, &key, entries);
	else if (du_tree_member(&kept, &key) == NULL)
		return;
	else
		du_tree_unset(&kept, &key);
	write_annotation(resource, &kept);
}
