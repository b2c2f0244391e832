/*-------------------------------------------------------------------------
 *
 * resource_conversion.c
 *	  A custom resource of one version as one of another.
 *
 * Each way goes through the hub.  A step of it changes the fields, puts back
 * what an earlier conversion has kept for this version, and keeps what the way
 * back would lose: the step is gone back at once, and what differs from the
 * resource that came in is what is lost.  So a round trip is exact by what is
 * done, not by a list of exceptions that somebody has to think of.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "admission/internal.h"

/*
 * What comes back when a resource of the hub is lowered to that version, or one
 * of that version is lifted.  Of fields that no version knows it is not certain
 * that they are still there: API servers drop what a schema does not have.
 */
static JsonbValue *
go_back(const JsonbValue *resource, int version)
{
	JsonbValue *returned = du_tree_copy(resource);

	du_version_drop_unknown(returned);
	if (version == DU_VERSION_HUB)
		du_version_lift(returned);
	else
		du_version_lower(returned, version);
	return returned;
}

/*
 * One step, to the hub or from it.
 */
static JsonbValue *
convert_step(const JsonbValue *original, int from, int to)
{
	JsonbValue *resource = du_tree_copy(original);
	JsonbValue *own = du_tree_copy(original);

	if (to == DU_VERSION_HUB)
		du_version_lift(resource);
	else
		du_version_lower(resource, to);
	du_lost_restore(resource, du_version_name(to));
	du_lost_forget(own, du_version_name(to));
	du_lost_keep(resource, du_version_name(from), go_back(resource, from), own);
	return resource;
}

/*
 * The resource as one of to_version; NULL, with *problem, when it cannot be
 * converted.
 */
JsonbValue *
du_conversion_run(const JsonbContainer *resource, const char *to_version, char **problem)
{
	JsonbValue	value;
	const JsonbContainer *metadata = du_form_object(resource, "metadata", &value);
	JsonbValue *tree;
	char	   *api_version;
	char	   *kind;
	int			from;
	int			to = du_version_find(to_version);

	*problem = NULL;
	if (to < 0)
		*problem = psprintf("version \"%s\" is not known", du_spec_shown(to_version));
	else if (value.type != jbvNull && metadata == NULL)
		*problem = pstrdup("metadata is not an object");
	else if (du_form_object(metadata, "annotations", &value) == NULL && value.type != jbvNull)
		*problem = pstrdup("metadata.annotations is not an object");
	if (*problem != NULL)
		return NULL;

	api_version = du_form_text(resource, "apiVersion", &value);
	kind = du_form_text(resource, "kind", &value);
	from = du_version_of(resource);
	if (api_version == NULL)
		*problem = pstrdup("it has no apiVersion");
	else if (from < 0)
		*problem = psprintf("version \"%s\" is not known", du_spec_shown(api_version));
	else if (kind == NULL)
		*problem = pstrdup("it has no kind");
	else if (strcmp(kind, DU_RESOURCE_KIND) != 0)
		*problem = psprintf("kind \"%s\" is not known", du_spec_shown(kind));
	if (*problem != NULL)
		return NULL;

	tree = du_tree_read(resource);
	if (from != to && from != DU_VERSION_HUB)
		tree = convert_step(tree, from, DU_VERSION_HUB);
	if (from != to && to != DU_VERSION_HUB)
		tree = convert_step(tree, DU_VERSION_HUB, to);
	(void) du_tree_put(tree, "apiVersion", du_tree_text(du_version_name(to)));
	return tree;
}

/*
 * The resource in the form of the hub: itself when it has that.  One of a version
 * that is not known is taken as it is.
 */
const JsonbContainer *
du_conversion_hub(const JsonbContainer *resource)
{
	JsonbValue *tree;
	int			from = resource == NULL ? -1 : du_version_of(resource);

	if (from < 0 || from == DU_VERSION_HUB)
		return resource;
	tree = du_tree_read(resource);
	du_version_lift(tree);
	du_lost_restore(tree, du_version_name(DU_VERSION_HUB));
	return &JsonbValueToJsonb(tree)->root;
}
