# A step that changes thousands of objects is rehearsed quickly, and the whole
# report is kept.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;
use Time::HiRes qw(time);

my $n = 3000;
my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'large'
	documentdb_upgrade.attempt_timeout = '5min'
	max_locks_per_transaction = 512});
my $long = 'x' x 1000;
write_extension($node, 'large', '1.3', '1.0' => q{SELECT 1;},
	'1.0--1.1' => join("\n", map { "CREATE FUNCTION f$_() RETURNS text LANGUAGE sql AS 'SELECT ''$long''';" } 1 .. $n),
	'1.1--1.2' => join("\n", map { "CREATE OR REPLACE FUNCTION f$_() RETURNS text LANGUAGE sql AS 'SELECT ''y$long''';" } 1 .. $n),
	'1.2--1.3' => join("\n", map { "DROP FUNCTION f$_();" } 1 .. $n));
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION large VERSION '1.0'});

sub timed
{
	my ($sql) = @_;
	my $start = time;
	my $out = sql($node, $sql);
	return ($out, time - $start);
}
my (undef, $plain) = timed(q{BEGIN; ALTER EXTENSION large UPDATE TO '1.3'; ROLLBACK});
my ($out, $whole) = timed(q{SELECT outcome, steps_run FROM documentdb_upgrade.rehearse()});
is($out, 'passed|3', "three steps of $n functions pass");
note sprintf 'plain %.2f s, rehearsal %.2f s', $plain, $whole;
cmp_ok($whole, '<', 4 * $plain + patience(2), 'not much slower than the update itself');

is(sql($node, q{SELECT string_agg(format('%s %s %s %s', jsonb_array_length(s->'added'), jsonb_array_length(s->'changed'), jsonb_array_length(s->'removed'), s->>'risk'), ', ' ORDER BY n)
	FROM documentdb_upgrade.rehearsals, jsonb_array_elements(report->'steps') WITH ORDINALITY AS t(s, n)}),
	"$n 1 0 functions only, 0 ${\ ($n + 1)} 0 functions only, 0 1 $n functions only", 'every change is in the report');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.rehearsals, jsonb_path_query(report, '$.steps[2].removed[*].identity') i WHERE i #>> '{}' ~ '^public\.f\d+\(\)$'}), $n, 'with the names of what is dropped');

sql($node, q{SELECT documentdb_upgrade.finalize_to('1.1')});
my $change;
($out, $change) = timed(q{SELECT outcome, steps_run FROM documentdb_upgrade.rehearse('1.2')});
is($out, 'passed|1', 'a step that changes them all');
cmp_ok($change, '<', patience(2), 'is rehearsed in less than two seconds, on a quiet machine');
my ($text, $report) = timed(q{SELECT length(documentdb_upgrade.rehearsal_report())});
cmp_ok($text, '>', $n * 20, 'the text has them all');
cmp_ok($report, '<', patience(2), 'and is quickly made');
done_testing();
