# Ten thousand events of a watch, some of them large, leave no trace in the
# worker's memory.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api);

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');

# The last event of a flood is the one that counts.
sub flood
{
	my $count = shift;
	wait_for_watch($api);
	$api->flood('db1', $count);
	return;
}

flood(500);
still_follows($node, $api, 'some events');
unharmed($node, $api, '10000 events', sub { flood(10_000) });
unharmed($node, $api, 'events of 1 MB', sub {
	foreach my $round (1 .. 5)
	{
		$api->annotate('db1', 'large', "$round" . ('x' x 1_000_000));
	}
	$api->annotate('db1', 'large', undef);
});
# Those that are not taken must go too.
my $late = $api->resource('db1');
$late->{metadata}{resourceVersion} = '1';
my $line = JSON::PP::encode_json({ type => 'MODIFIED', object => $late }) . "\n";
wait_for_watch($api);
unharmed($node, $api, '5000 late events', sub {
	$api->watch_send($line x 5000);
	$api->bookmark foreach 1 .. 500;
});

done_testing();
