# An API server that fails, is away, answers too slowly or too much is waited
# for: nothing runs, status says why, and the worker is none the worse.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api);
my $wish = sub { $api->patch_spec('db1', schemaVersion => 'auto') };
my $no_wish = sub { $api->patch_spec('db1', schemaVersion => '') };

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');

# Each with a wish that must not be acted on meanwhile.
outage($node, $api,
	name => 'errors of the server',
	cause => sub { $api->fault(times => 1000, status => 500, json => { kind => 'Status', code => 500, message => 'etcdserver: leader changed' }); $wish->() },
	cure => $no_wish,
	says => qr/500/);
outage($node, $api,
	name => 'an unavailable server',
	cause => sub { $api->fault(times => 1000, status => 503, body => "service unavailable\n"); $wish->() },
	cure => $no_wish,
	says => qr/503/);
outage($node, $api,
	name => 'a server that is away',
	cause => sub { $api->watch_stop('end'); $api->go_down; $wish->() },
	cure => sub { $no_wish->(); $api->come_up },
	says => qr/connect/i);
outage($node, $api,
	name => 'connections that are reset',
	cause => sub { $api->fault(times => 1000, instead => 'reset'); $wish->() },
	cure => $no_wish,
	says => qr/reset|connection|receive/i);
outage($node, $api,
	name => 'connections that are closed without an answer',
	cause => sub { $api->fault(times => 1000, instead => 'close'); $wish->() },
	cure => $no_wish,
	says => qr/empty|closed|connection|receive/i);
outage($node, $api,
	name => 'an answer of 100 MB',
	cause => sub { $api->fault(times => 1000, status => 200, size => 100_000_000, headers => { 'Content-Type' => 'application/json' }); $wish->() },
	cure => $no_wish,
	says => qr/large|big|MiB|MB|bytes/i);

done_testing();
