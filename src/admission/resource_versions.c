/*-------------------------------------------------------------------------
 *
 * resource_versions.c
 *	  The versions of the custom resource, and where each keeps its fields.
 *
 * One version is the hub: the form that current releases of the operator have.
 * Every other one, a spoke, is described by how it differs from the hub.  So a
 * new version is a row for itself and a few for its fields, and two spokes never
 * need to know of each other.
 *
 * On the way up to the hub every place that a field has ever had is looked at,
 * whatever version the resource says it is: the operator changed its fields
 * under one name more than once.  On the way down a field goes where that version
 * keeps it, and what that version does not have is taken away.  What is lost by
 * either is no concern of this file.
 *
 * The fields are those of documentdb/documentdb-kubernetes-operator: its types
 * since the first commit, the definitions of its releases 0.1.0 to 1.0.0, and for
 * db.microsoft.com/v1 its documentation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "admission/internal.h"

#include "lib/stringinfo.h"
#include "utils/numeric.h"

/* Oldest first. */
enum
{
	MICROSOFT_V1,				/* in documents of 2025 */
	MICROSOFT_PREVIEW,			/* operator 0.1.0 to 0.1.2 */
	FLAT,						/* the preview of operator 0.1.3 to 0.2.0 */
	HUB							/* the preview of operator 0.3.0 and later */
};

static const char *const versions[] = {
	[MICROSOFT_V1] = "db.microsoft.com/v1",
	[MICROSOFT_PREVIEW] = "db.microsoft.com/preview",
	[FLAT] = "documentdb.io/preview-flat",
	[HUB] = "documentdb.io/preview",
};

StaticAssertDecl(DU_VERSION_HUB == HUB, "the hub is the newest version");

/*
 * A field that has another place in the hub.  Versions first to last keep it
 * there; some places are read and never written.
 */
typedef struct FieldMove
{
	const char *old;
	const char *hub;
	int			first;
	int			last;
} FieldMove;

#define NEVER_WRITTEN HUB, HUB

/* Of several places of one field the first that holds something wins. */
static const FieldMove moves[] = {
	{"spec.advanced.documentDBImage", "spec.image.documentDB", NEVER_WRITTEN},
	{"spec.documentDBImage", "spec.image.documentDB", MICROSOFT_V1, FLAT},
	{"spec.gatewayImage", "spec.image.gateway", MICROSOFT_V1, FLAT},
	{"spec.postgresImage", "spec.image.postgres", FLAT, FLAT},
	{"spec.postgresqlImage", "spec.image.postgres", MICROSOFT_V1, MICROSOFT_V1},
	{"spec.sidecarInjectorPluginName", "spec.plugins.sidecarInjectorName", MICROSOFT_V1, FLAT},
	{"spec.cnpgSidecarPlugin", "spec.plugins.sidecarInjectorName", NEVER_WRITTEN},
	{"spec.walReplicaPluginName", "spec.plugins.walReplicaName", MICROSOFT_PREVIEW, FLAT},
	{"spec.resource.pvcSize", "spec.resource.storage.pvcSize", MICROSOFT_V1, MICROSOFT_V1},
	{"spec.physicalReplication", "spec.clusterReplication", NEVER_WRITTEN},
};

/* Fields that have no place in the hub and become something else. */
#define PUBLIC_LOAD_BALANCER	"spec.publicLoadBalancer"
#define EXPOSE_VIA_SERVICE		"spec.exposeViaService"
#define ENABLE_FLEET			"spec.clusterReplication.enableFleetForCrossCloud"
#define NETWORKING_STRATEGY		"spec.clusterReplication.crossCloudNetworkingStrategy"
#define CLUSTER_LIST			"spec.clusterReplication.clusterList"

/* Fields that older versions do not have. */
static const struct
{
	const char *field;
	int			since;
}			additions[] =

{
	{"spec.resource.storage", MICROSOFT_PREVIEW},
	{"spec.clusterReplication.highAvailability", MICROSOFT_PREVIEW},
	{NETWORKING_STRATEGY, MICROSOFT_PREVIEW},

	{"spec.affinity", FLAT},
	{"spec.featureGates", FLAT},
	{"spec.bootstrap.recovery.persistentVolume", FLAT},
	{"spec.resource.storage.persistentVolumeReclaimPolicy", FLAT},

	{"spec.image", HUB},
	{"spec.imagePullSecrets", HUB},
	{"spec.plugins", HUB},
	{"spec.postgres", HUB},
	{"spec.schemaVersion", HUB},
	{"spec.monitoring", HUB},
	{"spec.resource.memory", HUB},
	{"spec.resource.cpu", HUB},
	{"spec.resource.gateway", HUB},
	{"spec.resource.database", HUB},
	{"spec.resource.otel", HUB},
	{"spec.clusterReplication.disableTLS", HUB},
	{"spec.tls.postgres", HUB},
	{"spec.featureGates.IOUring", HUB},
};

/* The other members of a spec that are not of one version alone. */
static const char *const common_fields[] = {
	"nodeCount", "instancesPerNode", "resource", "documentDBVersion", "documentDbCredentialSecret",
	"clusterReplication", "exposeViaService", "environment", "timeouts", "tls", "logLevel", "bootstrap",
	"backup", "advanced",
};

const char *
du_version_name(int version)
{
	return versions[version];
}

/*
 * All of them, for a hint.
 */
const char *
du_version_list(void)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = lengthof(versions) - 1; i >= 0; i--)
		appendStringInfo(&buf, "\"%s\"%s", versions[i], i > 1 ? ", " : i == 1 ? " and " : "");
	return buf.data;
}

/*
 * The number of a version, or -1.
 */
int
du_version_find(const char *api_version)
{
	for (int i = 0; api_version != NULL && i < lengthof(versions); i++)
		if (strcmp(versions[i], api_version) == 0)
			return i;
	return -1;
}

bool
du_version_has_group(const char *group)
{
	size_t		length = group == NULL ? 0 : strlen(group);

	for (int i = 0; length > 0 && i < lengthof(versions); i++)
		if (strncmp(versions[i], group, length) == 0 && versions[i][length] == '/')
			return true;
	return false;
}

/*
 * Whether something stands at a path, be it null.
 */
static bool
holds(const JsonbContainer *object, const char *path)
{
	while (object != NULL && JsonContainerIsObject(object))
	{
		const char *dot = strchr(path, '.');
		int			length = dot == NULL ? strlen(path) : dot - path;
		JsonbValue	value;

		if (getKeyJsonValueFromContainer((JsonbContainer *) object, path, length, &value) == NULL)
			return false;
		if (dot == NULL)
			return true;
		object = value.type == jbvBinary ? value.val.binary.data : NULL;
		path = dot + 1;
	}
	return false;
}

/*
 * The version of a resource, or -1.  One that says it is of the hub and keeps a
 * field where older releases had it is of the last version that did.
 */
int
du_version_of(const JsonbContainer *resource)
{
	JsonbValue	value;
	int			version = du_version_find(du_form_text(resource, "apiVersion", &value));

	if (version != HUB)
		return version;
	for (int i = 0; i < lengthof(moves); i++)
		if (holds(resource, moves[i].old))
			return FLAT;
	return holds(resource, PUBLIC_LOAD_BALANCER) || holds(resource, ENABLE_FLEET) ? FLAT : HUB;
}

/*
 * Where a version keeps a field of the hub.
 */
const char *
du_version_place(int version, const char *hub)
{
	for (int i = 0; i < lengthof(moves); i++)
		if (strcmp(moves[i].hub, hub) == 0 && moves[i].first <= version && version <= moves[i].last &&
			version != HUB)
			return moves[i].old;
	return hub;
}

/*
 * The nth place that a field of the hub has had before, newest first; NULL after
 * the last.
 */
const char *
du_version_old_place(const char *hub, int n)
{
	for (int i = 0; i < lengthof(moves); i++)
		if (strcmp(moves[i].hub, hub) == 0 && n-- == 0)
			return moves[i].old;
	return NULL;
}

static void
lift_moves(JsonbValue *resource)
{
	for (int i = 0; i < lengthof(moves); i++)
	{
		JsonbValue *value = du_tree_find(resource, moves[i].old);

		if (value == NULL)
			continue;
		if (!du_tree_is_unset(value) && du_tree_is_unset(du_tree_find(resource, moves[i].hub)))
			(void) du_tree_put(resource, moves[i].hub, *value);
		du_tree_drop(resource, moves[i].old);
	}
}

static bool
is_true(const JsonbValue *value)
{
	return value != NULL && value->type == jbvBool && value->val.boolean;
}

/*
 * A load balancer that was switched on or off is one of the ways to be exposed;
 * where both are told, the newer field counts.
 */
static void
lift_exposure(JsonbValue *resource)
{
	if (is_true(du_tree_find(resource, PUBLIC_LOAD_BALANCER ".enabled")) &&
		du_tree_is_unset(du_tree_find(resource, EXPOSE_VIA_SERVICE)))
		(void) du_tree_put(resource, EXPOSE_VIA_SERVICE ".serviceType", du_tree_text("LoadBalancer"));
	du_tree_drop(resource, PUBLIC_LOAD_BALANCER);
}

static void
lower_exposure(JsonbValue *resource)
{
	if (!du_tree_is_text(du_tree_find(resource, EXPOSE_VIA_SERVICE ".serviceType"), "LoadBalancer"))
		return;
	(void) du_tree_put(resource, PUBLIC_LOAD_BALANCER ".enabled", du_tree_bool(true));
	du_tree_drop(resource, EXPOSE_VIA_SERVICE);
}

/*
 * Regions were names once, and are objects with a name.
 */
static void
lift_regions(JsonbValue *resource)
{
	JsonbValue	name = du_tree_text("name");
	JsonbValue *list;

	if (is_true(du_tree_find(resource, ENABLE_FLEET)) &&
		du_tree_is_unset(du_tree_find(resource, NETWORKING_STRATEGY)))
		(void) du_tree_put(resource, NETWORKING_STRATEGY, du_tree_text("AzureFleet"));
	du_tree_drop(resource, ENABLE_FLEET);
	list = du_tree_find(resource, CLUSTER_LIST);
	for (int i = 0; list != NULL && list->type == jbvArray && i < list->val.array.nElems; i++)
	{
		JsonbValue	region = du_tree_object();

		if (list->val.array.elems[i].type != jbvString)
			continue;
		du_tree_set(&region, &name, list->val.array.elems[i]);
		list->val.array.elems[i] = region;
	}
}

static void
lower_regions(JsonbValue *resource)
{
	JsonbValue	name = du_tree_text("name");
	JsonbValue *list;

	if (du_tree_is_text(du_tree_find(resource, NETWORKING_STRATEGY), "AzureFleet"))
		(void) du_tree_put(resource, ENABLE_FLEET, du_tree_bool(true));
	list = du_tree_find(resource, CLUSTER_LIST);
	for (int i = 0; list != NULL && list->type == jbvArray && i < list->val.array.nElems; i++)
	{
		JsonbValue *named = du_tree_member(&list->val.array.elems[i], &name);

		if (named != NULL && named->type == jbvString)
			list->val.array.elems[i] = *named;
	}
}

/*
 * What the hub asks for and older versions did not: it would be refused without,
 * and means what the older release did.  Replication between regions was not
 * encrypted unless there were certificates, for which the older versions had no
 * field.
 */
static void
lift_defaults(JsonbValue *resource)
{
	static const char *const counts[] = {"spec.nodeCount", "spec.instancesPerNode"};
	JsonbValue *replication;

	for (int i = 0; i < lengthof(counts); i++)
	{
		JsonbValue *count = du_tree_find(resource, counts[i]);

		if (count == NULL || count->type == jbvNull)
		{
			JsonbValue	one;

			one.type = jbvNumeric;
			one.val.numeric = int64_to_numeric(1);
			(void) du_tree_put(resource, counts[i], one);
		}
	}
	if (du_tree_is_text(du_tree_find(resource, "spec.tls.gateway.mode"), "Disabled"))
		(void) du_tree_put(resource, "spec.tls.gateway.mode", du_tree_text("SelfSigned"));
	replication = du_tree_find(resource, "spec.clusterReplication");
	if (replication != NULL && replication->type == jbvObject &&
		du_tree_find(resource, "spec.clusterReplication.disableTLS") == NULL &&
		du_tree_find(resource, "spec.tls.postgres.replicationTLSSecret") == NULL)
		(void) du_tree_put(resource, "spec.clusterReplication.disableTLS", du_tree_bool(true));
}

static bool
has_spec(const JsonbValue *resource)
{
	JsonbValue *spec = du_tree_find(resource, "spec");

	return spec != NULL && spec->type == jbvObject;
}

static void
name_version(JsonbValue *resource, int version)
{
	(void) du_tree_put(resource, "apiVersion", du_tree_text(versions[version]));
}

/*
 * Makes a resource of a spoke, or of an unknown version, one of the hub.
 */
void
du_version_lift(JsonbValue *resource)
{
	name_version(resource, HUB);
	if (!has_spec(resource))
		return;
	lift_moves(resource);
	lift_exposure(resource);
	lift_regions(resource);
	if (has_spec(resource))
		lift_defaults(resource);
}

/*
 * Makes a resource of the hub one of a spoke.
 */
void
du_version_lower(JsonbValue *resource, int version)
{
	name_version(resource, version);
	if (!has_spec(resource))
		return;
	for (int i = 0; i < lengthof(moves); i++)
	{
		JsonbValue *value;

		if (version < moves[i].first || version > moves[i].last)
			continue;
		value = du_tree_find(resource, moves[i].hub);
		if (value == NULL)
			continue;
		(void) du_tree_put(resource, moves[i].old, *value);
		du_tree_drop(resource, moves[i].hub);
	}
	if (version == MICROSOFT_V1)
	{
		lower_exposure(resource);
		lower_regions(resource);
	}
	for (int i = 0; i < lengthof(additions); i++)
		if (additions[i].since > version)
			du_tree_drop(resource, additions[i].field);
}

/*
 * Whether any version is known to have that member of a spec.
 */
bool
du_version_knows(const JsonbValue *key)
{
	const char *field;

	for (int i = 0; i < lengthof(common_fields); i++)
		if (du_tree_is_text(key, common_fields[i]))
			return true;
	for (int i = 0; i <= lengthof(additions) + lengthof(moves); i++)
	{
		if (i < lengthof(additions))
			field = additions[i].field;
		else if (i < lengthof(additions) + lengthof(moves))
			field = moves[i - lengthof(additions)].old;
		else
			field = PUBLIC_LOAD_BALANCER;
		if (du_tree_is_text(key, field + strlen("spec.")))
			return true;
	}
	return false;
}

/*
 * Takes away the members of a spec that no version is known to have.
 */
void
du_version_drop_unknown(JsonbValue *resource)
{
	JsonbValue *spec = du_tree_find(resource, "spec");

	if (!has_spec(resource))
		return;
	for (int i = spec->val.object.nPairs - 1; i >= 0; i--)
	{
		JsonbValue	key = spec->val.object.pairs[i].key;

		if (!du_version_knows(&key))
			du_tree_unset(spec, &key);
	}
}
