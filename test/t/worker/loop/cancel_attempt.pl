# cancel() ends the running attempt, which is then not repeated until retry();
# once the commit has begun it is too late, and says so.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', streaming => 1);
my $gate = close_gate($node);
my $progress = q{SELECT actor, extension, from_version, target, step, steps, step_from, step_to,
	started_at <= clock_timestamp(), cancel_requested, commit_begun FROM documentdb_upgrade.progress};
my $cancel = 'SELECT documentdb_upgrade.cancel()';
my $retry = 'SELECT documentdb_upgrade.retry()';

wait_for_state($node, 'update_available');
is(sql($node, $progress), '', 'no attempt runs');
is(sql($node, $cancel), 'f', 'so there is nothing to cancel');
is(sql($node, $retry), 'f', 'nor to retry');

desire($node, '1.2');
my $pid = attempt_at_gate($node);
is(sql($node, $progress), 'worker|thing|1.0|1.2|2|2|1.1|1.2|t|f|f', 'progress shows the attempt at its last step');
is(sql($node, 'SELECT pid FROM documentdb_upgrade.progress'), $pid, 'with its process');
wait_for_state($node, 'finalizing', qr/An attempt runs step 2 of 2; .* run SELECT documentdb_upgrade\.cancel\(\);/);
is(shape($node), $shape_of{'1.0'}, 'nobody sees anything of it');

is(sql($node, $cancel), 't', 'cancel() comes in time');
wait_for_state($node, 'failed', qr/because cancel\(\) was called\) and is not repeated by itself; .* run SELECT documentdb_upgrade\.retry\(\);/);
is(sql($node, 'SELECT outcome, message, actor FROM documentdb_upgrade.history'),
	'cancelled|upgrade of extension "thing" was cancelled because cancel() was called|worker', 'history tells it');
is(sql($node, $progress), '', 'the attempt is gone');
is(shape($node), $shape_of{'1.0'}, 'without a trace');
is(sql($node, $cancel), 'f', 'another cancel() finds nothing');
wait_for_looks($node, 10);
is(attempts($node), '1.0 1.2 cancelled worker', 'it is not repeated');
is(status_of($node)->{next_retry}, undef, 'nor is that due');

# What somebody has stopped stays so, whichever process looks.
my $worker = process_of($node, 'worker');
sql($node, "SELECT pg_terminate_backend($worker)");
ok($node->poll_query_until('postgres', "SELECT worker_pid <> $worker FROM documentdb_upgrade.status"), 'another worker comes');
wait_for_looks($node, 3);
wait_for_state($node, 'failed', qr/is not repeated by itself/);
is(attempts($node), '1.0 1.2 cancelled worker', 'and does not repeat it either');

set_and_reload($node, 'documentdb_upgrade.poll_interval', '1h');
is(sql($node, $retry), 't', 'retry() has something to forget');
ok(attempt_at_gate($node), 'and the attempt begins at once');
$gate->quit;
wait_for_state($node, 'up_to_date');
is(shape($node), $shape_of{'1.2'}, 'and succeeds');
is(attempts($node), "1.0 1.2 cancelled worker\n1.0 1.2 succeeded worker", 'history has both');
is(sql($node, $retry), 'f', 'now there is nothing to retry');

# A commit that waits for a standby that never comes.
write_extension($node, 'thing', '1.3', '1.2--1.3' => 'ALTER TABLE last ADD three int;');
require_standby($node, 'nobody');
desire($node, '1.3');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'documentdb_upgrade attempt' AND wait_event = 'SyncRep'}), 'an attempt waits in its commit');
is(sql($node, 'SELECT commit_begun, cancel_requested FROM documentdb_upgrade.progress'), 't|f', 'progress tells that its commit has begun');
is(sql($node, $cancel), 'f', 'cancel() is too late');
my $session = DocumentdbUpgrade::Session->new($node);
is($session->run(q{BEGIN; SELECT documentdb_upgrade.hold('too late')})->{stdout}, 'f', 'so is hold()');
$session->run('ROLLBACK');
$session->quit;
$worker = process_of($node, 'worker');
my $offset = -s $node->logfile;
desire($node, 'auto');
ok($node->poll_query_until('postgres', q{SELECT desired = 'auto' FROM documentdb_upgrade.status}), 'the worker goes on reading what is desired');
desire($node, '');
ok($node->poll_query_until('postgres', q{SELECT desired = '' FROM documentdb_upgrade.status}), 'and takes note that nothing is');
is(sql($node, q{SELECT commit_begun, cancel_requested FROM documentdb_upgrade.progress}), 't|f', 'it is too late for that as well');
require_standby($node, '');
ok($node->poll_query_until('postgres', q{SELECT installed_version = '1.3' AND state = 'up_to_date' FROM documentdb_upgrade.status}), 'the upgrade is done');
is(attempts($node), "1.0 1.2 cancelled worker\n1.0 1.2 succeeded worker\n1.2 1.3 succeeded worker", 'and recorded as what it is');
is(process_of($node, 'worker'), $worker, 'the worker is the same all the time');
is(lines_logged($node, qr/ERROR|WARNING/, $offset), '', 'and has nothing to complain about');

done_testing();
