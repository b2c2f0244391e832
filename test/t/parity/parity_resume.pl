# A run whose other server died, or whose own processes did, is taken up again:
# what was read to the end is kept, a table read in the order of its key goes on
# where it was, and the result is that of an undisturbed run.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use Test::More;

my ($blue, $green) = two_servers(q{
	CREATE TABLE big (id int PRIMARY KEY, body text);
	INSERT INTO big SELECT g, repeat('x', 200) FROM generate_series(1, 30000) g;
	CREATE TABLE medium (body text);
	INSERT INTO medium SELECT repeat('y', 100) || g FROM generate_series(1, 10000) g;
	CREATE TABLE small (id int PRIMARY KEY);
	INSERT INTO small SELECT generate_series(1, 10)});
sql($green, q{UPDATE big SET body = 'z' WHERE id IN (4000, 29000); DELETE FROM medium WHERE body LIKE '%y77'; DELETE FROM small WHERE id = 3});
my $columns = 'kind, object_name, difference, coalesce(key::text, local)';
my $undisturbed = sql($blue, "SELECT $columns FROM " . comparison($green));

# Stops where the second table is to be read.
sub start_and_block
{
	my ($node, %options) = @_;
	my $lock = DocumentdbUpgrade::Session->new($node);
	my $caller = DocumentdbUpgrade::Session->new($blue);

	$lock->run('BEGIN; LOCK TABLE medium');
	$caller->start('SELECT count(*) FROM ' . comparison($green, workers => 1, chunk => q{'2 ms'}, %options));
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE relation = 'medium'::regclass AND NOT granted}) or die 'no process waits';
	return ($lock, $caller);
}

# The other server dies while the second table is read.
my ($lock, $caller) = start_and_block($green);
$green->stop('immediate');
my $result = $caller->finish;
is($result->{sqlstate}, '08006', 'the other server dies');
like($result->{hint}, qr/resume => 2/, 'a resume helps');
like($result->{detail}, qr/Run 2 has read 0 of 3 tables/, 'how far it was');
is(last_run($blue, 'state, sqlstate, finished_at IS NOT NULL'), 'failed|08006|t', 'the run says so');
is(tables_of_run($blue, 'phase, row_count'), "big|recheck|30000\nmedium|sum|0\nsmall|sum|0", 'what was read is kept');
processes_gone($blue, 'nothing is left');
is(compare($blue, $green, resume => 2)->{sqlstate}, '08006', 'resumed too early');
$green->start;
my $chunks = sql($blue, q{SELECT chunks FROM documentdb_upgrade.parity_tables WHERE run = 2 AND table_name = 'big'});
$result = try_sql($blue, "SELECT $columns FROM " . comparison($green, resume => 2));
is($result->{stdout}, $undisturbed, 'resumed: the result is the same');
like($result->{stderr}, qr/Run 2.* It was resumed: its tables are of 2 different moments/, 'and it says so');
is(last_run($blue, 'id, state, equal, snapshots'), '2|complete|f|2', 'the run is complete');
is(sql($blue, q{SELECT chunks FROM documentdb_upgrade.parity_tables WHERE run = 2 AND table_name = 'big'}), $chunks, 'what was read was not read again');

# Our own processes die in the midst of the largest table, between two ranges.
sql($_, 'CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF NEW.chunks = 5 THEN PERFORM pg_advisory_xact_lock_shared(8); END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER pause BEFORE UPDATE ON documentdb_upgrade.parity_tables FOR EACH ROW EXECUTE FUNCTION pause()') foreach $blue, $green;
my $gate = DocumentdbUpgrade::Session->new($blue);
$gate->run('SELECT pg_advisory_lock(8)');
$caller = DocumentdbUpgrade::Session->new($blue);
$caller->start('SELECT count(*) FROM ' . comparison($green, workers => 1, chunk => q{'2 ms'}));
$blue->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) or die 'no process waits';
is(compare($blue, $green, resume => 3)->{sqlstate}, '55006', 'a run that goes on is not resumed');
is(sql($blue, q{SELECT DISTINCT run_state, run_phase FROM documentdb_upgrade.parity_progress}), 'running|tables', 'and shows as running');
my $before = sql($blue, q{SELECT row_count FROM documentdb_upgrade.parity_tables WHERE run = 3 AND table_name = 'big'});
cmp_ok($before, '>', 0, 'part of the table was summed');
sql($blue, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'documentdb_upgrade parity%'});
ok(!$caller->finish->{ok}, 'its process is ended');
processes_gone($_, 'nothing is left') foreach $blue, $green;
$gate->quit;
sql($blue, 'DROP TRIGGER pause ON documentdb_upgrade.parity_tables');
is(sql($blue, q{SELECT DISTINCT run_state FROM documentdb_upgrade.parity_progress WHERE run = 3}), 'interrupted', 'it shows as interrupted');
sql($blue, q{UPDATE big SET body = 'new' WHERE id = 1});
is(sql($blue, "SELECT $columns FROM " . comparison($green, resume => 3)), $undisturbed, 'resumed: the result is the same');
is(sql($blue, q{SELECT row_count, first_snapshot, snapshot FROM documentdb_upgrade.parity_tables WHERE run = 3 AND table_name = 'big'}), '30000|1|2',
	'a table read by its key went on where it was');

# Other tables than before, and another function.
is(compare($blue, $green, resume => 3)->{sqlstate}, '55000', 'a run that has finished');
($lock, $caller) = start_and_block($blue);
$green->stop('immediate');
$lock->run('COMMIT');
is($caller->finish->{sqlstate}, '08006', 'one more');
$green->start;
is(compare($blue, $green, resume => 4, tables => q{'{big}'})->{sqlstate}, '22023', 'resumed with other tables');
is(try_sql($blue, 'SELECT * FROM documentdb_upgrade.table_checksums(resume => 4)')->{sqlstate}, '42704', 'or by another function');
sql($blue, 'CREATE ROLE other LOGIN SUPERUSER');
ok(compare($blue, $green, resume => 4, user => 'other')->{ok}, 'a superuser may resume it');
processes_gone($_, 'nothing is left') foreach $blue, $green;
done_testing();
