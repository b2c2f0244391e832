# The worker follows spec.schemaVersion of the operator's resource on a real
# API server, with the rights of docs/kubernetes/rbac.yaml, and reports the
# installed version and Events.  The operator's definition keeps no conditions,
# and nobody is bothered with that.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealApi;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

need_real_api();
plan skip_all => "the operator's definition is not at hand" unless operator_crd();

sub follows
{
	my ($modern) = @_;
	my $mode = $modern ? 'later release' : 'plain';
	my ($api, $node) = lab(modern => $modern, crd => operator_crd(), name => "main$modern");
	my $settled = sub {
		my ($version, $what) = @_;
		ok($node->poll_query_until('postgres', "SELECT state IN ('up_to_date', 'update_available') AND installed_version = '$version'
			FROM documentdb_upgrade.status"), "$mode: $what: the schema is at $version");
		(my $dotted = $version) =~ s/^(\d+\.\d+)-(\d+)$/$1.$2/;
		poll_until(sub { ($api->resource->{status}{schemaVersion} // '') eq $dotted }, "status.schemaVersion is $dotted");
		is($api->resource->{status}{schemaVersion}, $dotted, "$mode: $what: the resource says so");
	};

	$settled->('0.108-0', 'nothing desired');
	is(sql($node, 'SELECT source, desired, state FROM documentdb_upgrade.status'), 'kubernetes||update_available', "$mode: it is announced");
	poll_until(sub { $api->events->{SchemaUpdateAvailable} }, 'the update is announced');
	my ($event) = @{ $api->events->{SchemaUpdateAvailable} };
	is($event->{type}, 'Normal', "$mode: as an Event");
	is($event->{message}, 'Schema update available: binary version is 1.0.0, schema is at 0.108.0. '
		  . 'Set spec.schemaVersion to "1.0.0" or "auto" to finalize the upgrade.', "$mode: in the operator's words");
	is($event->{involvedObject}{uid}, $api->resource->{metadata}{uid}, "$mode: about this very resource");
	is($event->{source}{component} // $event->{reportingComponent}, 'documentdb-upgrade', "$mode: it says from whom");

	# The operator's own status fields are left alone.
	$api->kubectl('-n', 'databases', 'patch', 'dbs', 'mydb', '--subresource=status', '--type=merge', '-p',
		'{"status": {"status": "Cluster in healthy state"}}');
	$api->patch_resource({ spec => { schemaVersion => '0.109.0' } });
	$settled->('0.109-0', 'a version is desired');
	my $resource = $api->resource;
	is(sql($node, 'SELECT actor, outcome, resource_uid, resource_generation FROM documentdb_upgrade.history'),
		"worker|succeeded|$resource->{metadata}{uid}|$resource->{metadata}{generation}", "$mode: history names the resource as it was read");
	is($resource->{status}{status}, 'Cluster in healthy state', "$mode: other fields of the status stay");
	poll_until(sub { $api->events->{SchemaUpgraded} }, 'the upgrade is announced');
	is(scalar @{ $api->events->{$_} // [] }, 1, "$mode: one Event $_") foreach qw(SchemaUpgradeStarted SchemaUpgraded);

	# A version that cannot be: once it is said again, the same Event counts.
	foreach my $count (1, 2)
	{
		$api->patch_resource({ spec => { schemaVersion => '0.100.0' } });
		poll_until(sub { my $e = $api->events->{SchemaUpgradeBlocked}; $e && ($e->[0]{count} // 1) == $count }, "the refusal is announced $count times");
		is(sql($node, 'SELECT state FROM documentdb_upgrade.status'), 'blocked', "$mode: a downgrade is refused");
		$api->patch_resource({ spec => { schemaVersion => '0.109.0' } });
		ok($node->poll_query_until('postgres', q{SELECT state = 'up_to_date' FROM documentdb_upgrade.status}), "$mode: and withdrawn");
		$node->restart if $count == 1;
	}
	my @refusals = @{ $api->events->{SchemaUpgradeBlocked} };
	is(scalar @refusals, 1, "$mode: one Event for the same refusal, over a restart too");
	is_deeply([ @{ $refusals[0] }{qw(type count)} ], [ 'Warning', 2 ], "$mode: which is counted");

	$api->patch_resource({ metadata => { annotations => { 'documentdb-upgrade/hold' => 'freeze' } }, spec => { schemaVersion => 'auto' } });
	ok($node->poll_query_until('postgres', q{SELECT state = 'held' FROM documentdb_upgrade.status}), "$mode: the annotation holds");
	like(sql($node, 'SELECT next_step FROM documentdb_upgrade.status'), qr/freeze/, "$mode: with its reason");
	$api->patch_resource({ metadata => { annotations => { 'documentdb-upgrade/hold' => undef } } });
	$settled->('1.0-0', 'auto');

	ok(!exists $api->resource->{status}{conditions}, "$mode: there are no conditions");
	my $log = slurp_file($node->logfile);
	my @complaints = $log =~ /(condition\S* .*)/g;
	cmp_ok(scalar @complaints, '<=', 2, "$mode: one line a start at most says so") or diag(join "\n", @complaints);
	unlike($log, qr/WARNING:.*condition/, "$mode: and it is no warning");
	is(sql($node, 'SELECT reports_failed_total <= 1 FROM documentdb_upgrade.metrics'), 't', "$mode: it is not tried again and again");

	# What the API server saw of the worker.
	my @requests = $api->requests(qr{^documentdb-upgrade/});
	my %asked = map { ($_->{verb} => 1) } @requests;
	is_deeply([ grep { !/^(get|watch|list|patch|create)$/ } keys %asked ], [], "$mode: it asked for nothing else");
	is(scalar(grep { $_->{user} ne 'system:serviceaccount:databases:mydb' } @requests), 0, "$mode: always as its service account");
	is(scalar(grep { $_->{verb} =~ /get|watch|list/ && $_->{code} =~ /^40[13]$/ } @requests), 0, "$mode: no read was refused");
	is(scalar(grep { $_->{verb} =~ /watch|list/ && $_->{uri} !~ /fieldSelector=metadata\.name(=|%3D)mydb/ } @requests), 0, "$mode: it watched its resource alone");
	$node->stop;
	$api->stop;
	return;
}

follows($_) foreach api_modes();

done_testing();
