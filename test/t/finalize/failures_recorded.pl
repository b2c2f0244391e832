# A failed attempt is recorded whatever becomes of its caller's transaction,
# repeats are counted, and where no row can be written the log has the record.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', own_installation => 1, streaming => 1, conf => q{
	documentdb_upgrade.extension = 'failing'});
write_extension($node, 'failing', '1.2',
	'1.0' => 'CREATE TABLE thing (id int);',
	'1.0--1.1' => 'ALTER TABLE thing ADD one int;',
	'1.1--1.2' => "ALTER TABLE thing ADD two int;\n\n-- comment; with a semicolon\nSELECT 1/(SELECT count(*) FROM thing);\n");
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION failing VERSION '1.0'});

my $finalize = q{SELECT documentdb_upgrade.finalize_to('1.2')};
my $rows = q{SELECT count(*), sum(repeats) FROM documentdb_upgrade.history};

# What the server's log has gained while code runs.
sub logged
{
	my $code = shift;
	my $offset = -s $node->logfile;
	$code->();
	return slurp_file($node->logfile, $offset);
}
my $no_row = qr/LOG:  could not record an upgrade attempt in history: ([^\n]*)\n[^\n]*DETAIL:  The record is \{"extension": "failing"[^\n]*\}/;

my $result = try_sql($node, "BEGIN; SELECT 1; $finalize");
is($result->{sqlstate}, '22012', 'an error of the script reaches the caller as it is');
is(sql($node, q{SELECT outcome, sqlstate, message, script ~ 'failing--1.1--1.2.sql$', script_line, from_version, to_version,
		jsonb_path_query_array(steps, '$[*].to'), restore_point, actor, role_name = current_user, repeats FROM documentdb_upgrade.history}),
	'failed|22012|division by zero|t|4|1.0|1.2|["1.1"]|before_finalize_1.0_1.2|function|t|0',
	'the history has all there is to know, although the transaction was rolled back');
is(sql($node, q{SELECT attempts, last_error FROM documentdb_upgrade.status}), '1|division by zero', 'and status tells it');

try_sql($node, $finalize) foreach 1 .. 2;
is(sql($node, $rows), '1|2', 'the same failure again is counted');
is(sql($node, q{SELECT last_repeated_at > finished_at FROM documentdb_upgrade.history}), 't', 'with its time');
is(sql($node, q{SELECT attempts FROM documentdb_upgrade.status}), '3', 'status counts repeats');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2', 'other')})->{sqlstate}, '55000', 'another one');
is(sql($node, $rows), '2|2', 'has a row of its own');

ok(try_sql($node, qq{DO \$\$ BEGIN PERFORM documentdb_upgrade.finalize_to('1.2'); EXCEPTION WHEN OTHERS THEN NULL; END \$\$})->{ok},
	'a caller that swallows the error goes on');
is(sql($node, $rows), '3|2', 'and the failure is recorded');

is(try_sql($node, qq{DROP EXTENSION documentdb_upgrade; CREATE EXTENSION documentdb_upgrade; $finalize}, dbname => 'postgres')->{sqlstate},
	'22012', 'an extension of ours made anew');
is(sql($node, $rows), '1|0', 'begins with an empty history');

# An error that has a position is told by its line, not by its statement's.
my $script = slurp_file(extension_file($node, 'failing--1.1--1.2.sql'));
write_extension($node, 'failing', '1.2', '1.1--1.2' => "ALTER TABLE thing ADD two int;\n\nSELECT 1,\n\tnosuch\nFROM thing;\n");
is(try_sql($node, $finalize)->{sqlstate}, '42703', 'a script that names a column that is not there');
is(sql($node, q{SELECT script_line FROM documentdb_upgrade.history WHERE sqlstate = '42703'}), '4', 'fails at the line of the name');
write_extension($node, 'failing', '1.2', '1.1--1.2' => $script);

# Somebody has history to himself: the caller does not wait for long.
my $owner = DocumentdbUpgrade::Session->new($node);
$owner->run('BEGIN; LOCK TABLE documentdb_upgrade.history');
my $log = logged(
	sub {
		$result = try_sql($node, q{SET statement_timeout = '10min'; SELECT documentdb_upgrade.finalize_to('9.9')});
		is($result->{sqlstate}, '55000', 'with history locked a refusal comes as ever');
	});
like($log, $no_row, 'the record is in the log instead');
$owner->run('ROLLBACK');
$owner->quit;
is(sql($node, $rows), '2|0', 'and not in history');

# A client that asks in a tight loop does not get a process each time.
my $session = DocumentdbUpgrade::Session->new($node);
my $offset = -s $node->logfile;
my ($tries, $bounded, $begin) = (0, 0, time);
while (!$bounded && $tries < 40)
{
	$session->run($finalize);
	$tries++;
	$bounded = slurp_file($node->logfile, $offset) =~ /too many attempts in a short time/;
}
SKIP:
{
	skip 'attempts that take a second each are no burst', 1 if !$bounded && time - $begin >= $tries - 5;
	ok($bounded, 'a burst of failures is bounded');
}
cmp_ok(sql($node, 'SELECT sum(1 + repeats) FROM documentdb_upgrade.history'), '>=', 6, 'though its beginning is recorded');
$session->quit;

# Nor does it need one.
$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
my $before = sql($node, $rows);
$log = logged(sub { is(try_sql($node, $finalize)->{sqlstate}, '22012', 'without background workers an error is the same'); });
like($log, $no_row, 'and the record is in the log');
is(scalar(() = $log =~ /could not record an upgrade attempt/g), 1, 'once');
is(sql($node, $rows), $before, 'not in history');

done_testing();
