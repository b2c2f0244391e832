# Whatever comes in as a resource or a review, an answer goes out, or the server's own
# input function refuses it with a SQLSTATE; the session goes on.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use JSON::PP;
use Test::More;

my $node = new_node('main');
sql($node, 'CREATE EXTENSION documentdb_upgrade');
my $session = DocumentdbUpgrade::Session->new($node);

my %resource = (apiVersion => 'documentdb.io/preview', kind => 'DocumentDB',
	metadata => { name => 'mydb', annotations => { 'documentdb.io/schema-version' => '0.112.0' } },
	spec => {
		schemaVersion => 'auto', documentDBVersion => '0.113.0', image => { documentDB => 'd:0.113.0' },
		advanced => { documentDBImage => 'd:0.113.0' }, documentDBImage => 'd:0.113.0',
		clusterReplication => { clusterList => [ { name => 'a' }, { name => 'b' } ] },
		bootstrap => { recovery => { backup => { name => 'b1' }, persistentVolume => { name => '' } } } },
	status => { schemaVersion => '0.112.0' });
my $review = { apiVersion => 'admission.k8s.io/v1', kind => 'AdmissionReview',
	request => { uid => 'u-1', operation => 'UPDATE', object => \%resource, oldObject => \%resource,
		kind => { group => 'documentdb.io', version => 'preview', kind => 'DocumentDB' } } };
my $text = encode_json($review);

# A review as a literal; the answer's response, or the SQLSTATE.
sub answer
{
	my ($json) = @_;
	my $result = $session->run("SELECT documentdb_upgrade.admission_review(\$json\$$json\$json\$)->'response'");
	return $result->{ok} ? decode_json($result->{stdout}) : $result->{sqlstate};
}

sub with_request { return encode_json({ %$review, request => { %{ $review->{request} }, @_ } }); }

is_deeply(answer($text), { uid => 'u-1', allowed => JSON::PP::true, warnings => answer($text)->{warnings} }, 'the review that the others are made of is allowed');

# Every value of it replaced by each of these, and removed.
sql($node, q{
	CREATE FUNCTION paths(doc jsonb, prefix text[] DEFAULT '{}') RETURNS SETOF text[] LANGUAGE sql AS $$
		SELECT prefix WHERE prefix <> '{}'
		UNION ALL
		SELECT p FROM jsonb_each(CASE jsonb_typeof(doc) WHEN 'object' THEN doc ELSE '{}' END) e, paths(e.value, prefix || e.key) p
		UNION ALL
		SELECT p FROM jsonb_array_elements(CASE jsonb_typeof(doc) WHEN 'array' THEN doc ELSE '[]' END) WITH ORDINALITY e(value, n),
			paths(e.value, prefix || (e.n - 1)::text) p
	$$;
	CREATE TABLE bad (value jsonb);
	INSERT INTO bad VALUES ('null'), ('true'), ('7'), ('-1e300'), ('""'), ('"x"'), ('"0.1.0"'), ('"a@sha256:"'), ('[]'), ('[null]'), ('[[{}]]'), ('{}'), ('{"name": 1}')});
my $judged = $session->run(qq{
	SELECT count(*), count(*) FILTER (WHERE NOT allowed),
		count(*) FILTER (WHERE response->'uid' IS NULL OR jsonb_typeof(response->'allowed') <> 'boolean'
			OR allowed = (response ? 'status')
			OR NOT allowed AND ((response->'status'->>'code')::int NOT IN (400, 422) OR response->'status'->>'message' = '')
			OR EXISTS (SELECT FROM jsonb_array_elements_text(coalesce(response->'warnings', '[]')) w WHERE octet_length(w) > 255 OR w ~ '[[:cntrl:]]'))
	FROM (SELECT documentdb_upgrade.admission_review(changed)->'response' AS response
		FROM (SELECT '$text'::jsonb AS doc) d, paths(doc) p,
			LATERAL (SELECT jsonb_set(doc, p, value) FROM bad UNION ALL SELECT doc #- p) c(changed)) r,
		LATERAL (SELECT (response->>'allowed')::boolean AS allowed) a});
ok($judged->{ok}, 'no wrong type anywhere raises an error') or diag($judged->{stderr});
my ($all, $denied, $broken) = split /\|/, $judged->{stdout};
cmp_ok($all, '>', 500, "so many were tried: $all");
cmp_ok($denied, '>', 100, "so many were denied: $denied");
is($broken, 0, 'each answer is complete');
$judged = $session->run(qq{
	SELECT count(*) FROM (SELECT '$text'::jsonb->'request'->'object' AS doc) d, paths(doc) p, bad b, bad o,
		LATERAL documentdb_upgrade.validate_spec(jsonb_set(doc, p, b.value), jsonb_set(doc, p, o.value)) e
	WHERE e.field IS NULL OR e.type NOT IN ('Invalid', 'TypeInvalid', 'Forbidden') OR e.detail = ''});
is($judged->{stdout}, '0', 'nor does validate_spec, and each error is complete') or diag($judged->{stderr});

# Size.
my $large = answer(with_request(object => { %resource, spec => { x => 'y' x (10 * 1024 * 1024) } }));
is_deeply([ @$large{qw(uid allowed)}, $large->{status}{code}, $large->{status}{reason} ], [ 'u-1', JSON::PP::false, 413, 'RequestEntityTooLarge' ],
	'a review of 10 MB is denied, by its uid');
is(answer(with_request(object => { %resource, x => 'y' x (3 * 1024 * 1024) }, oldObject => { %resource, x => 'y' x (3 * 1024 * 1024) }))->{allowed},
	JSON::PP::true, 'an update of the largest that an API server takes is judged');
is($session->run(q{SELECT type, detail FROM documentdb_upgrade.validate_spec(jsonb_build_object('spec', repeat('y', 10 * 1024 * 1024)))})->{stdout},
	'TooLong|may not be more than 4194304 bytes', 'validate_spec refuses 10 MB');
is($session->run(q{SELECT field, type FROM documentdb_upgrade.validate_spec('{}', jsonb_build_object('spec', repeat('y', 10 * 1024 * 1024)))})->{stdout},
	'oldObject|TooLong', 'also of what was before');
my $long = answer(with_request(object => { %resource, metadata => { name => 'n' x 1e6 }, spec => { schemaVersion => 'v' x 1e6 } }));
is($long->{allowed}, JSON::PP::false, 'long values are refused');
cmp_ok(length encode_json($long), '<', 5000, 'and not repeated in full');
is($session->run(q{CREATE TABLE toasted AS SELECT jsonb_build_object('spec', repeat('y', 5000000)) AS r})->{ok}, 1, 'a table');
is($session->run(q{SELECT type FROM toasted, documentdb_upgrade.validate_spec(r)})->{stdout}, 'TooLong', 'what is compressed is measured as it is');

# Depth.
is(answer('[' x 100_000), '54001', 'nesting that the stack cannot hold is refused by the input function');
is(answer(sprintf '{"request": %s1%s}', '{"a":' x 1_000_000, '}' x 1_000_000), '54001', 'however deep');
my $deep = ('[' x 3000) . (']' x 3000);
(my $nested = $text) =~ s/("recovery":)/$1$deep,"x":/;
is(answer($nested)->{status}{code}, 422, 'what the stack can hold is judged');
is($session->run(qq{SELECT count(*) FROM documentdb_upgrade.validate_spec('{"spec": {"bootstrap": {"x": $deep}}}', '{"spec": {"bootstrap": {"x": $deep}}}')})->{stdout},
	'0', 'and compared');

# What is no JSON, or no text.
is(answer('{"request": '), '22P02', 'JSON that ends too early');
is(answer(''), '22P02', 'nothing');
is(answer('{"request": "\ud800"}'), '22P02', 'half a character');
is(answer('{"request": "\u0000"}'), '22P05', 'a zero character');
is(answer("{\"request\": \"\xff\"}"), '22021', 'a byte that is no UTF-8');
is(answer('{"request": 1e1000000}'), '22003', 'a number without end');
(my $twice = $text) =~ s/"uid":"u-1"/"uid":"first","uid":"u-2"/;
is(answer($twice)->{uid}, 'u-2', 'of two equal keys the last one counts, as for API servers');
is($session->run('SELECT documentdb_upgrade.admission_review(NULL)')->{stdout} =~ /"allowed": false/, 1, 'a null is denied');
is($session->run('SELECT type FROM documentdb_upgrade.validate_spec(NULL, NULL)')->{stdout}, 'Required', 'and refused');
is(answer($text)->{allowed}, JSON::PP::true, 'the session has survived all that');

# Another encoding.
sql($node, q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'});
sql($node, 'CREATE EXTENSION documentdb_upgrade', 'latin');
like(sql($node, q{SET client_encoding = 'UTF8'; SELECT string_agg(detail, ' ') FROM documentdb_upgrade.validate_spec(
	'{"spec": {"documentDBVersion": "0.1.0", "schemaVersion": "\u00f6"}}', '{"status": {"schemaVersion": "0.2.0"}}')}, 'latin'),
	qr/image rollback blocked/, 'messages are for every encoding');

done_testing();
