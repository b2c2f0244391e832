# Headers that never end, answers that do not come and streams that go silent
# are given up in time.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;
use Time::HiRes qw(time);

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api, conf => q{documentdb_upgrade.resync_interval = '1s'});
my $reads = { method => 'GET', watch => 0, path => '/dbs/db1$' };

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');

my $started = time;
outage($node, $api,
	name => 'headers that never end',
	cause => sub { $api->fault(%$reads, times => 1000, slow_headers => 1) },
	says => qr/time|slow/i);
cmp_ok(time - $started, '<', patience(60), 'in bounded time');
cmp_ok(time - $started, '>=', 10, 'not at once');

outage($node, $api,
	name => 'a body that stops half-way',
	cause => sub { $api->fault(%$reads, times => 1000, cut => 100, then => 'stall') },
	says => qr/time|slow/i);

# A stream that stays open and says nothing: resync_interval + 30 s later it
# is replaced.
wait_for_watch($api);
unharmed($node, $api, 'a silent stream', sub {
	$api->fault(watch => 1, times => 1, then => 'stall');
	poll_until(sub { $api->faults_left == 0 }, 'the stream is opened');
	$api->mark;
	$started = time;
	$api->patch_spec('db1', schemaVersion => '88.0.0');
	wait_for_status($node, sub { $_[0]->{desired} eq '88.0.0' }, 'the change arrives');
	cmp_ok(time - $started, '<', patience(45), 'a change that a silent stream hides arrives all the same');
});

done_testing();
