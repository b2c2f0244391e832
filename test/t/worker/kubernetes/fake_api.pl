# The fake API server that the following tests rely on refuses what the real
# one refuses, and ends with the test.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Test;
use HTTP::Tiny;
use JSON::PP qw(decode_json encode_json);
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
my $dbs = '/apis/documentdb.io/preview/namespaces/lab/dbs';

sub ask
{
	my ($method, $path, $type, $body, $token) = @_;
	my $http = HTTP::Tiny->new(timeout => 60, verify_SSL => 1, SSL_options => { SSL_ca_file => $api->ca_file });
	my %headers = (Authorization => 'Bearer ' . ($token // $api->token), $type ? ('Content-Type' => $type) : ());
	my $answer;

	delete $headers{Authorization} if ($token // '') eq 'none';
	$answer = $http->request($method, $api->url . $path, { headers => \%headers, defined $body ? (content => $body) : () });
	$answer->{json} = eval { decode_json($answer->{content}) };
	return $answer;
}

my $merge = 'application/merge-patch+json';
my $apply = 'application/apply-patch+yaml';
my $created = $api->put_resource('db1', spec => { nodeCount => 1 });

is(ask('GET', "$dbs/db1")->{json}{metadata}{uid}, $created->{metadata}{uid}, 'a resource can be read');
is(ask('GET', "$dbs/db1", undef, undef, 'wrong')->{status}, 401, 'a wrong token is 401');
is(ask('GET', "$dbs/db1", undef, undef, 'none')->{status}, 403, 'no token is 403');
like(ask('GET', "$dbs/none")->{json}{message}, qr/"none" not found/, 'a missing resource is 404 with a Status');
is(ask('GET', '/apis/documentdb.io/v9/namespaces/lab/dbs')->{content}, "404 page not found\n", 'an unknown path is 404 without one');
is(ask('PATCH', "$dbs/db1", $merge, '{}')->{status}, 403, 'what no rule allows is 403');
is(ask('GET', "$dbs?fieldSelector=spec.x%3Dy")->{status}, 400, 'so is a selector on another field');

my $list = ask('GET', "$dbs?fieldSelector=metadata.name%3Ddb1")->{json};
is(scalar @{ $list->{items} }, 1, 'a list has the resource');
like($list->{metadata}{resourceVersion}, qr/^\d+$/, 'and a version');

my $patched = ask('PATCH', "$dbs/db1/status", $merge, '{"status":{"schemaVersion":"1.0.0","other":1},"spec":{"x":1}}');
is_deeply($patched->{json}{status}, { schemaVersion => '1.0.0' }, 'a status patch keeps known fields');
is_deeply($patched->{json}{spec}, { nodeCount => 1 }, 'and the spec as it is');
is($patched->{json}{metadata}{generation}, 1, 'and the generation');
is(ask('PATCH', "$dbs/db1/status", $merge, '{"status":{"schemaVersion":"1.0.0"}}')->{json}{metadata}{resourceVersion},
	$patched->{json}{metadata}{resourceVersion}, 'the same patch again changes nothing');
is(ask('PATCH', "$dbs/db1/status", $merge, '{"metadata":{"resourceVersion":"1"},"status":{}}')->{status}, 409, 'a stale one is 409');
is(ask('PATCH', "$dbs/db1/status", $merge, '{"status":{"schemaVersion":1}}')->{status}, 422, 'a number as a version is 422');
is(ask('PATCH', "$dbs/db1/status", $merge, '{"status":')->{status}, 400, 'malformed JSON is 400');
is(ask('PATCH', "$dbs/db1/status", 'application/json', '{}')->{status}, 415, 'a plain JSON patch is 415');

sub condition
{
	my ($manager, $status) = @_;
	my %object = (apiVersion => 'documentdb.io/preview', kind => 'DocumentDB', metadata => { name => 'db1' },
		status => { conditions => [ { type => 'T', status => $status, reason => 'R', message => '', lastTransitionTime => '2026-01-01T00:00:00Z' } ] });
	return ask('PATCH', "$dbs/db1/status" . ($manager ? "?fieldManager=$manager" : ''), $apply, encode_json(\%object));
}

is(condition('me', 'True')->{status}, 200, 'a condition is applied');
is(condition('you', 'False')->{status}, 409, 'another manager meets a conflict');
is(condition('you', 'True')->{status}, 200, 'not when it agrees');
is(condition('me', 'Perhaps')->{status}, 409, 'a shared field cannot be changed');
is(condition(undef, 'True')->{status}, 422, 'a field manager is needed');
$api->keep_conditions('undeclared');
like(condition('me', 'True')->{json}{message}, qr/field not declared in schema/, 'an undeclared list is 500');

my %event = (apiVersion => 'v1', kind => 'Event', metadata => { name => 'db1.1', namespace => 'lab' }, involvedObject => { namespace => 'lab' });
is(ask('POST', '/api/v1/namespaces/lab/events', 'application/json', encode_json(\%event))->{status}, 201, 'an Event is created');
is(ask('POST', '/api/v1/namespaces/lab/events', 'application/json', encode_json(\%event))->{status}, 409, 'once');
is(ask('PATCH', '/api/v1/namespaces/lab/events/db1.1', $merge, '{"count":2}')->{json}{count}, 2, 'and then counted');
$event{metadata}{name} = 'db1.2';
$event{involvedObject}{namespace} = 'elsewhere';
is(ask('POST', '/api/v1/namespaces/lab/events', 'application/json', encode_json(\%event))->{status}, 422, 'not for another namespace');

my $watch = ask('GET', "$dbs?watch=1&timeoutSeconds=1&resourceVersion=0&fieldSelector=metadata.name%3Ddb1");
is(decode_json($watch->{content})->{type}, 'ADDED', 'a watch tells what is there and ends in time');
$api->compact;
is(decode_json(ask('GET', "$dbs?watch=1&resourceVersion=7")->{content})->{object}{code}, 410, 'one from long ago is told 410');
$api->show_certificate('expired');
is(ask('GET', "$dbs/db1")->{status}, 599, 'an expired certificate is shown');
is(scalar $api->requests(method => 'POST'), 4 - 1, 'requests are logged');

my $pid = $api->{pid};
$api->stop;
ok(!kill(0, $pid), 'the server ends');

done_testing();
