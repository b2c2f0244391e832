# An idle worker asks the API server less than 15 times an hour at the default
# pace, which is what a watch and a read per resync_interval make.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api, conf => q{documentdb_upgrade.resync_interval = '2s'});

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');
my $pid = worker_pid($node);
ok(poll_until(sub { ($api->condition('db1', 'SchemaSettled') // {})->{reason} }, 'all is reported'), 'all is reported');
wait_for_watch($api);

# Six intervals, counted by their watches, after the last word of the start.
$api->mark;
poll_until(sub { $api->requests(watch => 1) >= 2 }, 'an interval passes');
$api->mark;
my $before = memory_of($pid);
ok(poll_until(sub { $api->requests(watch => 1) >= 7 }, 'six intervals pass'), 'six intervals pass');
my @requests = $api->requests;
my @watches = grep { $_->{watch} } @requests;
my $seconds = $watches[-1]{time} - $watches[0]{time};
my $intervals = $#watches;

cmp_ok($seconds, '>', 1.8 * $intervals, 'an interval is as long as it should be');
is($watches[0]{query}{timeoutSeconds}, 2, 'because the watch asks for that');
is($watches[0]{query}{allowWatchBookmarks}, 'true', 'and for bookmarks');
is(scalar(grep { $_->{method} ne 'GET' } @requests), 0, 'nothing is written while nothing changes');
my $per_hour = 6 * (grep { $_->{time} >= $watches[0]{time} && $_->{time} < $watches[-1]{time} } @requests) / $intervals;
cmp_ok($per_hour, '<', 15, 'that makes less than 15 requests an hour at ten minutes an interval') or diag($per_hour);
is(sql($node, q{SELECT boot_val FROM pg_settings WHERE name = 'documentdb_upgrade.resync_interval'}), 10 * 60 * 1000, 'which is the default');
has_not_grown($pid, $before, 1024, 'and costs no memory');
cmp_ok($api->counts->{accepted}, '<', 3 + @requests, 'connections are used again');

done_testing();
