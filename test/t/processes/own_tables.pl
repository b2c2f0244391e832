# Whoever drops this extension, or takes several of its tables for himself, does
# not run into a deadlock with processes of ours.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main');
my $session = DocumentdbUpgrade::Session->new($node);
my $offset = -s $node->logfile;

# The worker waits: for a lock, or for all of them.
my $waits = q{SELECT count(*) FROM pg_stat_activity a WHERE backend_type = 'documentdb_upgrade worker'
	AND (EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND NOT granted)
		OR state = 'active' AND wait_event_type = 'Extension')};

sub wait_until_worker_waits
{
	return poll_until(
		sub {
			$session->run('SELECT pg_stat_clear_snapshot()');
			$session->run($waits)->{stdout} eq '1';
		}, 'the worker waits');
}

# A session that has one table, which the worker waits for, wants the rest.
# Its deadlock_timeout has it look before the worker gives up.
wait_for_state($node, 'update_available');
sql($node, q{SELECT documentdb_upgrade.hold('for now')});
desire($node, '1.2');
wait_for_state($node, 'held');
$session->run(q{SET deadlock_timeout = '1ms'});
my @ways = (
	'DROP EXTENSION documentdb_upgrade',
	'TRUNCATE documentdb_upgrade.history, documentdb_upgrade.holds, documentdb_upgrade.checks, documentdb_upgrade_internal.binaries_seen',
	'LOCK TABLE documentdb_upgrade_internal.binaries_seen, documentdb_upgrade.holds');
foreach my $way (@ways)
{
	$session->run('BEGIN; LOCK TABLE documentdb_upgrade.history IN ACCESS EXCLUSIVE MODE');
	wait_until_worker_waits();
	my $result = $session->run($way);
	ok($result->{ok}, $way) or diag($result->{sqlstate}, ' ', $result->{message});
	$session->run('ROLLBACK');
	wait_for_looks($node, 1);
}

$session->quit;

# While an attempt runs, which has looked at some tables and will write to others.
my $gate = close_gate($node);
sql($node, 'SELECT documentdb_upgrade.release()');
attempt_at_gate($node);
$session = DocumentdbUpgrade::Session->new($node);
$session->start('DROP EXTENSION documentdb_upgrade');
ok( comes_true($node, q{SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT granted AND query ~ '^DROP')}),
	'dropped while an attempt runs');
$gate->quit;
ok($session->finish->{ok}, 'the attempt ends, then it is done');
is(shape($node), $shape_of{'1.2'}, 'the attempt has succeeded');
$session->run('CREATE EXTENSION documentdb_upgrade');
wait_for_state($node, 'up_to_date');

# Again and again.
foreach my $round (1 .. 15)
{
	my $result = $session->run('DROP EXTENSION documentdb_upgrade');
	ok($result->{ok}, "drop $round") or diag($result->{message});
	$session->run('CREATE EXTENSION documentdb_upgrade');
	wait_for_state($node, 'up_to_date') if $round % 5 == 0;
}
is(count_logged($node, qr/deadlock detected/, $offset), 0, 'no deadlock was met');
is(lines_logged($node, qr/(?:ERROR|FATAL):/, $offset), '', 'nobody has failed');
$session->quit;

done_testing();
