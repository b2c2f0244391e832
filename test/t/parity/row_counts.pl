# row_counts() is the table for a report: each table with its rows on both sides
# and whether they are the same.  How long a comparison took tells how long that of
# a cut-over would take.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use Test::More;

my ($blue, $green) = two_servers(q{
	CREATE TABLE same (id int PRIMARY KEY); INSERT INTO same SELECT generate_series(1, 100);
	CREATE TABLE empty (id int);
	CREATE TABLE fewer (id int PRIMARY KEY); INSERT INTO fewer SELECT generate_series(1, 100);
	CREATE TABLE other (id int PRIMARY KEY, v text); INSERT INTO other SELECT g, 'v' FROM generate_series(1, 100) g;
	CREATE TABLE here_only (id int); CREATE TABLE columns (a int, b int); CREATE TABLE closed (id int);
	CREATE SCHEMA app; CREATE TABLE app.same (id int)});
sql($green, q{DELETE FROM fewer WHERE id > 98; UPDATE other SET v = 'w' WHERE id IN (7, 8, 9);
	DROP TABLE here_only; CREATE TABLE there_only (id int); ALTER TABLE columns DROP b});

my $conninfo = $green->connstr('postgres') =~ s/'/''/gr;
my $counts = 'SELECT schema_name, table_name, rows_here, rows_there, match, detail FROM documentdb_upgrade.row_counts';
is(sql($blue, 'SELECT count(*) FROM documentdb_upgrade.cutover_report()'), '0', 'nothing is known of a cut-over');
my $table = sql($blue, "$counts('$conninfo')");
is($table, join("\n",
		'app|same|0|0|t|',
		'public|closed|0|0|t|',
		'public|columns|||f|columns differ: ' . ($table =~ /columns differ: (.*)/ ? $1 : '...'),
		'public|empty|0|0|t|',
		'public|fewer|100|98|f|rows differ, 2 of them named',
		'public|here_only|||f|not there on the other server',
		'public|other|100|100|f|rows differ, 3 of them named',
		'public|same|100|100|t|',
		'public|there_only|||f|there on the other server alone'), 'each table has a row');
my $run = sql($blue, 'SELECT max(id) FROM documentdb_upgrade.parity_runs');
is(sql($blue, "$counts(run => $run)"), $table, 'and later too, by the number of the run');
is(sql($blue, "SELECT count(*) FROM documentdb_upgrade.compare_with('$conninfo')"), sql($blue, "SELECT difference_count FROM documentdb_upgrade.parity_runs WHERE id = $run"),
	'it is the same comparison');
is(sql($blue, "$counts('$conninfo', tables => '{same}')"), "app|same|0|0|t|\npublic|same|100|100|t|", 'of some tables');

# What cannot be read is neither.
my $functions = 'documentdb_upgrade.row_checksum, documentdb_upgrade.columns_checksum, documentdb_upgrade.record_checksum, documentdb_upgrade.checksum_algorithm';
sql($blue, qq{CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA documentdb_upgrade_internal TO clerk;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade.row_counts, documentdb_upgrade_internal.run_parity, documentdb_upgrade_internal.parity_counts, $functions TO clerk});
sql($green, "CREATE ROLE clerk LOGIN; GRANT SELECT ON same TO clerk; GRANT EXECUTE ON FUNCTION $functions TO clerk");
my $result = try_sql($blue, "$counts('$conninfo user=clerk', tables => '{public.same,public.closed}')");
like($result->{stdout}, qr/^public\|closed\|\|\|\|42501: .*\npublic\|same\|100\|100\|t\|$/, 'a table without the privilege there') or diag($result->{stderr});

# What there is, and what there is not.
$result = try_sql($blue, "$counts(run => 4711)");
is($result->{sqlstate}, '42704', 'a run that does not exist');
like($result->{hint}, qr/SELECT id, .* FROM documentdb_upgrade\.parity_runs WHERE kind = 'comparison';$/, 'with where those are that do');
is(try_sql($blue, "$counts(run => $run)", user => 'clerk')->{sqlstate}, '42704', 'one of another role');
is(try_sql($blue, "$counts()")->{sqlstate}, '22023', 'neither');
is(try_sql($blue, "$counts('$conninfo', run => 1)")->{sqlstate}, '22023', 'both');

# The estimate for a cut-over.
$result = sql($blue, 'SELECT step, at, elapsed > interval \'0\', detail FROM documentdb_upgrade.cutover_report()');
like($result, qr/^estimate\|\|t\|comparison \d+ took [\d.]+ s for .*, and the same tables have .* now: [\d.]+ s of 10 min, the goal is in reach$/, 'in reach');
my $late = q{UPDATE documentdb_upgrade.parity_runs SET duration = '400 s' WHERE id = (SELECT max(id) FROM documentdb_upgrade.parity_runs WHERE state = 'complete')};
is(sql($blue, "$late; SELECT elapsed BETWEEN '400 s' AND '590 s' FROM documentdb_upgrade.cutover_report()"), 't', 'by how long the comparison took');
like(sql($blue, q{SET documentdb_upgrade.cutover_goal = '5min'; SELECT detail FROM documentdb_upgrade.cutover_report()}),
	qr/ 7 min for .*: 7 min of 5 min, the goal is out of reach: /, 'out of reach');
sql($blue, q{INSERT INTO same SELECT generate_series(101, 20000)});
like(sql($blue, 'SELECT detail FROM documentdb_upgrade.cutover_report()'), qr/, the goal is out of reach: /, 'tables that have grown since');

# The verdict where no fence was up.
my $verdict = 'SELECT step, at IS NOT NULL, elapsed > interval \'0\', detail FROM documentdb_upgrade.cutover_verdict';
my $stopped = sql($blue, 'SELECT clock_timestamp()');
like(sql($blue, "$verdict('$stopped')"), qr/^writes stopped\|t\|f\|as the caller says
parity proved\|f\|\|no comparison that began after it has finished
goal\|t\|t\|within it so far: [\d.]+ s of 10 min are used$/, 'nothing was compared since');
sql($blue, q{DELETE FROM documentdb_upgrade.parity_runs WHERE state <> 'complete'});
my $as_if = sub { my ($equal, $after) = @_; return sql($blue, "UPDATE documentdb_upgrade.parity_runs SET equal = $equal, started_at = '$stopped'::timestamptz + interval '1 us', finished_at = '$stopped'::timestamptz + interval '$after' WHERE id = (SELECT max(id) FROM documentdb_upgrade.parity_runs)"); };
$as_if->('false', '1 s');
like(sql($blue, "$verdict('$stopped')"), qr/^parity proved\|f\|\|run \d+: not equal$/m, 'not equal');
like(sql($blue, "SET documentdb_upgrade.cutover_goal = '1ms'; $verdict('$stopped')"), qr/^goal\|t\|t\|missed already: /m, 'and too late');
$as_if->('true', '90 s');
like(sql($blue, "$verdict('$stopped')"), qr/^parity proved\|t\|t\|run \d+: equal\ngoal\|t\|t\|met: 90 s of 10 min$/m, 'equal in time');
like(sql($blue, "SET documentdb_upgrade.cutover_goal = '1min'; $verdict('$stopped')"), qr/^goal\|t\|t\|missed: 90 s instead of 60 s$/m, 'equal too late');
is(try_sql($blue, "$verdict(now() + interval '1 hour')")->{sqlstate}, '22023', 'a time to come');

done_testing();
