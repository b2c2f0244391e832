# However a rehearsal in a throw-away database ends, the database is dropped
# and no process is left.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.lock_timeout = '1h'});

# The gate is a lock on an object that all databases share.
write_extension($node, 'thing', '1.1', '1.0' => '', '1.0--1.1' => 'ALTER ROLE gate SET work_mem = 100;');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'; CREATE ROLE gate});
my $gate;

sub close_gate
{
	$gate = DocumentdbUpgrade::Session->new($node);
	$gate->run('BEGIN; ALTER ROLE gate SET work_mem = 200');
	return;
}
sub clean
{
	my ($how) = @_;
	ok($node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname LIKE '%scratch%')
		AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE '%scratch%')}), "$how: nothing is left");
	return;
}
sub stuck
{
	my $session = DocumentdbUpgrade::Session->new($node);
	$session->start('SELECT outcome FROM documentdb_upgrade.rehearse(scratch => true)');
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade scratch' AND wait_event_type = 'Lock'})
	  or die "it never came to the gate\n";
	return $session;
}
sub pid_of { return sql($node, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade $_[0]'") }

close_gate();
my $session = stuck();
sql($node, 'SELECT pg_cancel_backend(' . $session->pid . ')');
is($session->finish->{sqlstate}, '57014', 'a cancel of the caller ends it');
clean('while the gate is still closed');
is($session->run('SELECT count(*) FROM documentdb_upgrade.rehearsals')->{stdout}, '0', 'nothing is stored');

$session->start('SELECT outcome FROM documentdb_upgrade.rehearse(scratch => true)');
poll_until(sub { pid_of('scratch') }, 'the same session tries again');
sql($node, 'SELECT pg_terminate_backend(' . $session->pid . ')');
is($session->finish_lost->{sqlstate}, '57P01', 'a termination of the caller');
clean('after it');

foreach my $signal ('cancel', 'terminate')
{
	$session = stuck();
	sql($node, "SELECT pg_${signal}_backend(" . pid_of('scratch') . ')');
	my $result = $session->finish;
	is($result->{sqlstate}, $signal eq 'cancel' ? '0A000' : '57000', "a $signal of the process in it") or diag($result->{stderr});
	clean('after it');
	is($session->run('SELECT 1')->{stdout}, '1', 'the session goes on');
	$session->quit;
}
foreach my $signal ('cancel', 'terminate')
{
	$session = stuck();
	sql($node, "SELECT pg_${signal}_backend(" . pid_of('scratch keeper') . ')');
	isnt($session->finish->{sqlstate} // '', '', "a $signal of the keeper");
	clean('after it');
	$session->quit;
}

# A crash leaves a database, which the next keeper finds; but not what only
# looks like one.
$session = stuck();
$node->stop('immediate');
$session->finish_lost;
$gate->finish_lost;
$node->start;
is(sql($node, q{SELECT count(*) FROM pg_database WHERE datname LIKE '%scratch%'}), '1', 'a crash leaves the database');
sql($node, 'CREATE DATABASE documentdb_upgrade_scratch_999999');
my ($left) = sql($node, q{SELECT datname FROM pg_database WHERE datconnlimit = 0});
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse(scratch => true)}), 'passed', 'the next one passes');
is(sql($node, q{SELECT string_agg(datname, ' ') FROM pg_database WHERE datname LIKE '%scratch%'}), 'documentdb_upgrade_scratch_999999', 'and drops it');
sql($node, 'UPDATE pg_database SET datconnlimit = -2 WHERE datname = \'documentdb_upgrade_scratch_999999\'');
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse(scratch => true)}), 'passed', 'one that was half dropped');
clean('is dropped as well');

# A shutdown in the middle.
close_gate();
$session = stuck();
$node->stop('fast');
$session->finish_lost;
$gate->finish_lost;
$node->start;
is(sql($node, q{SELECT count(*) FROM pg_database WHERE datname LIKE '%scratch%'}), '0', 'a fast shutdown leaves nothing');
done_testing();
