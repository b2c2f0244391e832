# The small extension for the other server computes the same checksums, has its
# own setting, and lives beside the main one in a server that loads both.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', preload => 'documentdb_upgrade, documentdb_upgrade_parity');

sql($node, q{CREATE DATABASE elsewhere TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
sql($node, 'CREATE EXTENSION documentdb_upgrade');
sql($node, 'CREATE EXTENSION documentdb_upgrade_parity', 'elsewhere');

# What pg_regress sees of the one must come of the other.
my ($expected, $got) = (slurp_file("$ENV{DU_SOURCE}/expected/checksum_vectors.out"), '');
$node->psql('elsewhere', slurp_file("$ENV{DU_SOURCE}/test/sql/checksum_vectors.sql"), stdout => \$got, extra_params => [ '-a', '-P', 'format=aligned', '-P', 'tuples_only=off' ]);
my @expected = $expected =~ /\b([0-9a-f]{32})\b/g;
my @got = $got =~ /\b([0-9a-f]{32})\b/g;
cmp_ok(scalar @expected, '>', 150, 'there are known values');
is_deeply(\@got, \@expected, 'and the small extension agrees on all of them');

# Both in one session.
sql($node, 'CREATE EXTENSION documentdb_upgrade_parity');
is(sql($node, q{SELECT documentdb_upgrade.row_checksum(a) = documentdb_upgrade_parity.row_checksum(a) FROM pg_am a}), 't', 'one session uses both');
sql($node, q{
	CREATE TYPE odd;
	CREATE FUNCTION odd_in(cstring) RETURNS odd LANGUAGE internal IMMUTABLE STRICT AS 'textin';
	CREATE FUNCTION odd_out(odd) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
	CREATE TYPE odd (INPUT = odd_in, OUTPUT = odd_out, LIKE = text)});
foreach (
	[ 'documentdb_upgrade', 'documentdb_upgrade.parity_text_types', 'documentdb_upgrade_parity' ],
	[ 'documentdb_upgrade_parity', 'documentdb_upgrade_parity.text_types', 'documentdb_upgrade' ])
{
	my ($schema, $setting, $other) = @$_;
	my $refused = try_sql($node, "SELECT $schema.record_checksum(ROW('x'::odd))");
	is($refused->{sqlstate}, '0A000', "$schema refuses a type that it does not know");
	like($refused->{hint}, qr/"\Q$setting\E"/, 'and names its setting');
	ok(try_sql($node, "SET $setting = odd; SELECT $schema.record_checksum(ROW('x'::odd))")->{ok}, 'which is obeyed');
	is(try_sql($node, "SET $setting = odd; SELECT $other.record_checksum(ROW('x'::odd))")->{sqlstate}, '0A000', 'but not by the other');
	is(try_sql($node, "SET $setting = 'a b'")->{sqlstate}, '22023', 'and must be a list of names');
}
is(sql($node, q{SET documentdb_upgrade.parity_text_types = odd; SET documentdb_upgrade_parity.text_types = odd;
	SELECT documentdb_upgrade.record_checksum(ROW('x'::odd)) = documentdb_upgrade_parity.record_checksum(ROW('x'::odd))}),
	't', 'vouched for in both, it is the same');
is(try_sql($node, 'SET documentdb_upgrade_parity.no_such = 1')->{sqlstate}, '42602', 'there are no settings beside it');

# Anybody can use it, and nobody else's role is needed to compare.
sql($node, 'CREATE ROLE plain LOGIN');
ok(try_sql($node, 'SELECT documentdb_upgrade_parity.row_checksum(a) FROM pg_am a', user => 'plain')->{ok}, 'a plain role can use it');
is(sql($node, q{DROP EXTENSION documentdb_upgrade_parity; SELECT count(*) FROM pg_namespace WHERE nspname = 'documentdb_upgrade_parity'}),
	'0', 'nothing stays behind');

done_testing();
