# Events tell of changes only, and the same one again is counted, also over a
# restart of the server.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
my $resource = $api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api, own_installation => 1);

# The Events with that reason, waited for until there are so many.
sub events_of
{
	my ($reason, $count) = @_;
	my @events;

	poll_until(sub { @events = grep { $_->{reason} eq $reason } $api->events; return @events >= $count }, "there is an Event $reason");
	is(scalar @events, $count, "Events $reason: $count");
	return @events;
}

my ($event) = events_of('SchemaUpdateAvailable', 1);
is($event->{type}, 'Normal', 'an available update is normal');
is($event->{message}, 'Schema update available: binary version is 1.0.0, schema is at 0.100.0. '
	. 'Set spec.schemaVersion to "1.0.0" or "auto" to finalize the upgrade.', 'and worded as the operator does');
is_deeply([ @{ $event->{involvedObject} }{qw(apiVersion kind namespace name uid)} ],
	[ 'documentdb.io/preview', 'DocumentDB', 'lab', 'db1', $resource->{metadata}{uid} ], 'it is about the resource');
like($event->{metadata}{name}, qr/^db1\.[0-9a-f]+$/, 'its name is made of the resource and a hash');
is($event->{count}, 1, 'it happened once');
like($event->{$_}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, "with its $_") foreach qw(firstTimestamp lastTimestamp);
ok(length $event->{source}{component}, 'and says who reports');

# The same state after a restart is no change; the same again is counted.
$node->restart;
wait_for_state($node, 'update_available');
$api->patch_spec('db1', schemaVersion => '0.100.0');
wait_for_state($node, 'up_to_date');
$api->patch_spec('db1', schemaVersion => '');
ok(poll_until(sub { my ($again) = grep { $_->{reason} eq 'SchemaUpdateAvailable' } $api->events; return $again->{count} >= 2 },
	'the Event is counted'), 'the same again is counted');
($event) = events_of('SchemaUpdateAvailable', 1);
cmp_ok($event->{lastTimestamp}, 'ge', $event->{firstTimestamp}, 'with the time of the last');

$api->patch_spec('db1', schemaVersion => '0.105.0');
foreach my $reason (qw(SchemaUpgradeStarted SchemaUpgraded))
{
	($event) = events_of($reason, 1);
	is($event->{type}, 'Normal', "$reason is normal");
	like($event->{message}, qr/0\.105\.0/, 'and names the version as the resource does');
	unlike($event->{message}, qr/0\.\d+-0/, 'in that spelling alone');
}
$api->patch_spec('db1', schemaVersion => '0.101.0');
($event) = events_of('SchemaUpgradeBlocked', 1);
is($event->{type}, 'Warning', 'a version to which there is no way is a warning');

# A script that fails does so once, not every few seconds.
write_extension_file($node, 'documentdb--0.105-0--0.106-0.sql', 'SELECT 1/0;');
$api->patch_spec('db1', schemaVersion => '0.106.0');
($event) = events_of('SchemaUpgradeFailed', 1);
is($event->{type}, 'Warning', 'a failure is a warning');
like($event->{message}, qr/division by zero/, 'with the error');
unlike($event->{message}, qr/(?<![-\w])0\.\d+-0\b/, 'and the versions as the resource has them');
wait_for_state($node, 'failed', qr/division by zero/);
still_follows($node, $api, 'a failure');
($event) = events_of('SchemaUpgradeFailed', 1);
is($event->{count}, 1, 'that is told once');

done_testing();
