# The manifests of docs/kubernetes are accepted by a real API server, nothing
# of them is dropped, the Role lets the worker do its work and nothing else, and
# the commands of the guide run as they are written.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealApi;
use DocumentdbUpgrade::Test;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

need_real_api();
my $docs = "$ENV{DU_SOURCE}/docs";
my $api = DocumentdbUpgrade::RealApi->new;
$api->kubectl('create', 'namespace', $_) foreach qw(databases argocd monitoring documentdb-operator cnpg-system);
$api->kubectl('apply', '-f', "$ENV{DU_SOURCE}/test/fixtures/kubernetes/crds-of-others.yaml");
$api->apply_crd(operator_crd() // own_crd());
$api->kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s');

# True when all of $part is in $whole, whatever the server added.
sub contains
{
	my ($whole, $part) = @_;
	return ref $whole eq 'HASH' && !grep { !contains($whole->{$_}, $part->{$_}) } keys %$part if ref $part eq 'HASH';
	return ref $whole eq 'ARRAY' && @$whole == @$part && !grep { !contains($whole->[$_], $part->[$_]) } 0 .. $#$part
	  if ref $part eq 'ARRAY';
	return defined $whole && $whole eq $part;
}

# What a file says, as the client reads it.
sub manifests
{
	my $text = shift;
	my $parser = JSON::PP->new;
	$parser->incr_parse($api->kubectl('create', '--dry-run=client', '--validate=false', '-o', 'json', '-f', '-', \$text));
	my @objects;
	while (my $object = $parser->incr_parse) { push @objects, $object; }
	return @objects;
}

my $guide = slurp_file("$docs/kubernetes.md");
my ($cron_job, $old_batch);

# What is optional comes when the other rules have been looked at.
my ($optional, @files) = sort { ($b =~ /-reads/) <=> ($a =~ /-reads/) || $a cmp $b } glob "$docs/kubernetes/*.yaml";
foreach my $file (@files)
{
	check_file($file);
}

# Applies a file, and looks whether all of it is kept.
sub check_file
{
	my $file = shift;
	my ($name) = $file =~ m{([^/]+)$};
	my $text = slurp_file($file);

	like($guide, qr{kubernetes/\Q$name\E}, "$name: the guide names it");
	unlike($text, qr/\bimage\w*: (?!REGISTRY\/)\S*\./, "$name: images are placeholders");
	# CronJob left beta after 1.20; its fields are the same.
	$old_batch //= $api->kubectl('get', '--raw', '/apis/batch/v1') !~ /"cronjobs"/;
	$text =~ s{^apiVersion: batch/v1$}{apiVersion: batch/v1beta1}m if $old_batch && $text =~ /^kind: CronJob$/m;
	$api->apply($text);
	foreach my $object (manifests($text))
	{
		my $stored = $api->json('-n', $object->{metadata}{namespace} // 'default', 'get', $object->{kind}, $object->{metadata}{name});
		ok(contains($stored->{$_}, $object->{$_}), "$name: $object->{kind}: $_ is kept as it is")
		  foreach grep { !/^(metadata|apiVersion)$/ } sort keys %$object;
		$cron_job = $stored if $object->{kind} eq 'CronJob';
	}
	return;
}

# Pod Security Standard "restricted".
my $pod = $cron_job->{spec}{jobTemplate}{spec}{template}{spec};
my ($container) = @{ $pod->{containers} };
is($pod->{securityContext}{runAsNonRoot}, JSON::PP::true, 'restricted: the job is not root');
is($pod->{securityContext}{seccompProfile}{type}, 'RuntimeDefault', 'restricted: it has a seccomp profile');
is($container->{securityContext}{allowPrivilegeEscalation}, JSON::PP::false, 'restricted: it gains no privileges');
is_deeply($container->{securityContext}{capabilities}, { drop => ['ALL'] }, 'restricted: it has no capabilities');
is_deeply([ map { grep { $_ ne 'name' } keys %$_ } @{ $pod->{volumes} } ], ['secret'], 'restricted: no other volumes');
is($pod->{automountServiceAccountToken}, JSON::PP::false, 'it carries no token');

# Everything that the service account may do in its namespace.
my $account = 'system:serviceaccount:databases:mydb';

sub rules_in
{
	my $namespace = shift;
	my $review = $api->json('--as', $account, '--as-group', 'system:authenticated', 'create', '-f', '-',
		\encode_json({ apiVersion => 'authorization.k8s.io/v1', kind => 'SelfSubjectRulesReview', spec => { namespace => $namespace } }));
	return { map { join('/', @{ $_->{apiGroups} }, @{ $_->{resources} }, @{ $_->{resourceNames} // [] }) => join(',', sort @{ $_->{verbs} }) }
		  grep { $_->{apiGroups}[0] ne 'authorization.k8s.io' } @{ $review->{status}{resourceRules} } };
}
my %rules = (
	'documentdb.io/dbs/mydb' => 'get,list,watch',
	'documentdb.io/dbs/status/mydb' => 'get,patch',
	'postgresql.cnpg.io/clusters/mydb' => 'get',
	'/events' => 'create,patch');
is_deeply(rules_in('databases'), \%rules, 'the Role grants four rules and nothing else');

# The same by example.
sub can
{
	my ($verb, $resource, @options) = @_;
	return $api->try_kubectl('auth', 'can-i', "--as=$account", '-n', 'databases', $verb, $resource, @options)->{stdout};
}
my $dbs = 'dbs.documentdb.io';
is(can(@$_), 'yes', "may: @$_") foreach (
	[ 'get', "$dbs/mydb" ], [ 'list', "$dbs/mydb" ], [ 'watch', "$dbs/mydb" ],
	[ 'get', "$dbs/mydb", '--subresource=status' ], [ 'patch', "$dbs/mydb", '--subresource=status' ],
	[ 'get', 'clusters.postgresql.cnpg.io/mydb' ], [ 'create', 'events' ], [ 'patch', 'events' ]);
is(can(@$_), 'no', "may not: @$_") foreach (
	[ 'get', "$dbs/other" ], [ 'list', $dbs ], [ 'watch', $dbs ], [ 'patch', "$dbs/mydb" ], [ 'update', "$dbs/mydb" ],
	[ 'delete', "$dbs/mydb" ], [ 'create', $dbs ], [ 'patch', "$dbs/other", '--subresource=status' ],
	[ 'update', "$dbs/mydb", '--subresource=status' ], [ 'list', 'clusters.postgresql.cnpg.io' ],
	[ 'patch', 'clusters.postgresql.cnpg.io/mydb' ], [ 'get', 'secrets' ], [ 'list', 'secrets' ], [ 'get', 'pods' ],
	[ 'create', 'pods', '--subresource=exec' ], [ 'list', 'events' ], [ 'delete', 'events' ], [ 'get', 'configmaps' ],
	[ 'get', 'nodes' ]);
is($api->try_kubectl('auth', 'can-i', "--as=$account", '-n', 'default', 'get', "$dbs/mydb")->{stdout}, 'no', 'nor in another namespace');

# With the optional rules, which are only to read.
check_file($optional);
my %of_cluster = (
	'apiextensions.k8s.io/customresourcedefinitions/dbs.documentdb.io/backups.documentdb.io/clusters.postgresql.cnpg.io' => 'get',
	'admissionregistration.k8s.io/validatingwebhookconfigurations/documentdb-validating-webhook/cnpg-validating-webhook-configuration' => 'get',
	'admissionregistration.k8s.io/mutatingwebhookconfigurations/cnpg-mutating-webhook-configuration' => 'get');
my %optional = (
	databases => { %rules, '/pods' => 'list', '/resourcequotas' => 'list' },
	'documentdb-operator' => { 'apps/deployments/documentdb-operator' => 'get' },
	'cnpg-system' => { 'apps/deployments/sidecar-injector' => 'get', 'apps/deployments' => 'list' },
	default => {});
foreach my $namespace (sort keys %optional)
{
	my $wanted = { %{ $optional{$namespace} }, %of_cluster };
	my $granted;
	poll_until(sub { $granted = rules_in($namespace); keys %$granted == keys %$wanted }, "the rules in $namespace are in force");
	is_deeply($granted, $wanted, "the optional rules in $namespace are these and no others");
}

# The commands, in the order in which the guide has them; those that wait have
# a test of their own.
$api->create_resource();
chdir $ENV{DU_SOURCE};
my %blocks = reverse $guide =~ /^```(\w*)\n(.*?)^```\n/msg;
foreach my $block (sort { index($guide, $a) <=> index($guide, $b) } grep { /^kubectl/ && !/^kubectl.* wait / } keys %blocks)
{
	my ($first) = split /\n/, $block;
	my $result = $api->shell($block);
	ok($result->{ok}, "runs: $first") or diag($result->{stderr});
}
my $cluster = $api->json('-n', 'databases', 'get', 'cluster', 'mydb')->{spec};
is_deeply($cluster->{postgresql}{extensions}[-1], { name => 'documentdb_upgrade',
		image => { reference => 'REGISTRY/documentdb-upgrade:TAG' }, ld_library_path => ['system'] }, 'the Cluster has the image volume');
is($cluster->{postgresql}{shared_preload_libraries}[-1], 'documentdb_upgrade', 'and preloads the library');
is_deeply($cluster->{monitoring}{customQueriesConfigMap}, [ { name => 'documentdb-upgrade-metrics', key => 'queries' } ], 'and has the queries');
is($api->resource->{spec}{postgres}{parameters}{'documentdb_upgrade.source'}, 'kubernetes', 'the operator would pass the setting on') if operator_crd();

done_testing();
