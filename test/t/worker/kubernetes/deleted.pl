# While there is no resource nothing runs; one that is created again counts as
# what it is, another one.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
my $node = follow($api);
my $runs = q{SELECT count(*) FROM documentdb_upgrade.history};

# It may come later than the server.
wait_for_state($node, 'waiting', qr/lab.*db1/);
my $first = $api->put_resource('db1', spec => { nodeCount => 1, schemaVersion => '0.101.0' });
wait_for_state($node, 'up_to_date');
is(sql($node, 'SELECT resource_uid FROM documentdb_upgrade.history'), $first->{metadata}{uid}, 'a resource that comes late is followed');

# Deleted while it asks for something that a hold stops.
sql($node, q{SELECT documentdb_upgrade.hold('not yet')});
$api->patch_spec('db1', schemaVersion => 'auto');
wait_for_state($node, 'held');
unharmed($node, $api, 'a deleted resource', sub {
	$api->delete_resource('db1');
	wait_for_state($node, 'waiting', qr/lab.*db1/);
	sql($node, q{SELECT documentdb_upgrade.release()});
	is(sql($node, 'SELECT documentdb_upgrade.tick()'), 'waiting', 'a pass by hand waits too')
	  if sql($node, q{SELECT count(*) FROM pg_proc WHERE proname = 'tick'});
	wait_for_state($node, 'waiting', qr/lab.*db1/);
	is(sql($node, $runs), '1', 'nothing runs for a deleted resource');

	my $second = $api->put_resource('db1', spec => { nodeCount => 1, schemaVersion => '0.102.1' });
	wait_for_status($node, sub { $_[0]->{installed_version} eq '0.102-1' }, 'another one is followed');
	is(sql($node, q{SELECT resource_uid FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}), $second->{metadata}{uid},
		'one that is created again is followed as itself');
}, ROOM_FOR_UPGRADES);

# At once again: its generation starts anew and must not look old.
$api->patch_spec('db1', schemaVersion => "77.77.$_") foreach 1 .. 5;
unharmed($node, $api, 'a resource replaced in one go', sub {
	my $third = $api->recreate_resource('db1', spec => { nodeCount => 1, schemaVersion => '0.103.0' });
	is($third->{metadata}{generation}, 1, 'a new resource begins at generation 1');
	wait_for_status($node, sub { $_[0]->{installed_version} eq '0.103-0' }, 'it is followed');
	is(sql($node, q{SELECT resource_uid FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}), $third->{metadata}{uid},
		'and is followed nevertheless');
}, ROOM_FOR_UPGRADES);

# One that is being deleted asks for nothing any more.
$api->put_resource('db1', metadata => { deletionTimestamp => '2026-01-01T00:00:00Z', finalizers => ['x/y'] });
$api->patch_spec('db1', schemaVersion => 'auto');
wait_for_state($node, 'waiting', qr/delet/);
is(status_of($node)->{installed_version}, '0.103-0', 'nothing runs for a resource that is being deleted');

done_testing();
