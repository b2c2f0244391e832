# A report that cannot be delivered is repeated until it is, and the upgrade
# does not wait for it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;
use Time::HiRes qw(time);

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api, conf => q{documentdb_upgrade.resync_interval = '3s'});
my $reported = sub { ($api->resource('db1')->{status}{schemaVersion} // '') eq $_[0] };
my $condition = sub { ($api->condition('db1', 'SchemaSettled') // {})->{reason} // '' };

sub follows_silently
{
	my ($version, $name) = @_;
	my $asked = time;

	$api->patch_spec('db1', schemaVersion => $version);
	wait_for_state($node, 'up_to_date');
	cmp_ok(time - $asked, '<', patience(10), "$name do not delay an upgrade");
	return;
}

ok(poll_until(sub { $reported->('0.100.0') }, 'the start is reported'), 'the start is reported');
unharmed($node, $api, 'writes that fail', sub {
	$api->fault(method => $_, times => 1000, status => 500) foreach qw(PATCH POST);
	follows_silently('0.103.0', 'writes that fail');
	ok($reported->('0.100.0'), 'nothing is reported meanwhile');
	$api->clear_faults;
	ok(poll_until(sub { $reported->('0.103.0') }, 'the report arrives'), 'afterwards the report arrives');
	ok(poll_until(sub { $condition->() eq 'UpToDate' }, 'the condition arrives'), 'and the condition');
	ok(poll_until(sub { scalar grep { $_->{reason} eq 'SchemaUpgraded' && $_->{message} =~ /0\.103/ } $api->events }, 'the Event arrives'), 'and the Event');
	$api->patch_spec('db1', schemaVersion => '');
}, ROOM_FOR_UPGRADES);

unharmed($node, $api, 'writes that are refused', sub {
	$api->deny($_) foreach 'patch dbs/status', 'create events', 'patch events';
	follows_silently('0.104.0', 'writes that are refused');
	is(status_of($node)->{state}, 'up_to_date', 'a refused report is not the state of the schema');
	$api->allow($_) foreach 'patch dbs/status', 'create events', 'patch events';
	ok(poll_until(sub { $reported->('0.104.0') }, 'the report arrives'), 'with the right given the report arrives');
	$api->patch_spec('db1', schemaVersion => '');
}, ROOM_FOR_UPGRADES);

unharmed($node, $api, 'writes that are not answered', sub {
	$api->fault(method => $_, times => 1000, wait => 3600) foreach qw(PATCH POST);
	follows_silently('0.105.0', 'writes that are not answered');
	$api->clear_faults;
	$api->drop_connections;
	ok(poll_until(sub { $reported->('0.105.0') }, 'the report arrives'), 'afterwards the report arrives');
	$api->patch_spec('db1', schemaVersion => '');
}, ROOM_FOR_UPGRADES);

unharmed($node, $api, 'conflicts', sub {
	$api->fault(method => 'PATCH', times => 3, status => 409, json => { kind => 'Status', code => 409, reason => 'Conflict', message => 'the object has been modified' });
	follows_silently('0.107.0', 'conflicts');
	ok(poll_until(sub { $reported->('0.107.0') }, 'the report arrives'), 'after conflicts the report arrives');
	$api->patch_spec('db1', schemaVersion => '');
}, ROOM_FOR_UPGRADES);

done_testing();
