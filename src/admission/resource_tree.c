/*-------------------------------------------------------------------------
 *
 * resource_tree.c
 *	  JSON that can be changed, member by member.
 *
 * A jsonb is one flat value, and each of its SQL operators copies it.  Here it
 * is unfolded once into JsonbValues of objects and arrays, which the server can
 * fold again.  The members of an object stand in the order that the server
 * keeps: by the length of their keys, then by their bytes.
 *
 * A path is a list of keys with dots between them, for fields whose names hold
 * none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "admission/internal.h"

#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

/*
 * The unfolded form of an object.  Its texts and numbers stay in the document,
 * which must live as long.
 */
JsonbValue *
du_tree_read(const JsonbContainer *object)
{
	JsonbIterator *it = JsonbIteratorInit((JsonbContainer *) object);
	JsonbParseState *state = NULL;
	JsonbValue *tree = NULL;
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
		tree = pushJsonbValue(&state, token, token < WJB_BEGIN_ARRAY ? &value : NULL);
	return tree;
}

/*
 * A copy that can be changed on its own.
 */
JsonbValue *
du_tree_copy(const JsonbValue *tree)
{
	JsonbValue *copy = palloc(sizeof(JsonbValue));

	check_stack_depth();
	*copy = *tree;
	if (tree->type == jbvObject)
	{
		copy->val.object.pairs = palloc(sizeof(JsonbPair) * (tree->val.object.nPairs + 1));
		for (int i = 0; i < tree->val.object.nPairs; i++)
		{
			copy->val.object.pairs[i] = tree->val.object.pairs[i];
			copy->val.object.pairs[i].value = *du_tree_copy(&tree->val.object.pairs[i].value);
		}
	}
	else if (tree->type == jbvArray)
	{
		copy->val.array.elems = palloc(sizeof(JsonbValue) * (tree->val.array.nElems + 1));
		for (int i = 0; i < tree->val.array.nElems; i++)
			copy->val.array.elems[i] = *du_tree_copy(&tree->val.array.elems[i]);
	}
	return copy;
}

JsonbValue
du_tree_text(const char *text)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = (char *) text;
	value.val.string.len = strlen(text);
	return value;
}

JsonbValue
du_tree_bool(bool boolean)
{
	JsonbValue	value;

	value.type = jbvBool;
	value.val.boolean = boolean;
	return value;
}

JsonbValue
du_tree_object(void)
{
	JsonbValue	value;

	value.type = jbvObject;
	value.val.object.nPairs = 0;
	value.val.object.pairs = palloc(sizeof(JsonbPair));
	return value;
}

JsonbValue
du_tree_array(int length)
{
	JsonbValue	value;

	value.type = jbvArray;
	value.val.array.nElems = 0;
	value.val.array.rawScalar = false;
	value.val.array.elems = palloc(sizeof(JsonbValue) * (length + 1));
	return value;
}

static int
compare_keys(const JsonbValue *a, const JsonbValue *b)
{
	if (a->val.string.len != b->val.string.len)
		return a->val.string.len < b->val.string.len ? -1 : 1;
	return memcmp(a->val.string.val, b->val.string.val, a->val.string.len);
}

/*
 * Where a key stands in an object, or would stand.
 */
static int
find_place(const JsonbValue *object, const JsonbValue *key, bool *found)
{
	int			low = 0;
	int			high = object->val.object.nPairs;

	*found = false;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			cmp = compare_keys(&object->val.object.pairs[middle].key, key);

		if (cmp == 0)
		{
			*found = true;
			return middle;
		}
		if (cmp < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The value under a key; NULL when there is none, or no object.
 */
JsonbValue *
du_tree_member(const JsonbValue *object, const JsonbValue *key)
{
	bool		found;
	int			place;

	if (object == NULL || object->type != jbvObject)
		return NULL;
	place = find_place(object, key, &found);
	return found ? &object->val.object.pairs[place].value : NULL;
}

/*
 * Sets the value under a key of an object, and returns where it stands.
 */
JsonbValue *
du_tree_set(JsonbValue *object, const JsonbValue *key, JsonbValue value)
{
	bool		found;
	int			place = find_place(object, key, &found);
	JsonbPair  *pairs = object->val.object.pairs;

	if (!found)
	{
		int			n = object->val.object.nPairs++;

		pairs = palloc(sizeof(JsonbPair) * (n + 1));
		if (n > 0)				/* else there is nothing to copy from */
		{
			memcpy(pairs, object->val.object.pairs, sizeof(JsonbPair) * place);
			memcpy(pairs + place + 1, object->val.object.pairs + place, sizeof(JsonbPair) * (n - place));
		}
		pairs[place].key = *key;
		pairs[place].order = 0;
		object->val.object.pairs = pairs;
	}
	Assert(pairs != NULL);
	pairs[place].value = value;
	return &pairs[place].value;
}

void
du_tree_unset(JsonbValue *object, const JsonbValue *key)
{
	bool		found;
	int			place = find_place(object, key, &found);
	JsonbPair  *pairs = object->val.object.pairs;

	if (found)
		memmove(pairs + place, pairs + place + 1,
				sizeof(JsonbPair) * (--object->val.object.nPairs - place));
}

/*
 * The first key of a path; *rest is what follows it, NULL after the last.
 */
static JsonbValue
split_path(const char *path, const char **rest)
{
	const char *dot = strchr(path, '.');
	JsonbValue	key;

	key.type = jbvString;
	key.val.string.val = (char *) path;
	key.val.string.len = dot == NULL ? strlen(path) : dot - path;
	*rest = dot == NULL ? NULL : dot + 1;
	return key;
}

/*
 * The value at a path, or NULL.
 */
JsonbValue *
du_tree_find(const JsonbValue *tree, const char *path)
{
	JsonbValue *found = (JsonbValue *) tree;

	while (path != NULL && found != NULL)
	{
		JsonbValue	key = split_path(path, &path);

		found = du_tree_member(found, &key);
	}
	return found;
}

/*
 * Sets the value at a path, with the objects on the way to it.  False, and
 * nothing is done, when something else stands there.
 */
bool
du_tree_put(JsonbValue *tree, const char *path, JsonbValue value)
{
	const char *rest;
	JsonbValue	key = split_path(path, &rest);
	JsonbValue *member = du_tree_member(tree, &key);

	if (tree->type != jbvObject)
		return false;
	if (rest == NULL)
	{
		du_tree_set(tree, &key, value);
		return true;
	}
	if (member == NULL || member->type == jbvNull)
	{
		JsonbValue	object = du_tree_object();

		if (!du_tree_put(&object, rest, value))
			return false;
		du_tree_set(tree, &key, object);
		return true;
	}
	return du_tree_put(member, rest, value);
}

static void
drop_in(JsonbValue *object, const char *path, bool keep_empty)
{
	const char *rest;
	JsonbValue	key = split_path(path, &rest);
	JsonbValue *member = du_tree_member(object, &key);

	if (member == NULL)
		return;
	if (rest != NULL)
	{
		if (member->type != jbvObject || member->val.object.nPairs == 0)
			return;
		drop_in(member, rest, false);
		if (keep_empty || member->val.object.nPairs > 0)
			return;
	}
	du_tree_unset(object, &key);
}

/*
 * Removes what is at a path.  An object that is empty for that goes too, unless
 * it is a member of the root.
 */
void
du_tree_drop(JsonbValue *tree, const char *path)
{
	drop_in(tree, path, true);
}

/*
 * Whether the field holds nothing: neither null nor an empty text is something.
 */
bool
du_tree_is_unset(const JsonbValue *value)
{
	return value == NULL || value->type == jbvNull ||
		(value->type == jbvString && value->val.string.len == 0);
}

bool
du_tree_is_text(const JsonbValue *value, const char *text)
{
	return value != NULL && value->type == jbvString && value->val.string.len == strlen(text) &&
		memcmp(value->val.string.val, text, value->val.string.len) == 0;
}

/*
 * Whether two values are the same, either of which may be missing.
 */
bool
du_tree_equal(const JsonbValue *a, const JsonbValue *b)
{
	check_stack_depth();
	if (a == NULL || b == NULL)
		return a == b;
	if (a->type != b->type)
		return false;
	switch (a->type)
	{
		case jbvNull:
			return true;
		case jbvString:
			return compare_keys(a, b) == 0;
		case jbvBool:
			return a->val.boolean == b->val.boolean;
		case jbvNumeric:
			return DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(a->val.numeric),
													NumericGetDatum(b->val.numeric)));
		case jbvArray:
			if (a->val.array.nElems != b->val.array.nElems)
				return false;
			for (int i = 0; i < a->val.array.nElems; i++)
				if (!du_tree_equal(&a->val.array.elems[i], &b->val.array.elems[i]))
					return false;
			return true;
		case jbvObject:
			if (a->val.object.nPairs != b->val.object.nPairs)
				return false;
			for (int i = 0; i < a->val.object.nPairs; i++)
				if (compare_keys(&a->val.object.pairs[i].key, &b->val.object.pairs[i].key) != 0 ||
					!du_tree_equal(&a->val.object.pairs[i].value, &b->val.object.pairs[i].value))
					return false;
			return true;
		default:
			elog(ERROR, "unexpected type of a JSON value: %d", (int) a->type);
	}
	return false;
}

/*
 * The JSON text of an object or an array.
 */
char *
du_tree_print(JsonbValue *tree)
{
	Jsonb	   *jsonb = JsonbValueToJsonb(tree);

	return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
}
