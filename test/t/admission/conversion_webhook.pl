# A conversion webhook on a real API server: definitions with two versions, whose
# objects are stored in the one and read and written in the other.  What an old client
# does not know survives its writes; what cannot be converted is told.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealApi;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WebhookProxy;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils;
use Test::More;

need_real_api();
my $kept = 'documentdb-upgrade/conversion';
my ($api, $node, $proxy, $mode, $draws);

# The fields of each version, their types, and the values of which resources are made.
my %any = ('x-kubernetes-preserve-unknown-fields' => JSON::PP::true);
my %common = (
	nodeCount => [ 'integer', 1 ],
	instancesPerNode => [ 'integer', 1, 2, 3 ],
	documentDBVersion => [ 'string', '0.112.0', '0.113.0' ],
	documentDbCredentialSecret => [ 'string', 'secret' ],
	environment => [ 'string', 'aks', 'eks' ],
	timeouts => [ 'object', { stopDelay => 30 }, { stopDelay => 5 } ],
	backup => [ 'object', { retentionDays => 7 } ],
	tls => [ 'object', { gateway => { mode => 'SelfSigned' } }, { gateway => { mode => 'Provided', provided => { secretName => 's' } } } ],
	exposeViaService => [ 'object', { serviceType => 'LoadBalancer' }, { serviceType => 'ClusterIP' } ],
	clusterReplication => [ 'object', { primary => 'a', clusterList => [ { name => 'a', environment => 'aks' }, { name => 'b' } ], highAvailability => JSON::PP::true },
		{ primary => 'b', clusterList => [ { name => 'b' } ], crossCloudNetworkingStrategy => 'Istio' } ]);
my %storage = (resource => [ 'object', { storage => { pvcSize => '1Gi' } }, { storage => { pvcSize => '2Gi', storageClass => 'fast' } } ]);
my %flat = (
	documentDBImage => [ 'string', 'd:0.112.0', 'd:0.113.0' ],
	gatewayImage => [ 'string', 'g:1' ],
	sidecarInjectorPluginName => [ 'string', 's' ],
	walReplicaPluginName => [ 'string', 'w' ]);
my %later = (affinity => [ 'object', { a => [ 1, { b => "\x{fc}" } ] } ], featureGates => [ 'object', { ChangeStreams => JSON::PP::true } ]);
my %hub = (%common, %later,
	resource => [ 'object', { storage => { pvcSize => '1Gi' } }, { storage => { pvcSize => '2Gi', persistentVolumeReclaimPolicy => 'Delete' }, memory => '4Gi' } ],
	image => [ 'object', { documentDB => 'd:0.113.0' }, { documentDB => 'd:0.113.0', gateway => 'g:2', postgres => 'p:18' }, {} ],
	imagePullSecrets => [ 'array', [ { name => 'pull' } ] ],
	plugins => [ 'object', { sidecarInjectorName => 's' }, { walReplicaName => 'w' } ],
	postgres => [ 'object', { uid => 26, gid => 26, parameters => { work_mem => '8MB' } } ],
	schemaVersion => [ 'string', 'auto', '0.112.0' ],
	monitoring => [ 'object', { enabled => JSON::PP::true } ]);
my %versions = (
	'documentdb.io/preview' => \%hub,
	'documentdb.io/preview-flat' => { %common, %later, %storage, %flat, postgresImage => [ 'string', 'p:17' ] },
	'db.microsoft.com/preview' => { %common, %storage, %flat },
	'db.microsoft.com/v1' => { %common, documentDBImage => $flat{documentDBImage}, gatewayImage => $flat{gatewayImage},
		sidecarInjectorPluginName => $flat{sidecarInjectorPluginName}, postgresqlImage => [ 'string', 'p:16' ], publicLoadBalancer => [ 'object', { enabled => JSON::PP::true }, { enabled => JSON::PP::false } ],
		resource => [ 'object', { pvcSize => '1Gi' }, { pvcSize => '2Gi' } ],
		clusterReplication => [ 'object', { primary => 'a', clusterList => [ 'a', 'b' ], enableFleetForCrossCloud => JSON::PP::true }, { primary => 'a', clusterList => ['a'] } ] },
	'documentdb.io/v9' => \%hub);
my $plain = JSON::PP->new->utf8->canonical;

# A definition with these versions; objects are stored in the first.
sub define
{
	my ($plural, @names) = @_;
	my ($group) = split m{/}, $names[0];
	my @served;

	foreach my $name (@names)
	{
		my %properties = map { my $type = $versions{$name}{$_}[0];
			$_ => { type => $type, $type eq 'array' ? (items => { type => 'object', %any }) : $type eq 'object' ? %any : () } } keys %{ $versions{$name} };
		push @served, { name => $name =~ s{.*/}{}r, served => JSON::PP::true, storage => @served ? JSON::PP::false : JSON::PP::true, subresources => { status => {} },
			schema => { openAPIV3Schema => { type => 'object', properties => { spec => { type => 'object', properties => \%properties }, status => { type => 'object', %any } } } } };
	}
	$api->aggregate($_) foreach $mode eq 'plain' ? () : @names;
	my $file = "$api->{dir}/$plural.json";
	append_to_file($file, $plain->encode({ apiVersion => 'apiextensions.k8s.io/v1', kind => 'CustomResourceDefinition', metadata => { name => "$plural.$group" },
		spec => { group => $group, scope => 'Namespaced', names => { kind => 'DocumentDB', listKind => 'DocumentDBList', plural => $plural, singular => 'documentdb' },
			versions => \@served, conversion => { strategy => 'Webhook', webhook => { conversionReviewVersions => ['v1'],
				clientConfig => { url => $proxy->conversion_url, caBundle => encode_base64(slurp_file("$api->{dir}/ca.crt"), '') } } } } }));
	$api->apply_crd($file);
	foreach my $name (@names)
	{
		poll_until(sub { $api->ask('GET', path($plural, $name) . '?limit=1')->{success} }, "$mode: $name is served");
	}
	return;
}

sub path { return "/apis/$_[1]/namespaces/databases/$_[0]" . ($_[2] // ''); }

# The same numbers in each run.
sub draw
{
	$draws = ($draws * 1103515245 + 12345) % 2147483648;
	return int($draws / 65536) % $_[0];
}

sub generated
{
	my ($version, $name) = @_;
	my $fields = $versions{$version};
	my %spec;

	foreach my $field (sort keys %$fields)
	{
		my (undef, @values) = @{ $fields->{$field} };
		$spec{$field} = $values[ draw(scalar @values) ] if draw(2);
	}
	return { apiVersion => $version, kind => 'DocumentDB', spec => \%spec,
		metadata => { name => $name, namespace => 'databases', draw(2) ? (labels => { a => 'b' }, annotations => { note => '"n"' }) : () } };
}

sub without_kept
{
	my $metadata = shift;
	my %annotations = %{ $metadata->{annotations} // {} };

	delete $annotations{$kept};
	return $plain->encode([ $metadata->{name}, $metadata->{labels}, \%annotations ]);
}

# Objects made in a version, as they are listed in it and in the other.
sub round_trips
{
	my ($plural, $version, $other, $count) = @_;
	my $prefix = lc($version =~ s/[^a-z0-9]/-/gr) . '-';
	my %made = map { my $object = generated($version, $prefix . $_); ($object->{metadata}{name} => $object) } 1 .. $count;

	$api->asked('POST', path($plural, $version), $plain->encode($made{$_})) foreach sort keys %made;
	my $listed = sub { return grep { $_->{metadata}{name} =~ /^\Q$prefix\E\d+$/ } @{ $api->asked('GET', path($plural, $_[0]))->{items} }; };
	my @same = $listed->($version);
	is(scalar @same, $count, "$mode: $version: there are so many");
	is_deeply([ map { $_->{metadata}{name} } grep { $plain->encode($_->{spec}) ne $plain->encode($made{ $_->{metadata}{name} }{spec})
		|| without_kept($_->{metadata}) ne without_kept($made{ $_->{metadata}{name} }{metadata}) } @same ], [], "$mode: $version: each is as it was made");

	# An old client writes back what it has read, with a change.
	my @others = $listed->($other);
	is(scalar(grep { $_->{apiVersion} eq $other } @others), $count, "$mode: $version: each is listed as $other");
	my %old_fields = %{ $versions{$other} };
	is_deeply([ grep { !$old_fields{$_} } map { keys %{ $_->{spec} } } @others ], [], "$mode: $version: with the fields of that");
	foreach my $object (@others[ 0, 1 ])
	{
		$object->{spec}{environment} = $made{ $object->{metadata}{name} }{spec}{environment} = 'gke';
		$api->asked('PUT', path($plural, $other, "/$object->{metadata}{name}"), $plain->encode($object));
	}
	is_deeply([ map { $_->{metadata}{name} } grep { $plain->encode($_->{spec}) ne $plain->encode($made{ $_->{metadata}{name} }{spec}) } $listed->($version) ],
		[], "$mode: $version: a client of $other changes what it changes and nothing else");
	return;
}

# What the webhook refuses is told to who asked.
sub failures
{
	my $answer = $api->ask('GET', path('dbs', 'documentdb.io/v9', '?limit=500'));
	ok(!$answer->{success}, "$mode: a version that nobody knows cannot be read");
	like($answer->{content}, qr/request\.desiredAPIVersion: version \\"documentdb\.io\/v9\\" is not known/, "$mode: in our words");
	my ($last) = reverse $proxy->exchanges;
	is_deeply([ @{ $last->[1]{response} }{qw(uid convertedObjects)} ], [ $last->[0]{request}{uid}, [] ], "$mode: by the uid of the request, with no object");
	return;
}

# A change through an old version is judged like any other.
sub rollbacks
{
	my ($plural, $group, $old, $hidden) = @_;

	$api->asked('POST', path($plural, $old), $plain->encode({ apiVersion => $old, kind => 'DocumentDB', metadata => { name => 'mydb' },
		spec => { nodeCount => 1, instancesPerNode => 1, documentDBImage => 'd:0.113.0' } }));
	my $merge = 'application/merge-patch+json';
	$api->asked('PATCH', path($plural, $old, '/mydb/status'), $plain->encode({ status => { schemaVersion => '0.112.0' } }), $merge);
	my $refused = $api->ask('PATCH', path($plural, $old, '/mydb'), $plain->encode({ spec => { documentDBImage => 'd:0.111.0' } }), $merge);
	is($refused->{status}, 422, "$mode: a rollback of $old is refused") or diag($refused->{content});
	like($refused->{content}, qr/DocumentDB\.\Q$group\E \\"mydb\\" is invalid: spec: Forbidden: image rollback blocked: requested version 0\.111\.0 is older/, "$mode: as one of $group");
	ok($api->ask('PATCH', path($plural, $old, '/mydb'), $plain->encode({ spec => { documentDBImage => 'd:0.114.0' } }), $merge)->{success}, "$mode: a newer image is not");
	return;
}

sub register_admission
{
	my $webhook = $api->json('create', '--dry-run=client', '--validate=false', '-f', "$ENV{DU_SOURCE}/docs/kubernetes/webhook.yaml");
	$webhook->{webhooks}[0]{clientConfig} = { url => $proxy->url, caBundle => encode_base64(slurp_file("$api->{dir}/ca.crt"), '') };
	$api->apply($webhook);
	foreach my $path ([ 'dbs', 'documentdb.io/preview' ], [ 'documentdbs', 'db.microsoft.com/preview' ])
	{
		my $probe = $plain->encode({ apiVersion => $path->[1], kind => 'DocumentDB', metadata => { name => 'probe' }, spec => { documentDBVersion => 'none' } });
		poll_until(sub { !$api->ask('POST', path(@$path) . '?dryRun=All', $probe)->{success} }, "$mode: the webhook judges $path->[1]");
	}
	return;
}

foreach my $modern (api_modes())
{
	$mode = $modern ? 'later release' : 'plain';
	$draws = 20261130;
	$api = DocumentdbUpgrade::RealApi->new(modern => $modern);
	$api->kubectl('create', 'namespace', 'databases');
	$node = new_node("main$modern");
	sql($node, q{
		CREATE EXTENSION documentdb_upgrade;
		CREATE ROLE webhook LOGIN;
		GRANT EXECUTE ON PROCEDURE documentdb_upgrade.run_admission_review, documentdb_upgrade.run_conversion_review TO webhook});
	$proxy = DocumentdbUpgrade::WebhookProxy->new($node, "$api->{dir}/server.crt", "$api->{dir}/server.key", user => 'webhook');
	define('dbs', 'documentdb.io/preview', 'documentdb.io/preview-flat', 'documentdb.io/v9');
	define('documentdbs', 'db.microsoft.com/preview', 'db.microsoft.com/v1');

	# API servers send a review for each object that is not stored as it is asked for.
	round_trips('dbs', 'documentdb.io/preview', 'documentdb.io/preview-flat', 6);
	round_trips('dbs', 'documentdb.io/preview-flat', 'documentdb.io/preview', 4);
	round_trips('documentdbs', 'db.microsoft.com/preview', 'db.microsoft.com/v1', 6);
	round_trips('documentdbs', 'db.microsoft.com/v1', 'db.microsoft.com/preview', 4);
	failures();
	register_admission();
	rollbacks('dbs', 'documentdb.io', 'documentdb.io/preview-flat');
	rollbacks('documentdbs', 'db.microsoft.com', 'db.microsoft.com/v1');
	is(scalar(grep { !ref $_->[1] } $proxy->exchanges), 0, "$mode: no review has failed");

	# The version that is stored needs no webhook.  Lists may come from a cache; a write cannot.
	$node->stop;
	my @label = ($plain->encode({ metadata => { labels => { c => 'd' } } }), 'application/merge-patch+json');
	ok($api->ask('PATCH', path('dbs', 'documentdb.io/preview', '/mydb'), @label)->{success}, "$mode: while the database is down, the stored version can be written");
	like($api->ask('PATCH', path('dbs', 'documentdb.io/preview-flat', '/mydb'), @label)->{content}, qr/conversion webhook for documentdb\.io/, "$mode: another one cannot");
	$proxy->stop;
	$api->stop;
}

done_testing();
