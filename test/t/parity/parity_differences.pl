# Every kind of difference is found and named, with either algorithm.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use Test::More;

my ($blue, $green) = two_servers(q{
	CREATE TABLE same (id int PRIMARY KEY);
	CREATE TABLE here_only (id int);
	CREATE TABLE columns (a int, b text, c int);
	CREATE TABLE pairs (x int, y numeric, body text, PRIMARY KEY (x, y));
	INSERT INTO pairs SELECT g, g % 7, g FROM generate_series(1, 20000) g;
	CREATE TABLE texts (id text PRIMARY KEY, n int);
	INSERT INTO texts SELECT g, g FROM generate_series(1, 20000) g;
	CREATE TABLE bag (v text);
	INSERT INTO bag SELECT g % 5000 FROM generate_series(1, 20000) g;
	CREATE TABLE parts (id int PRIMARY KEY, v int) PARTITION BY HASH (id);
	CREATE TABLE part_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE part_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO parts SELECT g, g FROM generate_series(1, 100) g;
	CREATE TABLE long (id int PRIMARY KEY, v text);
	INSERT INTO long VALUES (1, repeat('a', 5000));
	CREATE SEQUENCE s_value; CREATE SEQUENCE s_called; CREATE SEQUENCE s_here;
	CREATE TABLE "Case" (id int);
	SELECT lo_create(4711);
});
sql($green, q{
	DROP TABLE here_only;
	CREATE TABLE there_only (id int);
	ALTER TABLE columns ALTER b TYPE varchar(5), DROP c;
	UPDATE pairs SET body = NULL WHERE x = 5;
	UPDATE pairs SET body = '' WHERE x = 6;
	UPDATE pairs SET y = 0.0 WHERE x = 7;
	DELETE FROM pairs WHERE x = 20000;
	INSERT INTO pairs VALUES (20001, 1);
	UPDATE texts SET n = -n WHERE id = '100';
	UPDATE texts SET id = 'a key' WHERE id = '200';
	DELETE FROM bag WHERE ctid = (SELECT max(ctid) FROM bag WHERE v = '7');
	UPDATE bag SET v = '8 ' WHERE ctid = (SELECT max(ctid) FROM bag WHERE v = '8');
	INSERT INTO bag VALUES (NULL);
	UPDATE parts SET v = 0 WHERE id = 42;
	UPDATE long SET v = v || 'b';
	SELECT setval('s_value', 5);
	SELECT nextval('s_called');
	DROP SEQUENCE s_here;
	ALTER TABLE "Case" RENAME TO "case";
	SELECT lo_from_bytea(4712, 'new');
	CREATE INDEX ON same (id);
	CREATE VIEW v AS SELECT 1;
	CREATE EXTENSION dblink});
sql($blue, 'CREATE EXTENSION hstore');
sql($green, 'CREATE EXTENSION hstore VERSION "1.7"');

my $expected = <<'END';
extension||dblink|extra|
extension||hstore|different|
objects|public|indexes|different|
objects|public|sequences|different|
objects|public|views|different|
sequence|public|s_called|different|
sequence|public|s_here|missing|
sequence|public|s_value|different|
table|pg_catalog|pg_largeobject|different|
row|pg_catalog|pg_largeobject|extra|{"loid": 4712, "pageno": 0}
table|public|Case|missing|
table|public|bag|different|
row|public|bag|different|{"v": "7"}
row|public|bag|different|{"v": "8"}
row|public|bag|extra|{"v": "8 "}
row|public|bag|extra|{"v": null}
table|public|case|extra|
table|public|columns|structure|
table|public|here_only|missing|
table|public|long|different|
row|public|long|different|{"id": 1}
table|public|pairs|different|
row|public|pairs|different|{"x": 5, "y": "5"}
row|public|pairs|different|{"x": 6, "y": "6"}
row|public|pairs|extra|{"x": 7, "y": "0.0"}
row|public|pairs|missing|{"x": 7, "y": "0"}
row|public|pairs|missing|{"x": 20000, "y": "1"}
row|public|pairs|extra|{"x": 20001, "y": "1"}
table|public|PART|different|
row|public|PART|different|{"id": 42}
table|public|texts|different|
row|public|texts|different|{"id": "100"}
row|public|texts|missing|{"id": "200"}
row|public|texts|extra|{"id": "a key"}
table|public|there_only|extra|
END
my $part = sql($blue, 'SELECT tableoid::regclass FROM parts WHERE id = 42');
$expected =~ s/PART/$part/g;
chomp $expected;

# Rows without a key come in the order of their checksums: sorted here.
my $query = q{SELECT concat_ws('|', kind, schema_name, object_name, difference, coalesce(key::text, CASE kind WHEN 'row' THEN coalesce(local, remote) ELSE '' END)) FROM %s};
sub sorted { return join "\n", sort split /\n/, shift }
foreach my $way ({}, { chunk => q{'1 ms'}, workers => 3 }, { algorithm => q{'sql'} })
{
	my $found = sql($blue, sprintf $query, comparison($green, %$way));
	$found =~ s/^(extension|objects|sequence|table)\|(?!\|)(\w+)?(.*)$/$1|@{[ $2 \/\/ '' ]}$3/mg;
	$found =~ s/^extension\|(\w)/extension||$1/mg;
	is(sorted($found), sorted($expected), 'all of it: ' . join(' ', %$way));
	is(last_run($blue, 'state, equal'), 'complete|f', 'and it says so');
}
sub found
{
	my ($columns, $where) = @_;
	return sql($blue, "SELECT $columns FROM documentdb_upgrade.parity_differences WHERE run = 1 AND $where ORDER BY id");
}
is(found('local, remote, detail', q{object_name = 'columns'}), 'b text, c integer|b character varying(5)|columns differ; contents were not compared', 'columns that differ are shown');
is(found('local, remote', q{object_name = 's_value'}), '1, not called yet|5', 'values of sequences');
is(found('local, remote', q{object_name = 's_called'}), '1, not called yet|1', 'and whether they were called');
is(found('local, remote, detail', q{kind = 'row' AND object_name = 'pairs' AND key->>'x' IN ('5', '6') AND id > 0}),
	qq({"x": "5", "y": "5", "body": "5"}|{"x": "5", "y": "5", "body": null}|columns that differ: body\n{"x": "6", "y": "6", "body": "6"}|{"x": "6", "y": "6", "body": ""}|columns that differ: body),
	'rows are shown with what differs');
is(found('detail', q{kind = 'row' AND object_name = 'bag' AND local::jsonb->>'v' = '7'}), '4 times here, 3 times there', 'rows without a key are counted');
cmp_ok(length(found('local', q{kind = 'row' AND object_name = 'long'})), '<', 400, 'long values are cut');
like(found('local, remote', q{kind = 'table' AND object_name = 'pairs'}), qr/^20000 rows, ([0-9a-f]{32})\|20000 rows, (?!\1)/, 'counts and checksums of a table');
is(found('detail', q{kind = 'table' AND object_name = 'pairs'}), '6 rows differ', 'and how many rows');

# No more rows than asked for, the table still.
is(differences($blue, $green, tables => q{'{pairs}'}, max_differences => 2),
	qq(table|public|pairs|different|\nrow|public|pairs|different|{"x": 5, "y": "5"}\nrow|public|pairs|different|{"x": 6, "y": "6"}), 'max_differences');
is(last_run($blue, q{(SELECT detail FROM documentdb_upgrade.parity_differences d WHERE d.run = parity_runs.id AND kind = 'table')}), 'more than 2 rows differ', 'and there are more');
is(differences($blue, $green, tables => q{'{pairs}'}, max_differences => 0), 'table|public|pairs|different|', 'none');

# Some only.
is(differences($blue, $green, tables => q{'{same,public.parts}'}), "table|public|$part|different|\nrow|public|$part|different|{\"id\": 42}", 'a partitioned table stands for its partitions');
is(differences($blue, $green, tables => q{'{Case}'}), "table|public|Case|missing|\ntable|public|case|extra|", 'names as in a query or to the letter');
is(compare($blue, $green, tables => q{'{same,nowhere}'})->{sqlstate}, '42P01', 'a table that is nowhere');
is(compare($blue, $green, schemas => q{'{nowhere}'})->{sqlstate}, '3F000', 'a schema that is nowhere');
is(differences($blue, $green, tables => q{'{there_only}'}), 'table|public|there_only|extra|', 'one that is only there is a difference');
processes_gone($_, 'nothing is left') foreach $blue, $green;
done_testing();
