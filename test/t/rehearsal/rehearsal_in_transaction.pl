# A rehearsal inside a transaction leaves everything in it as it was, whether
# it passes or fails.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, streaming => 1, conf => q{documentdb_upgrade.extension = 'thing'});
write_extension($node, 'thing', '1.2',
	'1.0' => 'CREATE TABLE thing (id int); CREATE TABLE parent (id int PRIMARY KEY);
		CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);',
	'1.0--1.1' => "SET work_mem = '77MB'; INSERT INTO child VALUES (1); INSERT INTO parent VALUES (1); CREATE TEMP TABLE passing (id int);",
	'1.1--1.2' => "ALTER TABLE thing ADD two int; DO \$\$ BEGIN PERFORM 1 / n FROM public.divisor; END \$\$;",
	'1.2--1.3' => 'INSERT INTO child VALUES (2);',
	'1.2--1.4' => 'INSERT INTO child VALUES (3); INSERT INTO parent VALUES (3); ALTER TABLE child ADD more int;');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'; CREATE ROLE plain LOGIN;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade.rehearse TO plain; GRANT USAGE ON SCHEMA documentdb_upgrade TO plain;
	CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int REFERENCES p DEFERRABLE INITIALLY DEFERRED); CREATE TABLE seen (n int);
	CREATE TABLE divisor AS SELECT 1 AS n; CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (new.id); RETURN new; END';
	CREATE CONSTRAINT TRIGGER late AFTER INSERT ON p DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();
	GRANT ALL ON ALL TABLES IN SCHEMA public TO plain});

my $state = q{SELECT current_user, current_setting('search_path'), current_setting('lock_timeout'), current_setting('work_mem'),
	current_setting('track_counts'), current_setting('log_min_messages'), current_setting('DateStyle'), (SELECT count(*) FROM c), (SELECT count(*) FROM mine),
	(SELECT count(*) FROM seen), (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock' AND relation = 'thing'::regclass)};

foreach my $user ('postgres', 'plain')
{
	foreach my $case (['passes', 1, 'passed|'], ['fails', 0, 'failed|22012'])
	{
		my ($how, $divisor, $expected) = @$case;
		subtest "as $user one that $how" => sub {
			my $session = DocumentdbUpgrade::Session->new($node, user => $user);
			$session->run("UPDATE divisor SET n = $divisor; SET search_path = public, pg_catalog; SET DateStyle = 'German'");
			$session->run('BEGIN; SET LOCAL lock_timeout = 1234; CREATE TEMP TABLE mine AS SELECT 1 AS id; INSERT INTO p VALUES (5); INSERT INTO c VALUES (5), (6)');
			$session->run('SAVEPOINT a; DECLARE cur CURSOR FOR SELECT * FROM generate_series(1, 9); FETCH cur');
			my $before = $session->run($state)->{stdout};

			foreach my $n (1, 2)
			{
				my $result = $session->run(q{SELECT outcome, sqlstate FROM documentdb_upgrade.rehearse('1.2')});
				is($result->{stdout}, $expected, "the outcome of rehearsal $n") or diag($result->{stderr});
				is($session->run($state)->{stdout}, $before, 'everything is as it was');
			}
			is($session->run('FETCH cur')->{stdout}, '2', 'the cursor goes on');
			is($session->run('ROLLBACK TO a; INSERT INTO p VALUES (6); DELETE FROM c WHERE id = 6; INSERT INTO c VALUES (6); SELECT count(*) FROM seen')->{stdout}, '0', 'so does the savepoint');
			my $end = $session->run('COMMIT');
			ok($end->{ok}, 'and the commit, with what was deferred to it') or diag($end->{stderr});
			is($session->run('SELECT count(*) FROM seen')->{stdout}, '2', 'each deferred trigger has fired once');
			$session->run('DELETE FROM c; DELETE FROM p; DELETE FROM seen');
			$session->quit;
		};
	}
}

# The finalize itself may follow in the same transaction.
sql($node, 'UPDATE divisor SET n = 1');
is(sql($node, q{BEGIN; SELECT outcome FROM documentdb_upgrade.rehearse('1.2'); SET documentdb_upgrade.guard_severity = 'rehearsed=fail';
	SELECT outcome FROM documentdb_upgrade.finalize_to('1.2'); ROLLBACK}), "passed\nsucceeded", 'a finalize in the same transaction');

# What a script defers to the commit is tried; when it may, as the finalize.
sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')});
write_extension($node, 'thing', '1.3');
my $result = try_sql($node, q{SELECT outcome, sqlstate FROM documentdb_upgrade.rehearse('1.3')});
is($result->{stdout}, 'failed|23503', 'a constraint that the commit would check is checked') or diag($result->{stderr});
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.3')})->{sqlstate}, '23503', 'as the commit does');
$result = try_sql($node, q{BEGIN; INSERT INTO c VALUES (77); SELECT outcome FROM documentdb_upgrade.rehearse('1.3'); ROLLBACK});
is($result->{stdout}, 'passed', 'except where the caller\'s own work has to wait for its commit');
write_extension($node, 'thing', '1.4');
is(sql($node, q{SELECT outcome, sqlstate FROM documentdb_upgrade.rehearse('1.4')}), 'failed|55006', 'events that are pending stop an ALTER TABLE');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.4')})->{sqlstate}, '55006', 'in a finalize too');

# Transactions and places where it cannot be.
is(try_sql($node, "BEGIN ISOLATION LEVEL $_; SELECT documentdb_upgrade.rehearse()")->{sqlstate}, '25001', "$_ is refused") foreach 'REPEATABLE READ', 'SERIALIZABLE';
is(try_sql($node, "BEGIN READ ONLY; SELECT documentdb_upgrade.rehearse(scratch => $_)")->{sqlstate}, '25006', 'so is READ ONLY') foreach 'false', 'true';
write_extension($node, 'thing', '1.5', '1.2--1.5' => 'SELECT documentdb_upgrade.rehearse();', '1.2--1.6' => 'SELECT documentdb_upgrade.rehearse(scratch => true);');
is(sql($node, q{SELECT outcome, sqlstate, script ~ '1.2--1.5' FROM documentdb_upgrade.rehearse('1.5')}), 'failed|55006|t', 'from within a script');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.5')})->{sqlstate}, '55006', 'of a finalize too');
write_extension($node, 'thing', '1.6');
is(sql($node, q{SELECT outcome, sqlstate FROM documentdb_upgrade.rehearse('1.6')}), 'failed|55006', 'or in a throw-away database');
write_extension($node, 'thing', '1.2');
is(sql($node, q{SELECT outcome, steps_run, risk FROM documentdb_upgrade.rehearse()}), 'passed|0|', 'nothing to do passes');
is(try_sql($node, q{DO $$ BEGIN PERFORM documentdb_upgrade.rehearse(); EXCEPTION WHEN OTHERS THEN RAISE; END $$; CALL documentdb_upgrade.run_rehearse()})->{ok}, 1, 'in a block, and by CALL');

my $backup = $node->backup('b');
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $node->{_install_path});
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
is(try_sql($standby, "SELECT documentdb_upgrade.rehearse(scratch => $_)")->{sqlstate}, '25006', 'on a standby') foreach 'false', 'true';

done_testing();
