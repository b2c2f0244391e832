# A cut-over from PostgreSQL 15 to 17: replication under load, a fence on blue,
# the last writer gone, green at that position of blue's WAL, an exact
# comparison, the report, and the switch.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Blue;
use DocumentdbUpgrade::BlueGreen;
use DocumentdbUpgrade::Test;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $blue = DocumentdbUpgrade::Blue->new('15_fenced', 'cutover');
my $green = green_node('green', tcp => 1);
my $fence = q{SELECT drained_at IS NULL, writers FROM documentdb_upgrade.fence_writes('cut-over to 17')};
my $exact = 'SELECT equal, exact FROM documentdb_upgrade.parity_runs ORDER BY id DESC LIMIT 1';

# Comparisons are made on blue: it is the one that knows of its fence.
sub differing { return join "\n", differences_from($blue, $green); }

$blue->load_every_type;
$blue->schema_to($green);
$blue->replicate_to($green);

my $load = q{
	WITH inserted AS (INSERT INTO app.dropped (kept) VALUES ('load')), updated AS (UPDATE app.large SET n = n + 1 WHERE id = (SELECT count(*) FROM app.dropped))
	DELETE FROM app.text_key WHERE k = 'key ' || (SELECT count(*) FROM app.dropped)};
my %as = (user => 'application');
my $rows = 'SELECT count(*) FROM app.dropped';
my $file = PostgreSQL::Test::Utils::tempdir() . '/load.sql';
append_to_file($file, "$load \\watch 0.005\n");
my $writer = do
{
	local $ENV{PGPASSWORD} = $ENV{BLUE_PASSWORD};
	IPC::Run::start([ $blue->psql(%as) ], '<', $file, '>', '/dev/null', '2>', "$file.errors");
};
poll_until(sub { $blue->sql($rows) > 50 }, 'there is a load');
$blue->sql('REFRESH MATERIALIZED VIEW app.totals');

# Somebody is in the middle of a transaction when the fence goes up.
my $late = $blue->session(%as);
$late->run('BEGIN');
$late->run(q{INSERT INTO app.keyless VALUES (7, 'late', NULL)});
is($blue->sql($fence), 't|1', 'the fence is up, and one writer is left');
$writer->finish;
my $count = $blue->sql($rows);
cmp_ok($count, '>', 50, 'the load has ended');
is($blue->try_sql($load, %as)->{sqlstate}, '25006', 'nobody writes to blue any more');
like($blue->sql('SELECT what, detail FROM documentdb_upgrade.fence_writers WHERE awaited'), qr/transaction/, 'fence_writers names the one who may');
$late->run('COMMIT');
poll_until(sub { $blue->sql('SELECT count(*) FROM documentdb_upgrade.cutovers WHERE drained_at IS NOT NULL') eq '1' }, 'the last writer is gone');

$blue->catch_up($green, $blue->sql('SELECT drained_lsn FROM documentdb_upgrade.cutovers'));
is(sql($green, $rows, 'cutover'), $count, 'green has what the load wrote');
is(sql($green, q{SELECT count(*) FROM app.keyless WHERE b = 'late'}, 'cutover'), '1', 'and the late row');
like(differing(), qr/^sequence app dropped_id_seq different$/m, 'sequences are not replicated');
is($blue->sql($exact), 'f|t', 'which is not equal, and exact');

$blue->numbers_to($green);
sql($green, 'REFRESH MATERIALIZED VIEW app.totals', 'cutover');
is(differing(), '', 'nothing differs any more');
is($blue->sql($exact), 't|t', 'equal and exact');

my %report = map { my ($step, @rest) = split /\|/; ($step => "@rest") }
  split /\n/, $blue->sql('SELECT step, at IS NOT NULL, elapsed >= interval \'0\', detail FROM documentdb_upgrade.cutover_report()');
like($report{'fence raised'}, qr/^t t manual by postgres: cut-over to 17/, 'the report says when the fence was raised');
like($report{'last writer gone'}, qr/^t t /, 'when the last writer was gone');
like($report{'parity proved'}, qr/^t t run \d+: equal, exact$/, 'and when parity was proved');
note($blue->sql('SELECT * FROM documentdb_upgrade.cutover_report()'));

# The switch: clients go to green, which counts on where blue has ended.
$blue->stop_replication($green);
my $last = $blue->sql('SELECT max(id) FROM app.dropped');
is(sql($green, q{INSERT INTO app.dropped (kept) VALUES ('on green') RETURNING id}, 'cutover'), $last + 1, 'green goes on with the next number');
is($blue->try_sql($load, %as)->{sqlstate}, '25006', 'blue stays as it was');
is($blue->sql('SELECT documentdb_upgrade.lift_fence()'), 't', 'until its fence is lifted');

$late->quit;
$blue->remove;
done_testing();
