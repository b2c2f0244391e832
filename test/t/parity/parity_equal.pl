# Equal is equal: whatever the tables look like, however they are read, with
# either algorithm, and after a dump and restore that has put the rows and
# columns elsewhere.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use Test::More;

my ($blue, $green) = two_servers('');
sql($blue, q{
	CREATE SCHEMA "Odd ""s'";
	CREATE TABLE many (gone int, id int PRIMARY KEY, body text);
	INSERT INTO many SELECT 0, g, repeat('x', g % 50) FROM generate_series(1, 60000) g;
	UPDATE many SET body = body || 'y' WHERE id % 7 = 0;
	ALTER TABLE many DROP gone;
	CREATE TABLE no_key (body text);
	INSERT INTO no_key SELECT repeat('z', 100) || g FROM generate_series(1, 60000) g;
	INSERT INTO no_key SELECT * FROM no_key LIMIT 10;
	CREATE TABLE text_key (id text COLLATE "C" PRIMARY KEY, body int);
	INSERT INTO text_key SELECT g, g FROM generate_series(1, 30000) g;
	CREATE TABLE char_key (id char(8) PRIMARY KEY);
	INSERT INTO char_key SELECT g FROM generate_series(1, 20000) g;
	CREATE TABLE "Odd ""s'"."T 'a%b" ("Id ""x" numeric, "t" timestamptz, "%s" bytea, PRIMARY KEY ("Id ""x", "t", "%s"));
	INSERT INTO "Odd ""s'"."T 'a%b" SELECT g / 7.0, '2020-01-01'::timestamptz + g * interval '1 s', decode(lpad(to_hex(g), 8, '0'), 'hex') FROM generate_series(1, 20000) g;
	CREATE TABLE empty (id int PRIMARY KEY);
	CREATE TABLE no_columns ();
	INSERT INTO no_columns DEFAULT VALUES;
	CREATE TABLE computed (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED);
	INSERT INTO computed SELECT generate_series(1, 10);
	CREATE TABLE parent (id int PRIMARY KEY);
	CREATE TABLE child () INHERITS (parent);
	INSERT INTO parent VALUES (1);
	INSERT INTO child VALUES (2);
	CREATE TABLE parts (id int PRIMARY KEY, body text) PARTITION BY RANGE (id);
	CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
	CREATE TABLE part_2 PARTITION OF parts DEFAULT;
	INSERT INTO parts SELECT g, 'p' FROM generate_series(1, 300) g;
	CREATE TABLE wide (id bigint PRIMARY KEY, body text);
	ALTER TABLE wide ALTER body SET STORAGE EXTERNAL;
	INSERT INTO wide SELECT g, repeat(md5(g::text), 1000) FROM generate_series(1, 50) g;
	CREATE TYPE mood AS ENUM ('sad', 'happy');
	CREATE DOMAIN positive AS int CHECK (VALUE > 0);
	CREATE TABLE own_types (m mood, p positive, PRIMARY KEY (m, p));
	INSERT INTO own_types VALUES ('sad', 1), ('happy', 2);
	CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM many;
	CREATE MATERIALIZED VIEW not_populated AS SELECT 1 WITH NO DATA;
	CREATE UNLOGGED TABLE unlogged (id int);
	CREATE SEQUENCE s;
	SELECT nextval('s');
	CREATE SEQUENCE not_called;
	SELECT lo_from_bytea(0, 'contents')});
sql($blue, join ' ', map { "ALTER TABLE many ADD c$_ int DEFAULT $_;" } 1 .. 3);
sql($blue, 'CREATE TABLE very_wide (' . join(', ', map { "c$_ int" } 1 .. 150) . '); INSERT INTO very_wide (c7) VALUES (7)');

my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$blue->command_ok([ 'pg_dump', '--no-sync', '-f', $dump, $blue->connstr('postgres') ], 'pg_dump');
sql($green, 'DROP EXTENSION documentdb_upgrade');
$green->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $green->connstr('postgres') ], 'restore');

my @ways = (
	{},
	{ chunk => q{'5 ms'}, workers => 3 },
	{ algorithm => q{'sql'}, workers => 1 },
	{ algorithm => q{'sql'}, chunk => q{'5 ms'} });
foreach my $way (@ways)
{
	my $how = join ', ', map { "$_ $way->{$_}" } sort keys %$way;

	is(differences($blue, $green, %$way), '', "equal: $how");
	is(last_run($blue, 'state, equal, exact, row_count'), 'complete|t|f|' . (60000 + 60010 + 30000 + 20000 + 20000 + 1 + 10 + 2 + 300 + 50 + 2 + 1 + 1 + 1), "all of it was read: $how");
}
is(sql($blue, q{SELECT string_agg(table_name, ' ' ORDER BY table_name COLLATE "C") FROM documentdb_upgrade.parity_tables WHERE run = 4 AND strategy = 'range'}),
	q{T 'a%b computed empty many parent part_1 part_2 pg_largeobject text_key wide}, 'by ranges of the key where both have the same order');
is(sql($blue, q{SELECT string_agg(table_name, ' ' ORDER BY table_name COLLATE "C") FROM documentdb_upgrade.parity_tables WHERE run = 4 AND strategy = 'own'}),
	q{char_key child no_columns no_key own_types summary unlogged very_wide}, 'each side by itself elsewhere');
cmp_ok(sql($blue, q{SELECT min(chunks) FROM documentdb_upgrade.parity_tables WHERE run = 4 AND table_name IN ('many', 'no_key', 'text_key')}),
	'>', 3, 'in pieces');
is(sql($blue, q{SELECT count(*) FROM documentdb_upgrade.parity_tables a JOIN documentdb_upgrade.parity_tables b USING (schema_name, table_name)
	WHERE a.run = 1 AND b.run = 2 AND a.checksum <> b.checksum}), '0', 'the pieces make no difference');

# The same tables summed by themselves.
my $sums = q{SELECT schema_name, table_name, row_count, checksum FROM documentdb_upgrade.table_checksums(%s) ORDER BY 1, 2};
my $there = sql($green, sprintf $sums, '');
is(sql($blue, sprintf $sums, q{workers => 3, chunk => '5 ms'}), $there, 'table_checksums gives the same on both');
is(sql($blue, q{SELECT schema_name, table_name, row_count, checksum FROM documentdb_upgrade.parity_tables WHERE run = 1 ORDER BY 1, 2}), $there, 'which is that of the comparison');
like($there, qr/^public\|empty\|0\|0{32}$/m, 'no row is zero');
is(sql($blue, q{SELECT string_agg(table_name, ' ' ORDER BY table_name COLLATE "C") FROM documentdb_upgrade.parity_tables
	WHERE run = (SELECT max(id) FROM documentdb_upgrade.parity_runs) AND strategy = 'ctid'}), 'child no_columns no_key own_types summary unlogged very_wide', 'without a key by blocks');
processes_gone($_, 'nothing is left') foreach $blue, $green;
done_testing();
