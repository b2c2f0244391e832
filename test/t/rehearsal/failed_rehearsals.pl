# A rehearsal that fails says where and why, changes nothing and leaves the
# session usable; a cancel ends it as it ends any statement.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Objects;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use JSON::PP ();
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.lock_timeout = '300ms'});
write_extension($node, 'thing', '1.3',
	'1.0' => 'CREATE TABLE thing (id int PRIMARY KEY);',
	'1.0--1.1' => "CREATE TABLE one ();",
	'1.1--1.2' => "ALTER TABLE thing ADD two int;\n\nDO \$\$ BEGIN PERFORM 1 / n FROM public.divisor; END \$\$;\nSELECT pg_advisory_xact_lock(42);",
	'1.2--1.3' => 'CREATE TABLE three ();');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0';
	CREATE TABLE divisor AS SELECT 1 AS n; CREATE FUNCTION yes() RETURNS boolean LANGUAGE sql AS 'SELECT true'; CREATE FUNCTION no() RETURNS boolean LANGUAGE sql AS 'SELECT false'});
my $digests = catalogue_digests($node);

# The row of a rehearsal, as a hash; the catalogues must be as before.
sub rehearsed
{
	my ($how, $session) = @_;
	my $row = JSON::PP->new->utf8->decode(sql($node, 'SELECT to_jsonb(r) FROM documentdb_upgrade.rehearsals r ORDER BY id DESC LIMIT 1'));
	is(catalogue_digests($node), $digests, "$how: nothing has changed");
	return $row;
}
sub rehearse
{
	my ($how, $settings) = @_;
	my $result = try_sql($node, "SET documentdb_upgrade.extension = 'thing';" . ($settings // '') . 'SELECT (documentdb_upgrade.rehearse()).outcome; SELECT 1 + 1');
	like($result->{stdout}, qr/^(failed|refused|passed)\n2$/m, "$how: the session goes on") or diag($result->{stderr});
	return rehearsed($how);
}

sql($node, 'UPDATE divisor SET n = 0');
my $row = rehearse('a failing script');
is("$row->{outcome} $row->{sqlstate} $row->{message}", 'failed 22012 division by zero', 'the error is there');
like($row->{script}, qr{/thing--1\.1--1\.2\.sql$}, 'with its script');
is($row->{script_line}, 3, 'and line');
is($row->{steps_run}, 1, 'one step had run');
is($row->{risk}, 'unknown', 'what it does is not known');
is_deeply([ map { $_->{risk} } @{ $row->{report}{steps} } ], [ 'catalogue', 'unknown', 'unknown' ], 'nor what would come after it');
like($row->{context}, qr/step 2 of 3: extension "thing" from "1.1" to "1.2"/, 'the step is named');
like(sql($node, 'SELECT documentdb_upgrade.rehearsal_report()'), qr/Failed with 22012: division by zero\n.*  line: 3\n.*Nothing was changed\.$/s, 'the text says it');

sql($node, 'UPDATE divisor SET n = 1');
foreach (['pre', 0, 'no check was met'], ['post', 3, 'the pre-checks were met'])
{
	my ($kind, $steps, $said) = @$_;
	sql($node, "INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('mine', '$kind', 'public.no()')");
	$row = rehearse("a $kind-check that is not met");
	is("$row->{outcome} $row->{sqlstate} $row->{message}", qq{failed 55000 $kind-check "mine" is not met}, 'it is named');
	is($row->{steps_run}, $steps, "after $steps steps");
	is($row->{report}{checks}, $said, 'the report says how far they got');
	is($row->{risk}, $steps ? 'data tables' : 'unknown', 'the risk is what was seen');
	sql($node, q{DELETE FROM documentdb_upgrade.checks WHERE name = 'mine'});
}

sql($node, q{SELECT documentdb_upgrade.rehearse('1.9')});
$row = rehearsed('a target that no file offers');
is("$row->{outcome} $row->{risk} $row->{steps_run}", 'refused unknown 0', 'it is refused');
is($row->{sqlstate}, '55000', 'by a hard guard') or diag($row->{message});
is(try_sql($node, q{SELECT documentdb_upgrade.rehearse('x.y')})->{sqlstate}, '22023', 'a malformed target is an error');

# Locks.
my $blocker = DocumentdbUpgrade::Session->new($node);
$blocker->run('BEGIN; LOCK TABLE thing IN SHARE MODE');
$row = rehearse('a lock that another session holds');
is("$row->{outcome} $row->{sqlstate}", 'failed 55P03', 'it is not waited for for long');
like($row->{message}, qr/within 300 ms$/, 'as long as lock_timeout');
like($row->{detail} // '', qr/${\ $blocker->pid}.*holds/, 'and whose it is');
$blocker->run('ROLLBACK');
$blocker->run("BEGIN; ALTER EXTENSION thing UPDATE TO '1.1'");
$row = rehearse('an upgrade that another session runs');
is("$row->{outcome} $row->{sqlstate} $row->{message}", 'failed 55006 another upgrade of extension "thing" is running', 'it is not waited for either');
is_deeply([ map { $_->{risk} } @{ $row->{report}{steps} } ], [ ('unknown') x 3 ], 'no step has run');
$blocker->run('ROLLBACK');
$blocker->run('SELECT pg_advisory_lock(42)');
$row = rehearse('a time limit', "SET documentdb_upgrade.lock_timeout = '1h'; SET documentdb_upgrade.attempt_timeout = '300ms';");
is("$row->{outcome} $row->{sqlstate}", 'failed 57014', 'it holds');
like($row->{message}, qr/exceeded its time limit of 300 ms/, 'in these words');

# Nothing else is waited for: not a sequence that somebody is about to drop.
$blocker->run('SELECT pg_advisory_unlock(42)');
sql($node, 'CREATE TABLE unrelated (id serial)');
$digests = catalogue_digests($node);
$blocker->run('BEGIN; DROP TABLE unrelated');
is(rehearse('a sequence that another session drops')->{outcome}, 'passed', 'is in nobody\'s way');
$blocker->run('ROLLBACK; SELECT pg_advisory_lock(42)');

# A cancel is an error, and stores nothing.
sub stuck
{
	my ($before) = @_;
	my $session = DocumentdbUpgrade::Session->new($node);
	$session->run($before) if $before;
	$session->run("SET documentdb_upgrade.lock_timeout = '1h'");
	$session->start('SELECT (documentdb_upgrade.rehearse()).outcome');
	$session->wait_for(q{wait_event_type = 'Lock' AND wait_event = 'advisory'});
	return $session;
}
my $count = sql($node, 'SELECT count(*) FROM documentdb_upgrade.rehearsals');
my $session = stuck('BEGIN; SAVEPOINT a');
sql($node, 'SELECT pg_cancel_backend(' . $session->pid . ')');
is($session->finish->{sqlstate}, '57014', 'a cancel ends it');
is($session->run('ROLLBACK TO a; SELECT count(*) FROM documentdb_upgrade.rehearsals')->{stdout}, $count, 'and nothing is stored');
is($session->run('COMMIT; SELECT 1')->{stdout}, '1', 'the session goes on');
$session->quit;
is(try_sql($node, q{SET statement_timeout = '300ms'; SET documentdb_upgrade.lock_timeout = '1h'; SELECT documentdb_upgrade.rehearse()})->{sqlstate},
	'57014', 'a statement_timeout of the caller too');
is(catalogue_digests($node), $digests, 'nothing has changed');

# A session that is terminated has temporary tables to drop, while the names of
# what is dropped are still being noted.
my $started = sql($node, 'SELECT pg_postmaster_start_time()');
my $log = -s $node->logfile;
$session = stuck('CREATE TEMP TABLE a (id int); CREATE TEMP TABLE b (id int)');
sql($node, 'SELECT pg_terminate_backend(' . $session->pid . ')');
is($session->finish_lost->{sqlstate}, '57P01', 'a termination ends the session');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = " . $session->pid), 'which goes');
ok(!$node->log_contains('terminated by signal', $log), 'without a crash');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_class WHERE relname IN ('a', 'b')}), 'and takes its tables along');
$blocker->quit;
$digests = catalogue_digests($node);
is(rehearse('after all that')->{outcome}, 'passed', 'the next one passes');

done_testing();
