# When the server has forgotten where a watch was (410, either way), the
# worker lists and watches from there.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api, conf => 'documentdb_upgrade.report_status = off');
my %gone = (kind => 'Status', apiVersion => 'v1', status => 'Failure', reason => 'Expired', code => 410,
	message => 'too old resource version: 7 (4711)');

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');

my %ways = (
	'410 as the first line of a watch' => sub { $api->compact; $api->drop_connections },
	'410 as an answer' => sub { $api->fault(watch => 1, status => 410, json => \%gone); $api->watch_stop('end') },
	'410 in the middle of a watch' => sub {
		$api->compact;
		$api->watch_send(JSON::PP::encode_json({ type => 'ERROR', object => \%gone }) . "\n");
		$api->watch_stop('end');
	});

foreach my $way (sort keys %ways)
{
	wait_for_watch($api);
	# A change that this watch is not told, so its version becomes too old.
	my $version = $api->put_resource('other', metadata => { labels => { way => $way } })->{metadata}{resourceVersion};
	unharmed($node, $api, $way, sub {
		my (@lists, @watches);

		$api->mark;
		$ways{$way}->();
		poll_until(sub {
			@lists = grep { $_->{path} =~ m{/dbs$} && !$_->{watch} } $api->requests(method => 'GET');
			@watches = $api->requests(watch => 1);
			return @lists && @watches && $watches[-1]{query}{resourceVersion} eq $version && $api->watches;
		}, "after $way there is a list, and a watch that begins at its version");
		is($lists[0]{query}{fieldSelector}, 'metadata.name=db1', 'the list is of the one resource');
		is($watches[-1]{query}{resourceVersion}, $version, "and the watch begins at the list's version");
		cmp_ok(scalar(@lists) + @watches, '<=', 4, 'with few requests');
	});
}
is(status_of($node)->{state}, 'update_available', 'all that is no trouble to report');

# Without a right to list, reading the resource serves.
$api->deny('list dbs');
wait_for_watch($api);
unharmed($node, $api, '410 without a right to list', sub { $api->compact; $api->drop_connections });

done_testing();
