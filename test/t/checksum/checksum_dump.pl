# A dump and its restore keep the checksum of every table, whatever types it
# has; a change of one value in the copy does not.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');

foreach my $dbname (qw(original copy))
{
	sql($node, "CREATE DATABASE $dbname TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'");
	sql($node, 'CREATE EXTENSION documentdb_upgrade', $dbname);
}
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$ENV{DU_SOURCE}/test/fixtures/every_type.sql", $node->connstr('original') ],
	'tables with a column of every type');

# Name, rows and checksum of each table; those of columns_checksum agree.
sub checksums
{
	my $dbname = shift;
	my @queries = split /\n/, sql($node, q{
		SELECT format('SELECT %L, count(*), documentdb_upgrade.row_checksum(t.*), %s FROM every.%I t', relname,
			coalesce('documentdb_upgrade.row_checksum(t.*) = documentdb_upgrade.columns_checksum(NULL::every.' || quote_ident(relname) || ', ' ||
				(SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
				 WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) || ')', 'true'), relname)
		FROM pg_class c WHERE relnamespace = 'every'::regnamespace AND relkind = 'r' ORDER BY relname}, $dbname);
	return map { sql($node, $_, $dbname) } @queries;
}

# Types that a table can have, and none of these has.
is(sql($node, q{
	SELECT string_agg(typname, ' ' ORDER BY typname) FROM pg_type t
	WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typelem = 0
	  AND NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON a.attrelid = c.oid
		WHERE c.relnamespace = 'every'::regnamespace AND NOT a.attisdropped AND a.atttypid IN (t.oid, t.typarray))}, 'original'),
	'datemultirange gtsvector pg_brin_bloom_summary pg_brin_minmax_multi_summary pg_dependencies pg_mcv_list pg_ndistinct'
	  . ' pg_node_tree tsmultirange tstzmultirange', 'every built-in type is there');

my @before = checksums('original');
cmp_ok(scalar @before, '>=', 9, 'there are tables');
is_deeply([ grep { !/\|t$/ } @before ], [], 'row by row and column by column are the same');

my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-n', 'every', $node->connstr('original') ], 'pg_dump');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('copy'), $dump ], 'pg_restore');
is_deeply([ checksums('copy') ], \@before, 'the copy has the same checksums');

# One value in each table, by a difference that is easily overlooked.
sql($node, $_, 'copy') foreach (
	q{UPDATE every.numbers SET f8 = '0' WHERE id = 2},
	q{UPDATE every.times SET iv = '1 mon -0.000001 s' WHERE id = 1},
	q{UPDATE every.strings SET by = overlay(by PLACING '\xac' FROM 99999) WHERE id = 4},
	q{UPDATE every.places SET po = '(0,0)' WHERE id = 1},
	q{UPDATE every.names SET rpr = 'substr(bytea,int)' WHERE id = 1},
	q{UPDATE every.composed SET ia[10000] = NULL WHERE id = 3},
	q{UPDATE every.places_in_tables SET "Later" = 1.5 WHERE kept = 100},
	q{UPDATE every.since_14 SET n = 'NaN' WHERE id = 1},
	q{INSERT INTO every.nothing DEFAULT VALUES},
	q{INSERT INTO every.empty_table VALUES (NULL)});
my @after = checksums('copy');
foreach my $i (0 .. $#before)
{
	my ($name, undef, $checksum) = split /\|/, $before[$i];
	unlike($after[$i], qr/$checksum/, "a change in $name shows");
}

# The stored form of numeric is read as numeric_send() reads it, except that it
# takes the mark of an infinity for a scale.
sql($node, q{CREATE FUNCTION numeric_form(numeric) RETURNS bytea LANGUAGE c STRICT AS 'numeric_form_stub', 'numeric_form'}, 'original');
is(sql($node, q{
	CREATE TABLE numerics AS
		SELECT (CASE i % 3 WHEN 0 THEN 1 ELSE -1 END * random()::numeric * 10::numeric ^ (random() * 600 - 300)::int)::numeric AS n FROM generate_series(1, 20000) i
		UNION ALL SELECT (random() * 1e6)::numeric(12, 2) FROM generate_series(1, 10000)
		UNION ALL SELECT i::numeric / 1000 FROM generate_series(-1000, 1000) i
		UNION ALL SELECT trim_scale(10::numeric ^ i) FROM generate_series(-500, 500) i
		UNION ALL SELECT nu FROM every.numbers UNION ALL SELECT n FROM every.since_14
		UNION ALL VALUES (repeat('9', 131072)::numeric), (('0.' || repeat('0', 16382) || '1')::numeric), (0.0000000000000000::numeric), (1e-64), (1e63), (1e256);
	SELECT count(*) FILTER (WHERE numeric_form(n) IS DISTINCT FROM numeric_send(n) AND n NOT IN ('Infinity', '-Infinity')), count(*) > 30000 FROM numerics}, 'original'),
	'0|t', 'numeric values are read as numeric_send() does');

done_testing();
