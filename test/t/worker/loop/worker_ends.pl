# The worker's process ends in an ordinary way while an attempt runs: the
# attempt goes on, the next worker takes it over, and nothing is done twice.
# The same when the launcher ends.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', conf => 'autovacuum = off');
write_extension($node, 'thing', '1.5', map { ("1.$_--1." . ($_ + 1) => 'SELECT pg_advisory_xact_lock(42);') } 2 .. 4);
my $gate = close_gate($node);

# Ends the worker in that way while an attempt to that version waits.
sub taken_over
{
	my ($way, $version, $end) = @_;

	desire($node, $version);
	my $attempt = attempt_at_gate($node);
	my $worker = status_of($node)->{worker_pid};
	$end->($worker);
	ok($node->poll_query_until('postgres', "SELECT worker_pid <> $worker FROM documentdb_upgrade.status"), "$way: another worker comes");
	wait_for_state($node, 'finalizing');
	is(attempt_at_gate($node), $attempt, "$way: the attempt goes on");
	is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade attempt'}), '1', "$way: no other runs");
	return;
}

wait_for_state($node, 'update_available');
my $offset = -s $node->logfile;
taken_over('an ordinary end', '1.2', sub { sql($node, "SELECT pg_terminate_backend($_[0])") });
$gate->run('SELECT pg_advisory_unlock(42)');
wait_for_state($node, 'up_to_date');
$gate->run('SELECT pg_advisory_lock(42)');
wait_for_looks($node, 3);
is(attempts($node), '1.0 1.2 succeeded worker', 'one attempt, one row');
is(shape($node), $shape_of{'1.2'}, 'and all of it');

# The next worker answers for it too.
taken_over('a wish that changes', '1.3', sub { kill 'TERM', $_[0] });
desire($node, '1.2');
wait_for_state($node, 'up_to_date');
is(attempts($node), "1.0 1.2 succeeded worker\n1.2 1.3 cancelled worker", 'the next worker ends what is not desired any more');

# An attempt whose process has not even connected yet is not known to anybody.
my $locker = DocumentdbUpgrade::Session->new($node);
$locker->run('BEGIN; LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE');
my $worker = $locker->run(q{SELECT worker_pid FROM documentdb_upgrade.status})->{stdout};
$gate->run('SELECT pg_advisory_unlock(42)');
$node->append_conf('postgresql.auto.conf', q{documentdb_upgrade.desired_schema_version = '1.5'});
$locker->run('SELECT pg_reload_conf()');
my $waiting = q{SELECT count(*) FROM pg_locks WHERE relation = 'pg_database'::regclass AND NOT granted};
ok(poll_until(sub { $locker->run($waiting)->{stdout} eq '1' }, 'the process waits'), 'an attempt waits before it has connected');
kill 'TERM', $worker;
ok(poll_until(sub { $locker->run($waiting)->{stdout} eq '2' }, 'both wait'), 'so does the next worker\'s start');
$locker->run('COMMIT');
ok($node->poll_query_until('postgres', q{SELECT installed_version = '1.5' AND state = 'up_to_date' FROM documentdb_upgrade.status}), 'it is done');
wait_for_looks($node, 5);
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE to_version = '1.5'}), '1', 'and once');

# A launcher that ends leaves the worker, which its successor minds.
my $launcher = process_of($node, 'launcher');
$worker = process_of($node, 'worker');
sql($node, "SELECT pg_terminate_backend($launcher)");
ok(comes_true($node, "SELECT EXISTS(SELECT FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade launcher' AND pid <> $launcher)"),
	'another launcher comes');
set_and_reload($node, 'documentdb_upgrade.poll_interval', '1h');
is(process_of($node, 'worker'), $worker, 'the worker is the same and the only one');
sql($node, "SELECT pg_terminate_backend($worker)");
ok(comes_true($node, "SELECT worker_pid <> $worker FROM documentdb_upgrade.status"), 'when it ends, another one comes');
is(lines_logged($node, qr/ERROR|WARNING|PANIC/, $offset), '', 'and without a complaint');
$_->quit foreach $gate, $locker;

done_testing();
