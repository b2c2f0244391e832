# Answers that make no sense are not acted on.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
my $real = $api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api);
my %json = (status => 200, headers => { 'Content-Type' => 'application/json' });

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');

# What reads and watches are answered with; the true answer says "auto".
my %answers = (
	'JSON that stops early' => { %json, body => '{"apiVersion":"documentdb.io/preview","kind":"DocumentDB","metadata":{"name":"db1"' },
	'something that is no JSON' => { %json, body => "<html>Bad gateway</html>\n" },
	'an empty answer' => { %json, body => '' },
	'JSON that is no object' => { %json, body => '["auto"]' },
	'another media type' => { status => 200, headers => { 'Content-Type' => 'text/html' }, body => JSON::PP::encode_json($real) },
	'an answer cut short' => { cut => 150, then => 'close' },
	'JSON nested too deep' => { %json, body => '[' x 100_000 },
	'bytes that are no text' => { %json, body => "{\"spec\":{\"schemaVersion\":\"\0\1\2\"" },
);

foreach my $name (sort keys %answers)
{
	outage($node, $api,
		name => $name,
		cause => sub {
			$api->fault(%{ $answers{$name} }, times => 1000, method => 'GET', watch => 0);
			$api->fault(status => 500, times => 1, watch => 1);
			$api->patch_spec('db1', schemaVersion => 'auto');
		},
		cure => sub { $api->patch_spec('db1', schemaVersion => '') },
		says => $name eq 'an answer cut short' ? qr/cannot be reached/ : qr/answer is not (?:a custom resource|JSON)/);
}

# A resource that is another's, or says what no version is.
foreach my $version ('1.0.0; DROP TABLE x', 'latest', '1' x 5000, '-1.0.0')
{
	my $name = 'schemaVersion ' . substr $version, 0, 30;

	unharmed($node, $api, $name, sub {
		$api->patch_spec('db1', schemaVersion => $version);
		wait_for_status($node, sub { $_[0]->{state} =~ /^(?:blocked|waiting)$/ }, "$name is refused");
		is(status_of($node)->{installed_version}, '0.100-0', "$name is refused");
		$api->patch_spec('db1', schemaVersion => '');
	});
}

done_testing();
