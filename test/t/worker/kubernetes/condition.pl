# The condition SchemaSettled says whether the schema is what the resource
# asks for and why not, beside the conditions of others.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use JSON::PP qw(decode_json);
use POSIX qw(strftime);
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
$api->take_condition('db1', { type => 'SchemaUpgradeBlocked', status => 'False', reason => 'SchemaUpToDate',
	message => '', lastTransitionTime => '2026-01-01T00:00:00Z' });
my $node = follow($api);

sub condition_becomes
{
	my ($status, $reason, $message) = @_;
	my $condition;
	my $came = poll_until(sub {
		$condition = $api->condition('db1', 'SchemaSettled') // {};
		return ($condition->{status} // '') eq $status && $condition->{reason} eq $reason
		  && $condition->{observedGeneration} == $api->resource('db1')->{metadata}{generation};
	}, "the condition is $status, $reason");

	ok($came, "the condition is $status, $reason, for this generation");
	like($condition->{message}, $message, 'and says so');
	return $condition;
}

my $first = condition_becomes('True', 'UpdateAvailable', qr/0\.100\.0/);
poll_until(sub { strftime('%Y-%m-%dT%H:%M:%SZ', gmtime) gt $first->{lastTransitionTime} }, 'another second has begun');
$api->patch_spec('db1', schemaVersion => '0.100.0');
my $second = condition_becomes('True', 'UpToDate', qr/\.$/);
is($second->{lastTransitionTime}, $first->{lastTransitionTime}, 'the time stays while the status does');
$api->patch_spec('db1', nodeCount => 2);
is(condition_becomes('True', 'UpToDate', qr/./)->{lastTransitionTime}, $first->{lastTransitionTime}, 'also in another generation');
$api->patch_spec('db1', schemaVersion => '9.9.9');
condition_becomes('False', 'Waiting', qr/9\.9[.-]9/);
$api->patch_spec('db1', schemaVersion => 'auto');
condition_becomes('True', 'UpToDate', qr/./);
is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '1.0-0', 'which is true');
$api->patch_spec('db1', schemaVersion => '0.105.0');
condition_becomes('False', 'Blocked', qr/0\.105/);
is($api->condition('db1', 'SchemaUpgradeBlocked')->{reason}, 'SchemaUpToDate', "the operator's own condition is as it was");

# How it is written.
my @applied = $api->requests(method => 'PATCH', type => 'application/apply-patch+yaml');
my %managers = map { $_->{query}{fieldManager} => 1 } @applied;
is(scalar keys %managers, 1, 'one field manager writes it');
is(scalar(grep { defined $_->{query}{force} && $_->{query}{force} ne 'false' } @applied), 0, 'without force');
is_deeply([ map { $_->{type} } map { @{ decode_json($_->{body})->{status}{conditions} } } $applied[-1] ], ['SchemaSettled'], 'and nothing besides');

# Somebody else who took it over keeps it, and the schema follows all the same.
$api->take_condition('db1', { type => 'SchemaSettled', status => 'Unknown', reason => 'Mine', message => '',
	observedGeneration => 1, lastTransitionTime => '2026-01-01T00:00:00Z' });
$api->patch_spec('db1', schemaVersion => '77.77.77');
wait_for_state($node, 'waiting');
is($api->condition('db1', 'SchemaSettled')->{reason}, 'Mine', 'a condition that somebody else owns is left alone');
$api->mark;
foreach my $wish ('77.77.78', 'auto', '77.77.79', 'auto')
{
	$api->patch_spec('db1', schemaVersion => $wish);
	wait_for_state($node, $wish eq 'auto' ? 'up_to_date' : 'waiting');
}
cmp_ok(scalar $api->requests(type => 'application/apply-patch+yaml'), '<=', 4, 'and not fought over');
is($api->condition('db1', 'SchemaSettled')->{reason}, 'Mine', 'to the end');

done_testing();
