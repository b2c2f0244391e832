# Where watching is not allowed the worker polls, and where there is no watch
# any more it does so too.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
my %reads = (method => 'GET', watch => 0, path => qr{/dbs/db1$});
$api->put_resource('db1', spec => { nodeCount => 1 });
$api->deny('watch dbs');
my $node = follow($api);

wait_for_state($node, 'update_available');
still_follows($node, $api, 'a start without a right to watch');
my $pid = worker_pid($node);
$api->mark;
ok(poll_until(sub { $api->requests(%reads) >= 10 }, 'it polls'), 'it polls');
my @times = map { $_->{time} } $api->requests(%reads);
cmp_ok($times[-1] - $times[0], '>=', 0.2 * 0.4 * (@times - 1), 'at the pace of poll_interval');
cmp_ok(scalar $api->requests(watch => 1), '<=', 3, 'and seldom asks whether it may watch');
is(status_of($node)->{state}, 'update_available', 'that is no trouble to report');

$api->patch_spec('db1', schemaVersion => '0.101.0');
wait_for_state($node, 'up_to_date');
is(status_of($node)->{installed_version}, '0.101-0', 'the schema follows');
$api->patch_spec('db1', schemaVersion => '');
wait_for_state($node, 'update_available');

$api->deny('list dbs');
unharmed($node, $api, 'polling without a right to list', sub { });
unharmed($node, $api, 'errors while polling', sub {
	$api->fault(times => 3, status => 500);
	wait_for_state($node, 'waiting', qr/500/);
	poll_until(sub { $api->faults_left == 0 }, 'the worker asks on');
});
is(status_of($node)->{worker_pid}, $pid, 'all that in one process');

# Allowed again, it watches.
$api->allow("$_ dbs") foreach qw(list watch);
$api->drop_connections;
$node->restart;
wait_for_watch($api);
still_follows($node, $api, 'a start with the right to watch');

# Taken away while a watch is open.
$api->deny('watch dbs');
$api->watch_stop('end');
still_follows($node, $api, 'a right to watch that goes');

done_testing();
