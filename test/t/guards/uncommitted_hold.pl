# A hold counts from the moment hold() is called, however long its transaction
# stays open: no other attempt begins in between.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main');
my $gate = close_gate($node);
my $session = DocumentdbUpgrade::Session->new($node);
my $runs = q{SELECT coalesce(sum(1 + repeats), 0) FROM documentdb_upgrade.history};
my $is_placed = qr/A hold is placed: by process ${\ $session->pid}, in a transaction that has not ended yet\./;

# Holds in a transaction that stays open while an attempt runs.
sub hold_open
{
	my ($reason) = @_;
	my $attempt = attempt_at_gate($node);

	is($session->run("BEGIN; SELECT documentdb_upgrade.hold('$reason')")->{stdout}, 't', "$reason: a hold in an open transaction");
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $attempt"), "$reason: ends the attempt");
	return;
}

# The worker looks ten times a second, and would try again at each.
sub nothing_begins
{
	my ($reason) = @_;
	my $before = sql($node, $runs);

	wait_for_state($node, 'held', $is_placed);
	wait_for_looks($node, 5);
	is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade attempt'}), '0', "$reason: no other runs");
	is(sql($node, $runs), $before, "$reason: or has run");
	return;
}

wait_for_state($node, 'update_available');
desire($node, '1.2');
hold_open('rolled back');
nothing_begins('rolled back');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')})->{sqlstate}, '55000', 'it counts for everybody');
is(sql($node, q{SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'hold'}), 'fail', 'preflight() tells');

# Nothing waits for a poll when it ends.
set_and_reload($node, 'documentdb_upgrade.poll_interval', '1h');
wait_for_state($node, 'held');
$session->run('ROLLBACK');
ok(attempt_at_gate($node), 'rolled back: the next attempt begins at once');

# Taken back by a savepoint it lasts until the end of the transaction.
set_and_reload($node, 'documentdb_upgrade.poll_interval', '100ms');
my $attempt = attempt_at_gate($node);
$session->run(q{BEGIN; SAVEPOINT s; SELECT documentdb_upgrade.hold('savepoint'); ROLLBACK TO s});
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $attempt"), 'savepoint: ends the attempt');
nothing_begins('savepoint');
$session->run('COMMIT');
ok(attempt_at_gate($node), 'savepoint: the next attempt begins');

# A session that vanishes blocks nothing, nor does one that goes on with
# something else.
hold_open('vanished');
nothing_begins('vanished');
kill 'TERM', $session->pid;
ok(attempt_at_gate($node), 'vanished: the next attempt begins');
$session = DocumentdbUpgrade::Session->new($node);
$is_placed = qr/A hold is placed: committed/;

hold_open('committed');
$session->run('COMMIT');
nothing_begins('committed');
$session->run('BEGIN; SELECT 1');
is(sql($node, 'SELECT documentdb_upgrade.release()'), 't', 'committed: released by another session');
ok(attempt_at_gate($node), 'committed: the next attempt begins, whatever the first session does');
$session->run('COMMIT');

# Another database is not concerned.
sql($node, 'CREATE DATABASE other');
sql($node, 'CREATE EXTENSION documentdb_upgrade', 'other');
my $other = DocumentdbUpgrade::Session->new($node, dbname => 'other');
$attempt = attempt_at_gate($node);
$other->run(q{BEGIN; SELECT documentdb_upgrade.hold('elsewhere')});
wait_for_looks($node, 5);
is(attempt_at_gate($node), $attempt, 'a hold in another database ends nothing here');
$other->run('ROLLBACK');

$gate->quit;
wait_for_state($node, 'up_to_date');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE outcome IN ('failed', 'refused') AND actor = 'worker'}), '0', 'nothing has failed');
is(shape($node), $shape_of{'1.2'}, 'and the upgrade is there in the end');
$_->quit foreach $session, $other;

done_testing();
