# A script that waits for a session that waits for our lock is no deadlock
# that the server could see; attempt_timeout ends it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

need_extension('postgres_fdw', '1.0');

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'looping'
	documentdb_upgrade.attempt_timeout = '1s'
	deadlock_timeout = '100ms'});
my $host = $node->host;
my $port = $node->port;

write_extension($node, 'looping', '1.3',
	'1.0' => 'CREATE TABLE thing (id int); CREATE TABLE other (id int);',
	'1.0--1.1' => 'LOCK TABLE thing IN ACCESS EXCLUSIVE MODE;
		INSERT INTO public.loopback VALUES (1);',
	'1.1--1.2' => q{DO $$ BEGIN LOOP
			BEGIN
				PERFORM count(*) FROM generate_series(1, 100000);
			EXCEPTION WHEN query_canceled THEN
				RETURN;
			END;
		END LOOP; END $$;},
	'1.2--1.3' => 'ALTER TABLE thing ADD one int;');
sql($node, qq{
	CREATE EXTENSION documentdb_upgrade;
	CREATE EXTENSION looping VERSION '1.0';
	CREATE EXTENSION postgres_fdw;
	CREATE SERVER self FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
	CREATE USER MAPPING FOR CURRENT_USER SERVER self;
	CREATE FOREIGN TABLE loopback (id int) SERVER self OPTIONS (schema_name 'public', table_name 'thing');
});
my $last = q{SELECT outcome, sqlstate, from_version, finished_at - started_at BETWEEN '0.9 s' AND '5 min', script_line
	FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1};

my $session = DocumentdbUpgrade::Session->new($node);
$session->run(q{SET statement_timeout = '10min'});
my $result = $session->run(q{SELECT documentdb_upgrade.finalize_to('1.1')});
is($result->{sqlstate}, '57014', 'a wait for ourselves through a loopback session ends') or diag($result->{stderr});
like($result->{message}, qr/exceeded its time limit of 1000 ms/, 'by the time limit');
is(sql($node, $last), 'failed|57014|1.0|t|2', 'in time, and is recorded with its line');
is(sql($node, q{SELECT count(*) FROM thing}), '0', 'the loopback session has done nothing');
is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '1.0', 'nor have we');

# Without its script to wait for, the way is free up to the next trap: a
# script that swallows the cancel.
write_extension($node, 'looping', '1.3', '1.0--1.1' => 'SELECT 1;');
$result = $session->run(q{SELECT documentdb_upgrade.finalize_to('1.3')});
is($result->{sqlstate}, '57014', 'a script that swallows the cancel is rolled back all the same');
is(sql($node, $last), 'failed|57014|1.0|t|1', 'and recorded as out of time');
is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '1.0', 'nothing of it stays');

# The timer is gone with the attempt.
write_extension($node, 'looping', '1.3', '1.1--1.2' => 'SELECT 1;');
$result = $session->run(q{
	SELECT to_version FROM documentdb_upgrade.finalize_to('1.3');
	DO $$
	DECLARE
		start timestamptz := clock_timestamp();
	BEGIN
		WHILE clock_timestamp() < start + interval '1.2 s' LOOP
			PERFORM count(*) FROM generate_series(1, 10000);
		END LOOP;
	END $$});
ok($result->{ok}, 'what runs after an attempt is not limited by it') or diag($result->{stderr});
is($result->{stdout}, '1.3', 'and the attempt itself has succeeded');
$session->quit;

done_testing();
