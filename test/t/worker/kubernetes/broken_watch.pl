# A watch that breaks is taken up where it was; what it says half, twice, too
# late or wrongly does no harm.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use JSON::PP qw(encode_json);
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api, conf => 'documentdb_upgrade.report_status = off');

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');
wait_for_watch($api);

# An event as the server would send it, of a spec that the server has not.
sub event
{
	my ($type, %changes) = @_;
	my $object = $api->resource('db1');

	$object->{spec}{schemaVersion} = $changes{version} if defined $changes{version};
	$object->{metadata}{$_} = $changes{$_} foreach grep { $_ ne 'version' } keys %changes;
	return encode_json({ type => $type, object => $object }) . "\n";
}

# Waits for a watch that is opened after the last mark; gives its request.
sub next_watch
{
	my $request;
	poll_until(sub { ($request) = $api->requests(watch => 1); return $request && $api->watches }, 'a watch is open again');
	return $request;
}

foreach my $how (qw(reset close end))
{
	my $version = $api->put_resource('db1', metadata => { labels => { how => $how } })->{metadata}{resourceVersion};

	unharmed($node, $api, "a stream that ends by $how", sub {
		$api->mark;
		$api->watch_send(substr event('MODIFIED', version => '66.0.0'), 0, 200) if $how ne 'end';
		$api->watch_stop($how);
		my $request = next_watch();
		is($request->{query}{resourceVersion}, $version, 'it is taken up where it was');
		is($request->{query}{fieldSelector}, 'metadata.name=db1', 'for the one resource');
		is(scalar $api->requests(method => 'GET', watch => 0), 0, 'without reading all anew');
	});
	wait_for_watch($api);
}

unharmed($node, $api, 'a bookmark', sub {
	$api->put_resource('other');
	my $version = $api->put_resource('another')->{metadata}{resourceVersion};
	$api->bookmark;
	$api->mark;
	$api->watch_stop('end');
	is(next_watch()->{query}{resourceVersion}, $version, 'a bookmark says where to take up a watch');
});

wait_for_watch($api);
unharmed($node, $api, 'lines in pieces', sub {
	$api->watch_send(event('MODIFIED', version => '66.1.0', generation => 1000, resourceVersion => '999999') . event('MODIFIED', version => '66.2.0', generation => 1001, resourceVersion => '1000000'), 7);
	wait_for_status($node, sub { $_[0]->{desired} eq '66.2.0' }, 'lines in pieces are put together');
	is(status_of($node)->{desired}, '66.2.0', 'lines in pieces are put together');

	# A bookmark after it tells when it was seen.
	my $contact = status_of($node)->{last_contact};
	$api->watch_send(event('MODIFIED', version => '66.3.0', generation => 5));
	$api->bookmark;
	my $status = wait_for_status($node, sub { $_[0]->{last_contact} ne $contact }, 'a late event was seen');
	is($status->{desired}, '66.2.0', 'an event that comes too late is ignored');
	$api->recreate_resource('db1');
});

my %nonsense = (
	'a line that is no JSON' => "this is no JSON\n",
	'a line of an unknown type' => qq({"type":"SURPRISE","object":{}}\n),
	'an event without an object' => qq({"type":"MODIFIED"}\n),
	'an event of another name' => event('MODIFIED', version => '66.5.0', name => 'db2', generation => 5000),
	'empty lines' => "\n\n\n",
	'a line without end' => '{"type":"MODIFIED","object":{"x":"' . ('x' x 6_000_000));

foreach my $name (sort keys %nonsense)
{
	wait_for_watch($api);
	unharmed($node, $api, $name, sub { $api->watch_send($nonsense{$name}) });
	is(status_of($node)->{installed_version}, '0.100-0', "and nothing came of $name");
}

done_testing();
