# Where the resource keeps conditions as a map list, the condition SchemaSettled
# says where the schema stands: kubectl can wait for it, conditions of others
# stay, and a manager who takes it away is not fought.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealApi;
use DocumentdbUpgrade::Test;
use POSIX qw(strftime);
use PostgreSQL::Test::Utils;
use Test::More;

need_real_api();

my ($api, $node, $mode);

sub condition
{
	my ($type) = @_;
	my ($found) = grep { $_->{type} eq ($type // 'SchemaSettled') } @{ $api->resource->{status}{conditions} // [] };
	return $found // {};
}

# Waits for a condition with that status and reason, about the newest spec.
sub settles
{
	my ($status, $reason) = @_;
	my $generation = $api->resource->{metadata}{generation};
	my $there = poll_until(sub { my $c = condition();
		($c->{status} // '') eq $status && $c->{reason} eq $reason && $c->{observedGeneration} == $generation }, "the condition is $status, $reason");
	ok($there, "$mode: condition $status, $reason") or diag(explain(condition()));
	return condition();
}

# Writes a condition as another field manager does.
sub apply_as
{
	my ($manager, $condition, @options) = @_;
	return $api->apply({ apiVersion => 'documentdb.io/preview', kind => 'DocumentDB', metadata => { name => 'mydb', namespace => 'databases' },
			status => { conditions => [ { lastTransitionTime => '2026-01-01T00:00:00Z', message => "By $manager.", %$condition } ] } },
		'--server-side', '--subresource=status', "--field-manager=$manager", @options);
}

sub keeps_condition
{
	my ($modern) = @_;
	$mode = $modern ? 'later release' : 'plain';
	($api, $node) = lab(modern => $modern, name => "main$modern");

	my $first = settles('True', 'UpdateAvailable');
	like($first->{message}, qr/1\.0\.0/, "$mode: the message says what is there");
	$api->patch_resource({ spec => { schemaVersion => '9.9.9' } });
	my $waiting = settles('False', 'Waiting');
	like($waiting->{message}, qr/\.$/, "$mode: the message is made of sentences");
	apply_as('somebody', { type => 'SchemaUpgradeBlocked', status => 'False', reason => 'SchemaUpToDate' });

	# The next second, so that another time would be seen.
	poll_until(sub { strftime('%Y-%m-%dT%H:%M:%SZ', gmtime) gt $waiting->{lastTransitionTime} }, 'time goes on');
	$api->patch_resource({ spec => { schemaVersion => '8.8.8' } });
	is(settles('False', 'Waiting')->{lastTransitionTime}, $waiting->{lastTransitionTime}, "$mode: the same status keeps its time");
	$api->patch_resource({ spec => { schemaVersion => '0.109.0' } });
	my $waited = $api->try_kubectl('-n', 'databases', 'wait', '--for=condition=SchemaSettled', 'documentdb/mydb', '--timeout=60s');
	ok($waited->{ok}, "$mode: kubectl waits for it") or diag($waited->{stderr});
	is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '0.109-0', "$mode: and then the schema is there");
	settles('True', 'UpToDate');
	$waited = $api->try_kubectl('-n', 'databases', 'wait', '--for=jsonpath={.status.schemaVersion}=0.109.0', 'documentdb/mydb', '--timeout=60s');
	ok($waited->{ok}, "$mode: so does waiting for the version") or diag($waited->{stderr});
	is(condition('SchemaUpgradeBlocked')->{message}, 'By somebody.', "$mode: the condition of somebody else stays");

	# One condition and one field are ours, and no more.
	my $managed = $api->json('-n', 'databases', 'get', 'dbs', 'mydb', '--show-managed-fields')->{metadata}{managedFields};
	my %ours = map { my $m = $_; map { ("$m->{operation} $_" => 1) } grep { $_ ne '.' } keys %{ $m->{fieldsV1}{'f:status'} } }
	  grep { $_->{manager} =~ /^documentdb-upgrade/ } @$managed;
	is_deeply([ sort keys %ours ], [ 'Apply f:conditions', 'Update f:schemaVersion' ], "$mode: what is written is owned, no more");

	# Another manager takes it over, by force.
	apply_as('rival', { type => 'SchemaSettled', status => 'Unknown', reason => 'Taken', observedGeneration => 1 }, '--force-conflicts');
	$api->patch_resource({ spec => { schemaVersion => '0.112.0' } });
	poll_until(sub { ($api->resource->{status}{schemaVersion} // '') eq '0.112.0' }, 'the schema goes on');
	is($api->resource->{status}{schemaVersion}, '0.112.0', "$mode: the schema is followed and reported all the same");
	is(condition()->{message}, 'By rival.', "$mode: a condition that was taken away is not taken back");
	ok($node->poll_query_until('postgres', 'SELECT reports_failed_total > 0 FROM documentdb_upgrade.metrics'), "$mode: that counts as a failed report");
	my @lines = slurp_file($node->logfile) =~ /(\S* *(?:conflict|manager).*)/gi;
	cmp_ok(scalar @lines, '>=', 1, "$mode: the log says so");
	cmp_ok(scalar @lines, '<=', 3, "$mode: once") or diag(join "\n", @lines);

	$node->stop;
	$api->stop;
	return;
}

keeps_condition($_) foreach api_modes();

done_testing();
