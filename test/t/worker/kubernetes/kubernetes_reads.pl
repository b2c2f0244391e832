# Checks of the health reports that a database cannot answer: with the setting
# kubernetes_reads the worker reads what its rules allow, and the rows answer
# themselves.  What it may not read, what makes no sense and what is old leaves a row
# to people and says why.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my @read = qw(operator cnpg sidecar_injector webhooks crds cluster quotas pod_images sidecar_injection);
my @left = qw(webhook_answers resource nodes operator_log pod_logs chart);
my $others = qr{^/api/v1/namespaces/lab/(?:pods|resourcequotas)|^/apis/(?:apps|apiextensions|admissionregistration)};
my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { schemaVersion => '0.100.0' });
local $ENV{CLUSTER_NAME} = 'db1';
my $node = follow($api, conf => "documentdb_upgrade.resync_interval = '1s'");

sub row
{
	my ($check, $report) = @_;
	$report //= q{documentdb_upgrade_internal.health_report('{kubernetes_before}')};
	return sql($node, "SELECT status || ': ' || detail FROM $report WHERE check_name = '$check'");
}

# Polls until a row is as wanted, and passes then: on a busy machine an answer can be too old for a moment.
sub becomes
{
	my ($check, $wanted, $what, $report) = @_;
	my $row;
	poll_until(sub { $row = row($check, $report); $row =~ $wanted }, "$check: $what");
	like($row, $wanted, "$check: $what");
	return;
}

sub deployment
{
	my ($name, $available, %more) = @_;
	return { metadata => { generation => 2, labels => $more{labels} // {} },
		spec => { replicas => $more{replicas} // 1, template => { spec => { containers => [ { name => 'x', image => "REGISTRY/$name:1.0.0" } ] } } },
		status => { availableReplicas => $available, updatedReplicas => $more{updated} // $available, observedGeneration => $more{observed} // 2 } };
}

sub pod
{
	my ($tag, %more) = @_;
	return { metadata => { labels => { 'cnpg.io/cluster' => 'db1', 'cnpg.io/podRole' => $more{role} // 'instance' } },
		spec => { containers => [ map { { name => $_, image => "REGISTRY/$_:$tag" } } @{ $more{containers} // [qw(postgres documentdb-gateway)] } ],
			volumes => [ { name => 'ext', image => { reference => "REGISTRY/ext:$tag" } }, { name => 'data', emptyDir => {} } ] },
		status => { phase => 'Running', containerStatuses => [ map { { name => $_, ready => $more{unready} ? JSON::PP::false : JSON::PP::true } } qw(postgres documentdb-gateway) ] } };
}

sub webhooks
{
	my ($policy) = @_;
	return { webhooks => [ { name => 'v.x', failurePolicy => $policy, clientConfig => { caBundle => 'eA==', service => { namespace => 'ns', name => 'svc' } } } ] };
}

sub definition
{
	my ($version, @stored) = @_;
	return { spec => { versions => [ { name => 'old', served => JSON::PP::false, storage => JSON::PP::false },
				{ name => $version, served => JSON::PP::true, storage => JSON::PP::true } ] }, status => { storedVersions => [@stored] } };
}

sub quota
{
	my (%status) = @_;
	return { spec => {}, status => \%status };
}

my ($validating, $mutating) = map { "admissionregistration.k8s.io/v1 ${_}webhookconfigurations" } qw(validating mutating);
my $definitions = 'apiextensions.k8s.io/v1 customresourcedefinitions';

# What is well.
sub heal
{
	$api->put_other('apps/v1 deployments', 'documentdb-operator', 'documentdb-operator', deployment('operator', 1));
	$api->put_other('apps/v1 deployments', 'cnpg-system', 'release-cloudnative-pg',
		deployment('cnpg', 2, replicas => 2, labels => { 'app.kubernetes.io/name' => 'cloudnative-pg' }));
	$api->put_other('apps/v1 deployments', 'cnpg-system', 'sidecar-injector', deployment('injector', 1));
	$api->put_other($validating, undef, $_, webhooks('Fail')) foreach qw(documentdb-validating-webhook cnpg-validating-webhook-configuration);
	$api->put_other($mutating, undef, 'cnpg-mutating-webhook-configuration', webhooks(undef));
	$api->put_other($definitions, undef, 'dbs.documentdb.io', definition('preview', 'preview'));
	$api->put_other($definitions, undef, 'backups.documentdb.io', definition('preview', 'old', 'preview'));
	$api->put_other($definitions, undef, 'clusters.postgresql.cnpg.io', definition('v1', 'v1'));
	$api->put_cluster('db1', 'db1', spec => { instances => 2 }, status => { readyInstances => 2, phase => 'Cluster in healthy state' });
	$api->put_other('v1 resourcequotas', 'lab', 'small', quota(hard => { pods => '10', 'requests.memory' => '4Gi', secrets => '1' }, used => { pods => '9', 'requests.memory' => '2048Mi', secrets => '1' }));
	$api->put_other('v1 pods', 'lab', "db1-$_", pod('18')) foreach 1, 2;
	$api->put_other('v1 pods', 'lab', 'db1-pooler', pod('1', role => 'pooler', containers => ['pgbouncer']));
	return;
}
heal();

# Off by default: nothing is asked, nothing is said.
wait_for_state($node, 'up_to_date');
wait_for_looks($node, 3);
is(scalar $api->requests(path => $others), 0, 'nothing else is read unasked');
like(row($_), qr/^manual: A database cannot see whether .* Good is: [^\n]*\.$/, "$_: is for people") foreach @read, @left;

# On, without any rule: each row names its own; the others work on.
set_and_reload($node, 'documentdb_upgrade.kubernetes_reads', 'on');
my $grant = sub { my ($verb, $resource, $group, $where) = @_; return qr/^manual: A database cannot see .* Good is: .*\. The worker may not read it\. Grant verb "$verb" on resource "$resource" of API group "$group" $where to the service account of this pod; see docs\/kubernetes\.md\.$/; };
my %rules = (
	operator => [ 'get', 'deployments', 'apps', 'documentdb-operator' ],
	cnpg => [ 'list', 'deployments', 'apps', 'cnpg-system' ],
	sidecar_injector => [ 'get', 'deployments', 'apps', 'cnpg-system' ],
	webhooks => [ 'get', 'validatingwebhookconfigurations', 'admissionregistration.k8s.io' ],
	crds => [ 'get', 'customresourcedefinitions', 'apiextensions.k8s.io' ],
	quotas => [ 'list', 'resourcequotas', '', 'lab' ],
	pod_images => [ 'list', 'pods', '', 'lab' ],
	sidecar_injection => [ 'list', 'pods', '', 'lab' ]);
foreach my $check (sort keys %rules)
{
	my ($verb, $resource, $group, $namespace) = @{ $rules{$check} };
	becomes($check, $grant->($verb, $resource, quotemeta $group, defined $namespace ? "in namespace \"$namespace\"" : 'in the whole cluster'), 'the missing rule is named');
}
becomes('cluster', qr/^pass: Cluster db1 has 2 of 2 instances ready; its phase is "Cluster in healthy state"\. Read by the worker at \d{4}-/, 'the rule that every worker has is enough');

# With the rules.
$api->grant(map { join ' ', $_->[0], $_->[1] . ($_->[2] ? ".$_->[2]" : ''), $_->[3] // () } values %rules);
$api->grant('get mutatingwebhookconfigurations.admissionregistration.k8s.io');
my $at = qr/ Read by the worker at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*\.$/;
my %well = (
	operator => qr/^pass: Deployment documentdb-operator has 1 of 1 replicas available, 1 of them up to date; image REGISTRY\/operator:1\.0\.0\.$at/,
	cnpg => qr/^pass: Deployment release-cloudnative-pg has 2 of 2 replicas available, 2 of them up to date; image REGISTRY\/cnpg:1\.0\.0\.$at/,
	sidecar_injector => qr/^pass: Deployment sidecar-injector has 1 of 1 /,
	webhooks => qr/^pass: documentdb-validating-webhook: v\.x has failure policy Fail and service ns\/svc\. cnpg-validating-webhook-configuration: .* cnpg-mutating-webhook-configuration: v\.x has failure policy Fail and service ns\/svc\.$at/,
	crds => qr/^pass: dbs\.documentdb\.io serves preview, stores preview\. backups\.documentdb\.io serves preview, stores old, stores preview\. clusters\.postgresql\.cnpg\.io serves v1, stores v1\.$at/,
	cluster => qr/^pass: /,
	quotas => qr/^pass: Quota small: 9 of 10 pods are used\. Quota small: 2048Mi of 4Gi requests\.memory are used\.$at/,
	pod_images => qr/^pass: 2 pods have the same images: documentdb-gateway REGISTRY\/documentdb-gateway:18, postgres REGISTRY\/postgres:18, volume ext REGISTRY\/ext:18\.$at/,
	sidecar_injection => qr/^pass: 2 of 2 pods have containers postgres and documentdb-gateway, all ready\.$at/);
becomes($_, $well{$_}, 'is answered') foreach @read;
like(row($_), qr/^manual: .*\.$/, "$_: is for people as before") foreach @left;
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade_internal.health_report('{kubernetes_before}') WHERE status = 'pass' AND hint IS NOT NULL}), '0', 'what is well has no command');
becomes('pod_images', $well{pod_images}, "the $_-upgrade report has it", "documentdb_upgrade.${_}_upgrade_report()") foreach qw(pre post);
sql($node, 'CREATE ROLE looker IN ROLE pg_monitor');
poll_until(sub { sql($node, q{SET ROLE looker; SELECT status FROM documentdb_upgrade.pre_upgrade_report() WHERE check_name = 'crds'}) eq 'pass' }, 'whoever may look sees it');

# What is not well.
my @ills = (
	[ 'operator', sub { $api->put_other('apps/v1 deployments', 'documentdb-operator', 'documentdb-operator', deployment('operator', 0)) }, qr/^fail: Deployment documentdb-operator has 0 of 1 replicas available/ ],
	[ 'cnpg', sub { $api->put_other('apps/v1 deployments', 'cnpg-system', 'release-cloudnative-pg', deployment('cnpg', 1, replicas => 2, labels => { 'app.kubernetes.io/name' => 'cloudnative-pg' })) }, qr/^warn: Deployment release-cloudnative-pg has 1 of 2 / ],
	[ 'sidecar_injector', sub { $api->put_other('apps/v1 deployments', 'cnpg-system', 'sidecar-injector', deployment('injector', 1, observed => 1)) }, qr/^warn: Deployment sidecar-injector has 1 of 1 / ],
	[ 'webhooks', sub { $api->put_other($validating, undef, 'documentdb-validating-webhook', webhooks('Ignore')) }, qr/^warn: documentdb-validating-webhook: v\.x has failure policy Ignore/ ],
	[ 'webhooks', sub { $api->put_other($mutating, undef, 'cnpg-mutating-webhook-configuration', undef) }, qr/^warn: .* There is no webhook configuration cnpg-mutating-webhook-configuration\./ ],
	[ 'crds', sub { $api->put_other($definitions, undef, 'dbs.documentdb.io', definition('preview', 'gone', 'preview')) }, qr/^fail: dbs\.documentdb\.io serves preview, stores gone without defining it, stores preview\./ ],
	[ 'crds', sub { $api->put_other($definitions, undef, 'backups.documentdb.io', undef) }, qr/^warn: .* There is no definition backups\.documentdb\.io\./ ],
	[ 'crds', sub { $api->put_other($definitions, undef, 'clusters.postgresql.cnpg.io', undef) }, qr/^fail: .* There is no definition clusters\.postgresql\.cnpg\.io\./ ],
	[ 'cluster', sub { $api->put_cluster('db1', 'db1', spec => { instances => 2 }, status => { readyInstances => 1, phase => 'Upgrading' }) }, qr/^warn: Cluster db1 has 1 of 2 instances ready; its phase is "Upgrading"\./ ],
	[ 'quotas', sub { $api->put_other('v1 resourcequotas', 'lab', 'small', quota(hard => { pods => '10' }, used => { pods => '10' })) }, qr/^fail: Quota small: 10 of 10 pods are used\./ ],
	[ 'quotas', sub { $api->put_other('v1 resourcequotas', 'lab', 'small', quota(hard => { 'limits.cpu' => '2' }, used => { 'limits.cpu' => '1700m' })) }, qr/^warn: Quota small: 1700m of 2 limits\.cpu are used\./ ],
	[ 'pod_images', sub { $api->put_other('v1 pods', 'lab', 'db1-2', pod('19')) }, qr/^warn: Pod db1-1 has documentdb-gateway \S+:18, .*; pod db1-2 has documentdb-gateway \S+:19, / ],
	[ 'sidecar_injection', sub { $api->put_other('v1 pods', 'lab', 'db1-2', pod('18', containers => ['postgres'])) }, qr/^fail: Pod db1-2 has no container documentdb-gateway\. 1 of 2 pods / ],
	[ 'sidecar_injection', sub { $api->put_other('v1 pods', 'lab', 'db1-1', pod('18', unready => 1)) }, qr/^warn: Container documentdb-gateway of pod db1-1 is not ready\. 1 of 2 pods / ]);
foreach my $ill (@ills)
{
	my ($check, $do, $wanted) = @$ill;
	$do->();
	becomes($check, $wanted, 'what is ill is found');
	like(sql($node, "SELECT hint FROM documentdb_upgrade_internal.health_report('{kubernetes_before}') WHERE check_name = '$check'"), qr/^kubectl get |^kubectl rollout |^kubectl describe /, "$check: with the command");
	heal();
}
becomes($_, $well{$_}, 'is well again') foreach @read;

# Not there under these names is no answer: installations differ.
$api->put_other('apps/v1 deployments', 'documentdb-operator', 'documentdb-operator', undef);
$api->put_other('apps/v1 deployments', 'cnpg-system', 'release-cloudnative-pg', undef);
becomes($_, qr/^manual: .* The worker has not found it under the name, the namespace or the label of this command\.$/, 'not found') foreach qw(operator cnpg);
heal();
becomes($_, $well{$_}, 'is found again') foreach qw(operator cnpg);

# Answers that make no sense take the last answer away; what may pass by itself does not.
my $pods = '^/api/v1/namespaces/lab/pods';
my %json = (status => 200, headers => { 'Content-Type' => 'application/json' });
my %nonsense = (
	'no JSON' => { %json, body => '<html>' },
	'JSON that stops early' => { %json, body => '{"items":[{"metadata":{"name":"db1"' },
	'nested too deep' => { %json, body => '{"items":' . '[' x 100_000 },
	'no list' => { %json, json => { items => 'x' } },
	'no items' => { %json, json => { kind => 'PodList' } },
	'a list of texts' => { %json, json => { items => ['x'] } },
	'a name of another type' => { %json, json => { items => [ { metadata => { name => 1, labels => {} }, spec => { containers => [ { name => [], image => {} } ] } } ] } },
	'a list that goes on' => { %json, json => { items => [], metadata => { continue => 'x' } } },
	'more than can be meant' => { %json, json => { items => [ map { pod('1') } 1 .. 101 ] } },
	'bytes that are no text' => { %json, body => "{\"items\":[{\"spec\":{\"containers\":[{\"name\":\"\xff\xfe\"}]}}]}" });
foreach my $name (sort keys %nonsense)
{
	$api->fault(path => $pods, times => 100_000, %{ $nonsense{$name} });
	becomes($_, qr/^manual: .* The API server's answer makes no sense: [^\n]*\.$/, $name) foreach qw(pod_images sidecar_injection);
	becomes('quotas', $well{quotas}, "$name: the others are answered");
	$api->clear_faults;
	becomes('pod_images', $well{pod_images}, "$name: and passes");
}
$api->fault(path => '/deployments/sidecar-injector', times => 100_000, %json, json => {});
becomes('sidecar_injector', qr/^manual: .* makes no sense: it is not what was asked for\.$/, 'another object');
$api->clear_faults;
$api->fault(path => $pods, times => 100_000, status => 200, headers => { 'Content-Type' => 'application/json' }, size => 5 * 1024 * 1024);
becomes('pod_images', qr/^manual: .* The answer of the API server is larger than 4 MiB\.$/, 'a huge answer');
$api->clear_faults;
becomes('pod_images', $well{pod_images}, 'a huge answer passes');

# Hostile texts stay texts, and short.
$api->put_other('v1 pods', 'lab', "db1-$_", pod("\x1b[31m\r\nfail: \x{202e}" . 'x' x 5000)) foreach 1, 2;
becomes('pod_images', qr/^pass: 2 pods have the same images: documentdb-gateway REGISTRY\/documentdb-gateway: \[31m  fail: \?\?\?x{200,300}, [ -~]{100,900}$/, 'control characters, a text that turns round and a long one');
heal();
becomes('pod_images', $well{pod_images}, 'is well again');

# Slow answers: nothing else waits, no transaction is open, the answer stays until it is too old.
$api->fault(path => $pods, times => 100_000, wait => 1000);
poll_until(sub { $api->counts->{busy} > 0 }, 'a read is under way');
is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker' AND xact_start IS NOT NULL AND wait_event_type = 'Extension'}), '0', 'no transaction is open meanwhile');
$api->patch_spec('db1', schemaVersion => '0.105.0');
wait_for_status($node, sub { $_[0]->{installed_version} eq '0.105-0' }, 'a wish is followed meanwhile');
becomes('pod_images', qr/^manual: A database .* The worker's answer is too old, of \d{4}-.*\. The API server at \S+ cannot be reached: /, 'a slow answer');
$api->clear_faults;
$api->drop_connections;

# Another wish has all of it read again, long before an hour; what may pass by itself leaves the last answer.
set_and_reload($node, 'documentdb_upgrade.resync_interval', '1h');
$api->fault(path => $pods, times => 100_000, status => 503);
$api->mark;
$api->patch_spec('db1', schemaVersion => '0.109.0');
poll_until(sub { grep { $_->{status} == 503 } $api->requests(path => qr{$pods}) }, 'the server has no answer');
becomes('pod_images', $well{pod_images}, 'an answer of before stays while the server has none');
$api->clear_faults;
$api->patch_spec('db1', schemaVersion => '0.112.0');
poll_until(sub { grep { $_->{status} == 200 } $api->requests(path => qr{$pods}) }, 'it is read again');
becomes('sidecar_injection', $well{sidecar_injection}, 'answered again');
$api->revoke('list resourcequotas lab');
$api->patch_spec('db1', schemaVersion => '1.0.0');
becomes('quotas', qr/^manual: .* below Hard\. The worker may not read it\. Grant /, 'a rule that is taken away takes the answer along');
becomes('pod_images', $well{pod_images}, 'the others are answered');

# Off again.
set_and_reload($node, 'documentdb_upgrade.kubernetes_reads', 'off');
becomes('pod_images', qr/^manual: A database cannot see whether .* Good is: [^\n]*you expect\.$/, 'off: for people as before');
$api->mark;
my $contact = sql($node, 'SELECT last_contact FROM documentdb_upgrade.status');
$api->annotate('db1', 'x', 'y');
comes_true($node, "SELECT last_contact > '$contact' FROM documentdb_upgrade.status");
is(scalar $api->requests(path => $others), 0, 'and nothing is read');
set_and_reload($node, 'documentdb_upgrade.kubernetes_reads', 'on');
becomes('pod_images', $well{pod_images}, 'on again');
is_deeply([ grep { /pods|quota|webhookconfiguration/ && !/ statement: / } split /\n/, logged($node) ], [], 'the log has nothing of all this');

done_testing();
