# Resources of the shapes that the operator's users have, on a real API server with
# the operator's definition: admission accepts each, and the worker takes from each
# how many standbys its region must have.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealApi;
use DocumentdbUpgrade::Test;
use JSON::PP qw(decode_json encode_json);
use Test::More;

need_real_api();
plan skip_all => "the operator's definition is not at hand" unless operator_crd();
my ($api, $node) = lab(modern => (api_modes())[-1], crd => operator_crd());

my %two_regions = (primary => 'north', clusterList => [ { name => 'north' }, { name => 'south', environment => 'aks' } ]);
my %certificates = (replicationTLSSecret => 'client', clientCASecret => 'client', serverTLSSecret => 'server', serverCASecret => 'server');

# What differs from one node with one instance, the standbys that follow from it
# (undef: none are missing), and the fields of which admission warns.
my @shapes = (
	[ 'one instance', {}, undef ],
	[ 'three instances', { instancesPerNode => 3, exposeViaService => { serviceType => 'ClusterIP' } }, 2 ],
	[ 'a pinned version', { documentDBVersion => 'v1.0.0', exposeViaService => { serviceType => 'LoadBalancer' } }, undef ],
	[ 'images', { image => { postgres => 'ghcr.io/cloudnative-pg/postgresql:18-minimal-trixie', documentDB => 'ghcr.io/documentdb/documentdb:1.0.0' } }, undef ],
	[ 'resources and settings', { resource => { storage => { pvcSize => '50Gi', persistentVolumeReclaimPolicy => 'Delete' }, memory => '4Gi', cpu => '2' },
		postgres => { parameters => { track_io_timing => 'on', 'documentdb_upgrade.source' => 'kubernetes' } } }, undef ],
	[ 'two regions without TLS', { instancesPerNode => 2, clusterReplication => { %two_regions, disableTLS => JSON::PP::true, crossCloudNetworkingStrategy => 'Istio' } }, 1 ],
	[ 'high availability without TLS', { clusterReplication => { %two_regions, disableTLS => JSON::PP::true, highAvailability => JSON::PP::true } }, 2 ],
	[ 'high availability with certificates', { clusterReplication => { %two_regions, highAvailability => JSON::PP::true, crossCloudNetworkingStrategy => 'AzureFleet' },
		tls => { postgres => \%certificates } }, 2 ],
	[ 'high availability of one region', { clusterReplication => { primary => 'north', clusterList => [ { name => 'north' } ], disableTLS => JSON::PP::true, highAvailability => JSON::PP::true } }, undef ],
	[ 'auto', { schemaVersion => 'auto', documentDBVersion => '1.0.0' }, undef ]);
my %plain = (nodeCount => 1, instancesPerNode => 1, resource => { storage => { pvcSize => '1Gi' } });

ok($node->poll_query_until('postgres', q{SELECT state = 'update_available' FROM documentdb_upgrade.status}), 'the worker follows the resource');
my $number = 0;
foreach my $shape (@shapes)
{
	my ($name, $spec, $standbys) = @$shape;
	my $made = 'shape' . ++$number;

	# The definition's own rules first, then ours.
	$api->create_resource($spec, $made);
	my $text = encode_json($api->resource($made));
	is(sql($node, "SELECT string_agg(field || ': ' || detail, '; ') FROM documentdb_upgrade.validate_spec(\$json\$$text\$json\$) WHERE type <> 'warning'"), '', "$name: admission accepts it");
	next if $spec->{schemaVersion};

	# The same as a change of the resource that is followed.
	my $old = $api->resource->{spec};
	my %gone = map { $_ => undef } grep { !exists $plain{$_} && !exists $spec->{$_} } keys %$old;
	$api->patch_resource({ spec => { %gone, %plain, %$spec } });
	my $expected = defined $standbys ? "fail|0 of $standbys expected standbys are known in this region." : 'pass|';
	my $generation = $api->resource->{metadata}{generation};
	my $guard = poll_until(sub {
		my $found = sql($node, q{SELECT status, detail FROM documentdb_upgrade.preflight() WHERE guard = 'standbys_ready'});
		return $found =~ /^\Q$expected\E/ ? $found : '';
	}, "$name: the guard");
	like($guard, qr/^\Q$expected\E/, "$name: so many standbys are expected");
}
is(sql($node, 'SELECT worker_up, source_failures_total FROM documentdb_upgrade.metrics'), '1|0', 'the worker has read each');

done_testing();
