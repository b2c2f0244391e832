# Statements that cannot run in the script of a finalize are named by the plan
# before anything runs; each is tried here.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.guard_severity = 'rehearsed=skip'});
write_extension($node, 'thing', '1.1', '1.0' => 'CREATE TABLE thing (id int PRIMARY KEY); CREATE TABLE parts (id int) PARTITION BY LIST (id);
	CREATE TABLE part PARTITION OF parts FOR VALUES IN (1);');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'});

my $reason = q{SELECT risk_reason FROM documentdb_upgrade.plan()};
my %refused = (
	'SET ROLE pg_monitor' => 'SET ROLE',
	'SET SESSION AUTHORIZATION DEFAULT' => 'SET SESSION AUTHORIZATION',
	'COMMIT' => 'transaction control',
	'BEGIN' => 'transaction control',
	'SAVEPOINT a' => 'transaction control',
	'VACUUM' => 'VACUUM',
	'VACUUM FULL thing' => 'VACUUM',
	'CREATE INDEX CONCURRENTLY ON thing (id)' => 'CREATE INDEX CONCURRENTLY',
	'DROP INDEX CONCURRENTLY thing_pkey' => 'DROP INDEX CONCURRENTLY',
	'REINDEX TABLE CONCURRENTLY thing' => 'REINDEX CONCURRENTLY',
	'REINDEX INDEX CONCURRENTLY thing_pkey' => 'REINDEX CONCURRENTLY',
	'REINDEX SCHEMA public' => 'REINDEX of a schema or database',
	'CLUSTER' => 'CLUSTER of all tables',
	'ALTER TABLE parts DETACH PARTITION part CONCURRENTLY' => 'DETACH PARTITION CONCURRENTLY',
	'CREATE DATABASE other' => 'CREATE DATABASE',
	'DROP DATABASE other' => 'DROP DATABASE',
	'CREATE TABLESPACE other LOCATION \'/nowhere\'' => 'CREATE TABLESPACE',
	'DROP TABLESPACE other' => 'DROP TABLESPACE',
	'ALTER SYSTEM SET work_mem = \'5MB\'' => 'ALTER SYSTEM');

foreach my $statement (sort keys %refused)
{
	write_extension($node, 'thing', '1.1', '1.0--1.1' => "CREATE TABLE one ();\n$statement;\n");
	like(sql($node, $reason), qr/ A finalize will fail, because the script contains \Q$refused{$statement}\E/, "$statement: the plan says so");
	my $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.1')});
	like($result->{sqlstate} // 'none', qr/^(?:0A000|25001|42501)$/, "$statement: it fails") or diag($result->{stderr});
}

# Their harmless kin.
foreach my $statement ('ANALYZE thing', 'CREATE INDEX ON thing (id)', 'REINDEX TABLE thing', 'SET LOCAL work_mem = 1000', 'RESET ALL',
	'CLUSTER thing USING thing_pkey', 'DROP TABLE IF EXISTS nothing')
{
	write_extension($node, 'thing', '1.1', '1.0--1.1' => "$statement;\n");
	unlike(sql($node, $reason), qr/will fail/, "$statement: the plan does not");
	my $result = try_sql($node, q{BEGIN; SELECT documentdb_upgrade.finalize_to('1.1'); ROLLBACK});
	ok($result->{ok}, "$statement: nor does it fail") or diag($result->{stderr});
}

done_testing();
