# Collections of the real DocumentDB: documents are hashed by the bytes of their
# BSON, so that what differs in type alone differs, and what pg_dump carries
# over is the same.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my ($blue, $green) = map { documentdb_node($_) } qw(blue green);
install_documentdb($_, BINARY) foreach $blue, $green;

sub document_checksum
{
	my $document = shift;
	return sql($blue, "SELECT documentdb_upgrade.record_checksum(ROW(\$json\$$document\$json\$::documentdb_core.bson))");
}

# Documents that are easily taken for one another.
my %seen;
foreach (
	'{"a": {"$numberInt": "1"}}', '{"a": {"$numberDouble": "1.0"}}', '{"a": {"$numberLong": "1"}}', '{"a": {"$numberDecimal": "1"}}',
	'{"a": {"$numberDecimal": "1.0"}}', '{"a": "1"}', '{"a": true}', '{"a": [1]}', '{"a": {"$numberDouble": "0.0"}}', '{"a": {"$numberDouble": "-0.0"}}',
	'{"a": null}', '{}', '{"a": {}}', '{"a": []}', '{"a": 1, "b": 2}', '{"b": 2, "a": 1}', '{"a": {"$date": {"$numberLong": "1"}}}', '{"a": {"$timestamp": {"t": 0, "i": 1}}}')
{
	my $checksum = document_checksum($_);
	is($seen{$checksum}, undef, "$_ has a checksum of its own");
	$seen{$checksum} = $_;
}
is(document_checksum('{"a": 1}'), document_checksum('{"a":{"$numberInt":"1"}}'), 'the same document has the same');
like(sql($blue, q{SELECT documentdb_upgrade.record_checksum(ROW(NULL::documentdb_core.bsonquery, NULL::documentdb_core.bsonsequence))}),
	qr/^[0-9a-f]{32}$/, 'its kin are known too');

# A collection, with documents small and large.
bson_sql($blue, q{
	SELECT documentdb_api.create_collection('db', 'things');
	SELECT documentdb_api.insert_one('db', 'things', format('{"_id": %s, "n": %s, "s": "%s"}', i, i * 1.5, repeat(md5(i::text), i))::documentdb_core.bson)
	FROM generate_series(1, 300) i});
my $table = sql($blue, q{SELECT 'documentdb_data.documents_' || collection_id FROM documentdb_api_catalog.collections WHERE collection_name = 'things'});
my $checksum = "SELECT count(*), documentdb_upgrade.row_checksum(t.*) FROM $table t";
my $before = sql($blue, $checksum);
like($before, qr/^300\|(?!0{32})[0-9a-f]{32}$/, 'a collection has a checksum');
is(sql($blue, $checksum), $before, 'which stays');

my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$blue->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-t', $table, $blue->connstr('postgres') ], 'pg_dump');
$green->command_ok([ 'pg_restore', '--section=pre-data', '--section=data', '-d', $green->connstr('postgres'), $dump ], 'pg_restore');
is(sql($green, $checksum), $before, 'the restored collection has it too');

# From an integer to a double of the same value, and back.
my $set = q{SELECT documentdb_api.update('db', '{"update": "things", "updates": [{"q": {"_id": 7}, "u": {"$set": {"n": %s}}}]}')};
bson_sql($blue, sprintf $set, '{"$numberInt": "10"}');
my $integer = sql($blue, $checksum);
isnt($integer, $before, 'a changed document shows');
bson_sql($blue, sprintf $set, '{"$numberDouble": "10.0"}');
isnt(sql($blue, $checksum), $integer, 'an integer that becomes a double shows');
like(bson_sql($blue, q{SELECT document FROM documentdb_api_catalog.bson_aggregation_find('db', '{"find": "things", "filter": {"n": {"$numberInt": "10"}}}')}),
	qr/^\{ "_id" : \{ "\$numberInt" : "7" \}, "n" : \{ "\$numberDouble" : "10.0" \}/, 'though a query for the one finds the other');
bson_sql($blue, sprintf $set, '{"$numberDouble": "10.5"}');
is(sql($blue, $checksum), $before, 'the value of before has the checksum of before');

done_testing();
