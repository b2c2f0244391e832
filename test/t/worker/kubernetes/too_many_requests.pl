# An API server that has too much to do is left alone for as long as it asks.
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
wait_for_watch($api);

# The pauses between the reads that met a fault, and until the next.
sub pauses_of_faults
{
	my @times;

	poll_until(sub {
		my @reads = $api->requests(method => 'GET');
		shift @reads while @reads && !$reads[0]{fault};
		@times = map { $_->{time} } @reads;
		return !$api->faults_left && @reads && !$reads[-1]{fault};
	}, 'the worker asks again');
	return map { $times[ $_ + 1 ] - $times[$_] } 0 .. $#times - 1;
}

unharmed($node, $api, 'too many requests', sub {
	$api->mark;
	$api->fault(method => 'GET', times => 2, status => 429, body => "Too many requests, please try again later.\n", headers => { 'Retry-After' => 4 });
	$api->watch_stop('end');
	wait_for_state($node, 'waiting', qr/429|too many/i);
	my @pauses = pauses_of_faults();
	cmp_ok($pauses[$_], '>', 3.5, 'the server is left alone as long as it asks') foreach 0, 1;
	cmp_ok($pauses[$_], '<', patience(10), 'and not much longer') foreach 0, 1;
});

# Without a word on how long, it is an error like any other.
outage($node, $api,
	name => 'too many requests without a time',
	cause => sub { $api->fault(times => 1000, status => 429, body => "Too many requests\n") },
	says => qr/429|too many/i);

# Failures are answered by longer and longer pauses.
$api->mark;
$api->fault(method => 'GET', times => 4, status => 500);
$api->watch_stop('end');
my @pauses = pauses_of_faults();
my $longest = (sort { $a <=> $b } @pauses)[-1];
cmp_ok($pauses[0], '<', patience(2), 'the first pause is short');
cmp_ok($longest, '>', 1.9, 'later ones are not') or diag("@pauses");
cmp_ok($longest, '<', patience(13), 'and none is longer than doubling makes it') or diag("@pauses");
still_follows($node, $api, 'all that');

done_testing();
