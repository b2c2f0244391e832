/*-------------------------------------------------------------------------
 *
 * kube_findings.c
 *	  What objects of the cluster say about the checks of the health reports.
 *
 * Each check is of one or more objects, each of which is read by a request of
 * its own and adds a sentence, and how bad it is, to a finding.  Names of
 * deployments, namespaces and webhooks are those of the charts; something that is
 * not found under them may be there under others, so that is no answer.
 *
 * The texts are the cluster's: copied, checked and cut.  A field of the wrong
 * type makes a whole object unusable.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/kubernetes/internal.h"

#include "nodes/pg_list.h"

#include "worker/net/net.h"

#define OPERATOR_NAMESPACE	"documentdb-operator"
#define CNPG_NAMESPACE		"cnpg-system"
#define HEALTHY				"Cluster in healthy state"
#define LONGEST_FIELD		300
#define MOST_ITEMS			100 /* of a list, or in an object */
#define MOST_USED			0.8 /* of a quota */

/* The objects that are asked for, those of one check side by side. */
static const KubeQuestion questions[] = {
	{"operator", {"get", "deployments", "apps", OPERATOR_NAMESPACE},
		"/apis/apps/v1/namespaces/" OPERATOR_NAMESPACE "/deployments/documentdb-operator",
	FINDING_DEPLOYMENT, "documentdb-operator"},
	{"cnpg", {"list", "deployments", "apps", CNPG_NAMESPACE},
		"/apis/apps/v1/namespaces/" CNPG_NAMESPACE "/deployments"
	"?labelSelector=app.kubernetes.io%2Fname%3Dcloudnative-pg&limit=100", FINDING_DEPLOYMENTS, NULL},
	{"sidecar_injector", {"get", "deployments", "apps", CNPG_NAMESPACE},
	"/apis/apps/v1/namespaces/" CNPG_NAMESPACE "/deployments/sidecar-injector", FINDING_DEPLOYMENT, "sidecar-injector"},
	{"webhooks", {"get", "validatingwebhookconfigurations", "admissionregistration.k8s.io", ""},
		"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/documentdb-validating-webhook",
	FINDING_WEBHOOKS, "documentdb-validating-webhook"},
	{"webhooks", {"get", "validatingwebhookconfigurations", "admissionregistration.k8s.io", ""},
		"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/cnpg-validating-webhook-configuration",
	FINDING_WEBHOOKS, "cnpg-validating-webhook-configuration"},
	{"webhooks", {"get", "mutatingwebhookconfigurations", "admissionregistration.k8s.io", ""},
		"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/cnpg-mutating-webhook-configuration",
	FINDING_WEBHOOKS, "cnpg-mutating-webhook-configuration"},
	{"crds", {"get", "customresourcedefinitions", "apiextensions.k8s.io", ""},
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/dbs.documentdb.io",
	FINDING_DEFINITION, "dbs.documentdb.io"},
	{"crds", {"get", "customresourcedefinitions", "apiextensions.k8s.io", ""},
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/backups.documentdb.io",
	FINDING_DEFINITION, "backups.documentdb.io"},
	{"crds", {"get", "customresourcedefinitions", "apiextensions.k8s.io", ""},
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clusters.postgresql.cnpg.io",
	FINDING_DEFINITION, "clusters.postgresql.cnpg.io"},
	{"cluster", {"get", "clusters", "postgresql.cnpg.io", NULL},
	"/apis/postgresql.cnpg.io/v1/namespaces/{ns}/clusters/{cluster}", FINDING_CLUSTER, "{cluster}"},
	{"quotas", {"list", "resourcequotas", "", NULL},
	"/api/v1/namespaces/{ns}/resourcequotas?limit=100", FINDING_QUOTAS, NULL},
	{"pod_images", {"list", "pods", "", NULL},
	"/api/v1/namespaces/{ns}/pods?labelSelector=cnpg.io%2Fcluster%3D{cluster}&limit=100", FINDING_IMAGES, NULL},
	{"sidecar_injection", {"list", "pods", "", NULL},
	"/api/v1/namespaces/{ns}/pods?labelSelector=cnpg.io%2Fcluster%3D{cluster}&limit=100", FINDING_GATEWAYS, NULL},
};

/*
 * The nth object to ask for; NULL after the last one.
 */
const KubeQuestion *
du_finding_question(int n)
{
	return n < lengthof(questions) ? &questions[n] : NULL;
}

/* Adds a sentence to a finding, and how bad that is. */
static void
add(KubeFinding *finding, FindingGrade grade, const char *format,...) pg_attribute_printf(3, 4);

static void
add(KubeFinding *finding, FindingGrade grade, const char *format,...)
{
	StringInfo	text = &finding->text;

	if (text->len > 0)
		appendStringInfoChar(text, ' ');
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(text, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(text, needed);
	}
	finding->grade = Max(finding->grade, grade);
}

/* A text of an object, "" when it is not there. */
static const char *
get_text(const cJSON *parent, const char *name, const char **reason)
{
	const char *text = du_json_text(parent, name, LONGEST_FIELD, true, reason);

	return text != NULL ? text : "";
}

/* A list that is there or not, of objects, and of no more than can be meant. */
static const cJSON *
get_list(const cJSON *parent, const char *name, const char **reason)
{
	const cJSON *list = du_json_member(parent, name);
	const cJSON *element;
	int			n = 0;

	if (list == NULL || *reason != NULL)
		return NULL;
	if (!cJSON_IsArray(list))
	{
		*reason = psprintf("field \"%s\" is not a list", name);
		return NULL;
	}
	cJSON_ArrayForEach(element, list)
	{
		if (!cJSON_IsObject(element))
			*reason = psprintf("list \"%s\" has something else than objects", name);
		else if (++n > MOST_ITEMS)
			*reason = psprintf("list \"%s\" is too long", name);
		if (*reason != NULL)
			return NULL;
	}
	return list;
}

/* The items of a list that was asked for, which must have come whole. */
static const cJSON *
get_items(const cJSON *document, const char **reason)
{
	const cJSON *items = get_list(document, "items", reason);

	if (items == NULL && *reason == NULL)
		*reason = "it has no items";
	if (get_text(du_json_object(document, "metadata", reason), "continue", reason)[0] != '\0')
		*reason = "list \"items\" is too long";
	return *reason == NULL ? items : NULL;
}

static void
judge_deployment(KubeFinding *finding, const cJSON *deployment, const char **reason)
{
	const cJSON *metadata = du_json_object(deployment, "metadata", reason);
	const cJSON *spec = du_json_object(deployment, "spec", reason);
	const cJSON *status = du_json_object(deployment, "status", reason);
	const cJSON *pod = du_json_object(du_json_object(spec, "template", reason), "spec", reason);
	const char *name = get_text(metadata, "name", reason);
	int64		wanted = du_json_number(spec, "replicas", 1, reason);
	int64		available = du_json_number(status, "availableReplicas", 0, reason);
	int64		updated = du_json_number(status, "updatedReplicas", 0, reason);
	bool		seen = du_json_number(status, "observedGeneration", 0, reason) >=
		du_json_number(metadata, "generation", 0, reason);
	const cJSON *containers = get_list(pod, "containers", reason);
	const cJSON *container;
	StringInfoData images;

	initStringInfo(&images);
	cJSON_ArrayForEach(container, containers)
		appendStringInfo(&images, "%s%s", images.len > 0 ? ", " : "", get_text(container, "image", reason));

	add(finding, available == 0 ? FINDING_FAIL : available < wanted || updated < wanted || !seen ? FINDING_WARN : FINDING_PASS,
		"Deployment %s has " INT64_FORMAT " of " INT64_FORMAT " replicas available, " INT64_FORMAT
		" of them up to date; image %s.", name, available, wanted, updated, images.data);
}

static void
judge_deployments(KubeFinding *finding, const cJSON *document, const char **reason)
{
	const cJSON *deployments = get_items(document, reason);
	const cJSON *deployment;
	int			n = 0;

	cJSON_ArrayForEach(deployment, deployments)
	{
		judge_deployment(finding, deployment, reason);
		n++;
	}
	finding->missing = n == 0;
}

static void
judge_webhooks(KubeFinding *finding, const cJSON *document, const char *name, const char **reason)
{
	const cJSON *webhooks = get_list(document, "webhooks", reason);
	const cJSON *webhook;
	int			n = 0;

	cJSON_ArrayForEach(webhook, webhooks)
	{
		const cJSON *client = du_json_object(webhook, "clientConfig", reason);
		const cJSON *service = du_json_object(client, "service", reason);
		const char *policy = get_text(webhook, "failurePolicy", reason);
		bool		ignores = strcmp(policy, "Ignore") == 0;

		add(finding, ignores ? FINDING_WARN : FINDING_PASS, "%s: %s has failure policy %s and service %s/%s.",
			name, get_text(webhook, "name", reason), policy[0] != '\0' ? policy : "Fail",
			get_text(service, "namespace", reason), get_text(service, "name", reason));
		n++;
	}
	if (n == 0)
		add(finding, FINDING_WARN, "%s has no webhook.", name);
}

/* True when a list has an object of that name. */
static bool
holds_name(const cJSON *list, const char *name, const char **reason)
{
	const cJSON *element;
	bool		found = false;

	cJSON_ArrayForEach(element, list)
		found |= strcmp(get_text(element, "name", reason), name) == 0;
	return found;
}

/* True for what a definition may call a version. */
static bool
is_version(const char *text)
{
	return text != NULL && text[0] != '\0' && strlen(text) < NAMEDATALEN &&
		text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.")] == '\0';
}

static void
judge_definition(KubeFinding *finding, const cJSON *document, const char *name, const char **reason)
{
	const cJSON *versions = get_list(du_json_object(document, "spec", reason), "versions", reason);
	const cJSON *stored = du_json_member(du_json_object(document, "status", reason), "storedVersions");
	const cJSON *version;
	StringInfoData served;
	int			n = 0;

	initStringInfo(&served);
	cJSON_ArrayForEach(version, versions)
	{
		if (du_json_bool(version, "served", reason))
			appendStringInfo(&served, "%s%s", served.len > 0 ? ", " : "", get_text(version, "name", reason));
	}
	if (!cJSON_IsArray(stored) && *reason == NULL)
		*reason = "field \"storedVersions\" is not a list";
	add(finding, served.len > 0 ? FINDING_PASS : FINDING_FAIL, "%s serves %s", name,
		served.len > 0 ? served.data : "no version");
	cJSON_ArrayForEach(version, stored)
	{
		const char *text = cJSON_GetStringValue(version);

		if (!is_version(text) || ++n > MOST_ITEMS)
		{
			*reason = "field \"storedVersions\" is no list of versions";
			return;
		}
		appendStringInfo(&finding->text, ", stores %s", text);
		if (!holds_name(versions, text, reason))
		{
			appendStringInfoString(&finding->text, " without defining it");
			finding->grade = FINDING_FAIL;
		}
	}
	appendStringInfoChar(&finding->text, '.');
}

static void
judge_cluster(KubeFinding *finding, const cJSON *document, const char *name, const char **reason)
{
	const cJSON *status = du_json_object(document, "status", reason);
	int64		instances = du_json_number(du_json_object(document, "spec", reason), "instances", 1, reason);
	int64		ready = du_json_number(status, "readyInstances", 0, reason);
	const char *phase = get_text(status, "phase", reason);

	add(finding, ready == 0 ? FINDING_FAIL : ready < instances || strcmp(phase, HEALTHY) != 0 ? FINDING_WARN : FINDING_PASS,
		"Cluster %s has " INT64_FORMAT " of " INT64_FORMAT " instances ready; its phase is \"%s\".",
		name, ready, instances, phase);
}

/*
 * A quantity of Kubernetes ("1500m", "2Gi", "1e3") as a number; false when it is
 * none.
 */
static bool
parse_quantity(const char *text, double *value)
{
	static const struct
	{
		const char *suffix;
		double		factor;
	}			units[] = {
		{"", 1}, {"n", 1e-9}, {"u", 1e-6}, {"m", 1e-3}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12},
		{"P", 1e15}, {"E", 1e18}, {"Ki", 0x1p10}, {"Mi", 0x1p20}, {"Gi", 0x1p30}, {"Ti", 0x1p40},
		{"Pi", 0x1p50}, {"Ei", 0x1p60}
	};
	size_t		digits = strspn(text, "0123456789.");
	char	   *end;

	/* Nothing else of what the library takes for numbers. */
	if (digits == 0 || text[digits] == 'x' || text[digits] == 'X')
		return false;
	*value = strtod(text, &end);
	for (int i = 0; i < lengthof(units); i++)
	{
		if (strcmp(end, units[i].suffix) == 0)
		{
			*value *= units[i].factor;
			return true;
		}
	}
	return false;
}

/* What pods take of quotas. */
typedef struct LimitedResource
{
	const char *resource;
	bool		of_pods;		/* each takes one; of others a share is taken */
} LimitedResource;

static const LimitedResource limited[] = {
	{"pods", true}, {"count/pods", true}, {"cpu", false}, {"memory", false}, {"requests.cpu", false},
	{"requests.memory", false}, {"limits.cpu", false}, {"limits.memory", false}
};

static void
judge_hard_limit(KubeFinding *finding, const char *quota, const LimitedResource *what,
				 const char *used, const char *hard, const char **reason)
{
	double		limit;
	double		taken;

	if (*reason == NULL && (!parse_quantity(hard, &limit) || !parse_quantity(used, &taken)))
		*reason = "a quota holds something else than quantities";
	if (*reason != NULL)
		return;
	add(finding, taken >= limit ? FINDING_FAIL : !what->of_pods && taken > limit * MOST_USED ? FINDING_WARN : FINDING_PASS,
		"Quota %s: %s of %s %s are used.", quota, used, hard, what->resource);
}

static void
judge_quotas(KubeFinding *finding, const cJSON *document, const char **reason)
{
	const cJSON *quotas = get_items(document, reason);
	const cJSON *quota;

	cJSON_ArrayForEach(quota, quotas)
	{
		const cJSON *status = du_json_object(quota, "status", reason);
		const cJSON *hard = du_json_object(status, "hard", reason);
		const cJSON *used = du_json_object(status, "used", reason);
		const char *name = get_text(du_json_object(quota, "metadata", reason), "name", reason);

		for (int i = 0; i < lengthof(limited) && *reason == NULL; i++)
		{
			if (du_json_member(hard, limited[i].resource) != NULL)
				judge_hard_limit(finding, name, &limited[i], get_text(used, limited[i].resource, reason),
								 get_text(hard, limited[i].resource, reason), reason);
		}
	}
	if (finding->text.len == 0)
		add(finding, FINDING_PASS, "No quota limits pods, CPU or memory in this namespace; limit ranges are not looked at.");
}

/*
 * True for a pod that is an instance: those of jobs and poolers have the label
 * of the Cluster too.
 */
static bool
is_instance(const cJSON *pod, const char **reason)
{
	const cJSON *metadata = du_json_object(pod, "metadata", reason);
	const cJSON *labels = du_json_object(metadata, "labels", reason);
	const char *role = get_text(labels, "cnpg.io/podRole", reason);
	const char *phase = get_text(du_json_object(pod, "status", reason), "phase", reason);

	return *reason == NULL && (role[0] == '\0' || strcmp(role, "instance") == 0) &&
		strcmp(phase, "Succeeded") != 0 && strcmp(phase, "Failed") != 0;
}

static int
compare_texts(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* The images of a pod, of containers and volumes, as one text. */
static char *
describe_images(const cJSON *pod, const char **reason)
{
	const cJSON *spec = du_json_object(pod, "spec", reason);
	const cJSON *containers = get_list(spec, "containers", reason);
	const cJSON *volumes = get_list(spec, "volumes", reason);
	const cJSON *part;
	List	   *images = NIL;
	ListCell   *lc;
	StringInfoData text;

	cJSON_ArrayForEach(part, containers)
		images = lappend(images, psprintf("%s %s", get_text(part, "name", reason), get_text(part, "image", reason)));
	cJSON_ArrayForEach(part, volumes)
	{
		const cJSON *image = du_json_object(part, "image", reason);

		if (image != NULL)
			images = lappend(images, psprintf("volume %s %s", get_text(part, "name", reason),
											  get_text(image, "reference", reason)));
	}
	list_sort(images, compare_texts);
	initStringInfo(&text);
	foreach(lc, images)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "", (char *) lfirst(lc));
	return text.data;
}

static const char *
name_of(const cJSON *pod, const char **reason)
{
	return get_text(du_json_object(pod, "metadata", reason), "name", reason);
}

static void
judge_images(KubeFinding *finding, const cJSON *document, const char **reason)
{
	const cJSON *pods = get_items(document, reason);
	const cJSON *pod;
	const cJSON *first = NULL;
	char	   *images = NULL;
	int			n = 0;

	cJSON_ArrayForEach(pod, pods)
	{
		char	   *others;

		if (!is_instance(pod, reason))
			continue;
		n++;
		others = describe_images(pod, reason);
		if (first == NULL)
		{
			first = pod;
			images = others;
		}
		else if (finding->text.len == 0 && strcmp(images, others) != 0)
			add(finding, FINDING_WARN, "Pod %s has %s; pod %s has %s.", name_of(first, reason), images,
				name_of(pod, reason), others);
	}
	if (finding->text.len == 0 && n > 0)
		add(finding, FINDING_PASS, "%d pods have the same images: %s.", n, images);
	finding->missing = n == 0;
}

/* Says what a pod lacks of its gateway; true when that is nothing. */
static bool
judge_gateway(KubeFinding *finding, const cJSON *pod, const char **reason)
{
	const cJSON *containers = get_list(du_json_object(pod, "spec", reason), "containers", reason);
	const cJSON *statuses = get_list(du_json_object(pod, "status", reason), "containerStatuses", reason);
	const cJSON *container;
	const char *unready = cJSON_GetArraySize(statuses) == 0 ? "postgres" : NULL;
	bool		postgres = false;
	bool		gateway = false;

	cJSON_ArrayForEach(container, containers)
	{
		const char *name = get_text(container, "name", reason);

		postgres |= strcmp(name, "postgres") == 0;
		gateway |= strcmp(name, "documentdb-gateway") == 0;
	}
	cJSON_ArrayForEach(container, statuses)
	{
		if (!du_json_bool(container, "ready", reason))
			unready = get_text(container, "name", reason);
	}
	if (!postgres || !gateway)
		add(finding, FINDING_FAIL, "Pod %s has no container %s.", name_of(pod, reason),
			postgres ? "documentdb-gateway" : "postgres");
	else if (unready != NULL)
		add(finding, FINDING_WARN, "Container %s of pod %s is not ready.", unready, name_of(pod, reason));
	return postgres && gateway && unready == NULL;
}

static void
judge_gateways(KubeFinding *finding, const cJSON *document, const char **reason)
{
	const cJSON *pods = get_items(document, reason);
	const cJSON *pod;
	int			good = 0;
	int			n = 0;

	cJSON_ArrayForEach(pod, pods)
	{
		if (!is_instance(pod, reason))
			continue;
		n++;
		good += judge_gateway(finding, pod, reason) ? 1 : 0;
	}
	add(finding, FINDING_PASS, "%d of %d pods have containers postgres and documentdb-gateway, all ready.", good, n);
	finding->missing = n == 0;
}

typedef struct Judgement
{
	const KubeQuestion *question;
	const char *name;			/* of the object */
	KubeFinding *finding;
} Judgement;

static void *
judge_document(const cJSON *document, void *arg, const char **reason)
{
	Judgement  *judgement = arg;
	KubeFinding *finding = judgement->finding;
	const char *name = get_text(du_json_object(document, "metadata", reason), "name", reason);

	if (*reason == NULL && judgement->name != NULL &&
		strcmp(name, judgement->name) != 0)
		*reason = "it is not what was asked for";
	switch (judgement->question->kind)
	{
		case FINDING_DEPLOYMENT:
			judge_deployment(finding, document, reason);
			break;
		case FINDING_DEPLOYMENTS:
			judge_deployments(finding, document, reason);
			break;
		case FINDING_WEBHOOKS:
			judge_webhooks(finding, document, judgement->name, reason);
			break;
		case FINDING_DEFINITION:
			judge_definition(finding, document, judgement->name, reason);
			break;
		case FINDING_CLUSTER:
			judge_cluster(finding, document, judgement->name, reason);
			break;
		case FINDING_QUOTAS:
			judge_quotas(finding, document, reason);
			break;
		case FINDING_IMAGES:
			judge_images(finding, document, reason);
			break;
		case FINDING_GATEWAYS:
			judge_gateways(finding, document, reason);
			break;
	}
	return finding;
}

/*
 * Adds to a finding what an object or a list says, JSON text of a known length.
 * NULL, or why the text makes no sense, a phrase.
 */
const char *
du_finding_read(KubeFinding *finding, const KubeQuestion *question, const char *name,
				const char *json, size_t length)
{
	Judgement	judgement = {question, name, finding};
	const char *reason;

	(void) du_json_read(json, length, judge_document, &judgement, &reason);
	return reason;
}

/*
 * Adds to a finding that an object is not there.
 */
void
du_finding_note_absence(KubeFinding *finding, const KubeQuestion *question, const char *name)
{
	if (question->kind == FINDING_DEFINITION)
		add(finding, strncmp(name, "backups.", 8) == 0 ? FINDING_WARN : FINDING_FAIL,
			"There is no definition %s.", name);
	else if (question->kind == FINDING_WEBHOOKS)
		add(finding, FINDING_WARN, "There is no webhook configuration %s.", name);
	else
		finding->missing = true;
}
