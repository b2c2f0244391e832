# On a real API server the health reports answer themselves with the rules of
# docs/kubernetes/rbac-reads.yaml, each row with its own rule alone, and the worker
# asks for nothing else.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealApi;
use DocumentdbUpgrade::Test;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

need_real_api();

local $ENV{CLUSTER_NAME} = 'mydb';
my ($api, $node) = lab(conf => "documentdb_upgrade.resync_interval = '2s'\ndocumentdb_upgrade.kubernetes_reads = on\n");
$api->apply("$ENV{DU_SOURCE}/test/fixtures/kubernetes/crds-of-others.yaml");
$api->kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s');
$api->kubectl('create', 'namespace', $_) foreach qw(documentdb-operator cnpg-system);
$api->apply({ apiVersion => 'postgresql.cnpg.io/v1', kind => 'Cluster', spec => { instances => 2 }, metadata => { name => 'mydb', namespace => 'databases' } });

sub deploy
{
	my ($namespace, $name, $label) = @_;
	$api->apply({ apiVersion => 'apps/v1', kind => 'Deployment', metadata => { name => $name, namespace => $namespace, labels => { 'app.kubernetes.io/name' => $label } },
		spec => { selector => { matchLabels => { app => $name } }, template => { metadata => { labels => { app => $name } },
			spec => { containers => [ { name => 'manager', image => "REGISTRY/$name:1.0.0" } ] } } } });
	$api->asked('PATCH', "/apis/apps/v1/namespaces/$namespace/deployments/$name/status", encode_json({ status => {
		observedGeneration => 1, replicas => 1, updatedReplicas => 1, readyReplicas => 1, availableReplicas => 1 } }), 'application/merge-patch+json');
	return;
}
deploy('documentdb-operator', 'documentdb-operator', 'documentdb-operator');
deploy('cnpg-system', 'release-cloudnative-pg', 'cloudnative-pg');
deploy('cnpg-system', 'sidecar-injector', 'documentdb-operator');
foreach my $pod (qw(mydb-1 mydb-2))
{
	$api->apply({ apiVersion => 'v1', kind => 'Pod', metadata => { name => $pod, namespace => 'databases', labels => { 'cnpg.io/cluster' => 'mydb', 'cnpg.io/podRole' => 'instance' } },
		spec => { containers => [ map { { name => $_, image => "REGISTRY/$_:18" } } qw(postgres documentdb-gateway) ] } });
	$api->asked('PATCH', "/api/v1/namespaces/databases/pods/$pod/status", encode_json({ status => { containerStatuses => [
			map { { name => $_, ready => JSON::PP::true, image => "REGISTRY/$_:18", imageID => '', restartCount => 0 } } qw(postgres documentdb-gateway) ] } }), 'application/merge-patch+json');
}
$api->apply({ apiVersion => 'v1', kind => 'ResourceQuota', metadata => { name => 'small', namespace => 'databases' }, spec => { hard => { pods => '10' } } });
$api->asked('PATCH', '/api/v1/namespaces/databases/resourcequotas/small/status', encode_json({ status => { hard => { pods => '10' }, used => { pods => '2' } } }), 'application/merge-patch+json');
my %client = (clientConfig => { service => { namespace => 'documentdb-operator', name => 'svc' } }, admissionReviewVersions => ['v1'], sideEffects => 'None', rules => []);
foreach (['Validating', 'documentdb-validating-webhook'], ['Validating', 'cnpg-validating-webhook-configuration'], ['Mutating', 'cnpg-mutating-webhook-configuration'])
{
	$api->apply({ apiVersion => 'admissionregistration.k8s.io/v1', kind => "$_->[0]WebhookConfiguration", metadata => { name => $_->[1] },
		webhooks => [ { name => 'v.example.com', failurePolicy => 'Fail', %client } ] });
}

sub row { return sql($node, "SELECT status || ': ' || detail FROM documentdb_upgrade_internal.health_report('{kubernetes_before}') WHERE check_name = '$_[0]'"); }

sub becomes
{
	my ($check, $wanted, $what) = @_;
	my $row;
	poll_until(sub { $row = row($check); $row =~ $wanted }, "$check: $what");
	like($row, $wanted, "$check: $what");
	return;
}

my %refused = (
	operator => qr/Grant verb "get" on resource "deployments" of API group "apps" in namespace "documentdb-operator" /,
	cnpg => qr/Grant verb "list" on resource "deployments" of API group "apps" in namespace "cnpg-system" /,
	sidecar_injector => qr/Grant verb "get" on resource "deployments" of API group "apps" in namespace "cnpg-system" /,
	webhooks => qr/Grant verb "get" on resource "validatingwebhookconfigurations" of API group "admissionregistration\.k8s\.io" in the whole cluster /,
	crds => qr/Grant verb "get" on resource "customresourcedefinitions" of API group "apiextensions\.k8s\.io" in the whole cluster /,
	quotas => qr/Grant verb "list" on resource "resourcequotas" of API group "" in namespace "databases" /,
	pod_images => qr/Grant verb "list" on resource "pods" of API group "" in namespace "databases" /,
	sidecar_injection => qr/Grant verb "list" on resource "pods" of API group "" in namespace "databases" /);
my %answered = (
	operator => qr/^pass: Deployment documentdb-operator has 1 of 1 replicas available, 1 of them up to date; image REGISTRY\/documentdb-operator:1\.0\.0\. Read/,
	cnpg => qr/^pass: Deployment release-cloudnative-pg has 1 of 1 replicas available/,
	sidecar_injector => qr/^pass: Deployment sidecar-injector has 1 of 1 replicas available/,
	webhooks => qr/^pass: documentdb-validating-webhook: v\.example\.com has failure policy Fail and service documentdb-operator\/svc\. cnpg-validating/,
	crds => qr/^warn: dbs\.documentdb\.io serves preview, stores preview\. There is no definition backups\.documentdb\.io\. clusters\.postgresql\.cnpg\.io serves v1, stores v1\. Read/,
	quotas => qr/^pass: Quota small: 2 of 10 pods are used\./,
	pod_images => qr/^pass: 2 pods have the same images: documentdb-gateway REGISTRY\/documentdb-gateway:18, postgres REGISTRY\/postgres:18\. Read/,
	sidecar_injection => qr/^pass: 2 of 2 pods have containers postgres and documentdb-gateway, all ready\. Read/);

# By the rules that every worker has.
becomes($_, qr/^manual: .* The worker may not read it\. $refused{$_}/, 'without its rule') foreach sort keys %refused;
becomes('cluster', qr/^fail: Cluster mydb has 0 of 2 instances ready; its phase is ""\. Read/, 'with the rule of rbac.yaml');

# With all, and with all but one: what a row needs is its own rule.
my $rules = slurp_file("$ENV{DU_SOURCE}/docs/kubernetes/rbac-reads.yaml");
$api->apply($rules);
becomes($_, $answered{$_}, 'with its rule') foreach sort keys %answered;
my @without = (
	[ 'clusterrolebinding', 'documentdb-upgrade-reads-databases-mydb', undef, qw(crds webhooks) ],
	[ 'rolebinding', 'mydb-schema-upgrade-reads', 'databases', qw(pod_images sidecar_injection quotas) ],
	[ 'rolebinding', 'mydb-schema-upgrade-reads', 'documentdb-operator', 'operator' ],
	[ 'rolebinding', 'mydb-schema-upgrade-reads', 'cnpg-system', qw(cnpg sidecar_injector) ]);
foreach (@without)
{
	my ($kind, $name, $namespace, @checks) = @$_;
	my %gone = map { $_ => 1 } @checks;

	$api->kubectl(defined $namespace ? ('-n', $namespace) : (), 'delete', $kind, $name);
	becomes($_, qr/^manual: .* $refused{$_}/, "without the $kind") foreach @checks;
	becomes($_, $answered{$_}, "without the $kind of others") foreach grep { !$gone{$_} } sort keys %answered;
	$api->apply($rules);
	becomes($_, $answered{$_}, "with the $kind again") foreach @checks;
}

# What is asked for is what the rules name, and is only read.
my @asked = grep { $_->{uri} !~ m{/dbs(?:/|\?)|/events} } $api->requests(qr{^documentdb-upgrade/});
my %uris = map { $_->{uri} => 1 } @asked;
my @named = (
	'/api/v1/namespaces/databases/pods?labelSelector=cnpg.io%2Fcluster%3Dmydb&limit=100',
	'/api/v1/namespaces/databases/resourcequotas?limit=100',
	'/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/cnpg-mutating-webhook-configuration',
	'/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/cnpg-validating-webhook-configuration',
	'/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/documentdb-validating-webhook',
	'/apis/apiextensions.k8s.io/v1/customresourcedefinitions/backups.documentdb.io',
	'/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clusters.postgresql.cnpg.io',
	'/apis/apiextensions.k8s.io/v1/customresourcedefinitions/dbs.documentdb.io',
	'/apis/apps/v1/namespaces/cnpg-system/deployments/sidecar-injector',
	'/apis/apps/v1/namespaces/cnpg-system/deployments?labelSelector=app.kubernetes.io%2Fname%3Dcloudnative-pg&limit=100',
	'/apis/apps/v1/namespaces/documentdb-operator/deployments/documentdb-operator',
	'/apis/postgresql.cnpg.io/v1/namespaces/databases/clusters/mydb');
is_deeply([ sort keys %uris ], [ sort @named ], 'nothing else is asked for');
is_deeply([ grep { $_->{verb} !~ /^(?:get|list)$/ } @asked ], [], 'and nothing is written');

done_testing();
