# Right before an attempt the desired version is read again: what the watch
# said may be old.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api);
my $runs = q{SELECT count(*) FROM documentdb_upgrade.history};
my %reads = (method => 'GET', watch => 0);

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');
wait_for_watch($api);

$api->mark;
$api->patch_spec('db1', schemaVersion => '0.101.0');
wait_for_status($node, sub { $_[0]->{installed_version} eq '0.101-0' }, 'the schema follows');
my @reads = $api->requests(%reads, path => qr{/dbs/db1$});
ok(scalar @reads, 'the resource is read once more before an attempt');
my $told;
poll_until(sub { ($told) = grep { $_->{body} =~ /SchemaUpgradeStarted/ } $api->requests(method => 'POST'); return $told }, 'an attempt is told of');
cmp_ok($reads[0]{time}, '<', $told->{time}, 'before it is told of');
$api->patch_spec('db1', schemaVersion => '');
wait_for_state($node, 'update_available');

# A watch that tells of a wish that was taken back meanwhile.
unharmed($node, $api, 'a wish that was taken back', sub {
	my $object = $api->resource('db1');
	$object->{spec}{schemaVersion} = 'auto';
	$object->{metadata}{generation}++;
	$object->{metadata}{resourceVersion} = '999999';
	$api->mark;
	$api->watch_event(MODIFIED => $object);
	poll_until(sub { scalar $api->requests(%reads) }, 'the resource is read again');
	wait_for_state($node, 'update_available');
	is(sql($node, $runs), '1', 'a wish that was taken back starts nothing');
	$api->recreate_resource('db1', spec => { nodeCount => 1 });
});

# No answer, no attempt.
wait_for_watch($api);
$api->fault(%reads, times => 1000, status => 500);
$api->patch_spec('db1', schemaVersion => '0.102.0');
wait_for_state($node, 'waiting', qr/500/);
is(sql($node, $runs), '1', 'without an answer nothing starts');
$api->clear_faults;
wait_for_state($node, 'up_to_date');
is(sql($node, $runs), '2', 'with one it does');

# Deleted and not told so.
sql($node, q{SELECT documentdb_upgrade.hold('for now')});
$api->patch_spec('db1', schemaVersion => '0.103.0');
wait_for_state($node, 'held');
$api->watch_stop('freeze');
$api->delete_resource('db1');
sql($node, q{SELECT documentdb_upgrade.release()});
wait_for_state($node, 'waiting', qr/lab.*db1/);
is(sql($node, $runs), '2', 'a resource that was deleted unnoticed starts nothing');

done_testing();
