# A failure that may pass by itself is tried again: ever later, with one
# warning that names who is in the way, and with success in the end.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state wait_for_status);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', conf => q{
	documentdb_upgrade.lock_timeout = '100ms'
	documentdb_upgrade.guard_severity = 'blocking_sessions=skip, rehearsed=skip'
	documentdb_upgrade.retry_max = '1h'
});
my $failures = q{SELECT coalesce(sum(1 + repeats), 0) FROM documentdb_upgrade.history WHERE outcome = 'failed'};

# Ended by an administrator.
my $gate = close_gate($node);
set_and_reload($node, 'documentdb_upgrade.lock_timeout', '1h');
desire($node, '1.2');
my $pid = attempt_at_gate($node);
sql($node, "SELECT pg_terminate_backend($pid)");
isnt(attempt_at_gate($node), $pid, 'an attempt that was terminated is tried again');
$gate->quit;
wait_for_state($node, 'up_to_date');
is(attempts($node), "1.0 1.2 failed worker\n1.0 1.2 succeeded worker", 'and succeeds');
is(sql($node, q{SELECT sqlstate, message FROM documentdb_upgrade.history WHERE outcome = 'failed'}),
	'57P01|the session ended during the attempt', 'history tells what became of the first');
is(sql($node, 'SELECT attempts_total, attempts_failed_total, attempts_succeeded_total FROM documentdb_upgrade.metrics'), '2|1|1', 'metrics count it');

# Somebody holds a table.
sql($node, q{ALTER SYSTEM RESET documentdb_upgrade.lock_timeout; DELETE FROM documentdb_upgrade.history});
write_extension($node, 'thing', '1.3', '1.2--1.3' => 'ALTER TABLE last ADD three int;');
my $blocker = DocumentdbUpgrade::Session->new($node);
$blocker->run('BEGIN; LOCK TABLE last IN ACCESS SHARE MODE');
my $offset = -s $node->logfile;
desire($node, '1.3');

my $status = wait_for_status($node, sub { $_[0]->{state} eq 'pending' && $_[0]->{next_retry} }, 'a retry is planned');
like($status->{next_step}, qr/^The worker tries again at \S.* after \d failures? \(could not get all locks .* within 100 ms\); to try now, run SELECT documentdb_upgrade\.retry\(\);$/,
	'with what is wrong and what to do');
like($status->{last_error}, qr/^could not get all locks for the upgrade of extension "thing"/, 'status has the error');

my $warning = qr/WARNING:  finalize of extension "thing" to "1\.3" has failed 5 times in a row: could not get all locks/;
$node->wait_for_log($warning, $offset);
like(logged($node, $offset), qr/$warning.*\n.*DETAIL:  .*\b@{[$blocker->pid]}\b.* holds AccessShareLock on (?:public\.)?last\./, 'after five there is a warning that names the session in the way');
ok($node->poll_query_until('postgres', q{SELECT next_retry - clock_timestamp() BETWEEN '25 min' AND '61 min' FROM documentdb_upgrade.status}),
	'and from then on retry_max is the pace');
is(sql($node, $failures), '5', 'after five attempts');
is(sql($node, q{SELECT next_retry_seconds BETWEEN 1500 AND 3600, attempts_failed_total FROM documentdb_upgrade.metrics}), 't|5', 'as metrics say');

is(sql($node, 'SELECT documentdb_upgrade.retry()'), 't', 'retry() does not wait for that');
$node->wait_for_log(qr/(?:$warning.*){2}/s, $offset);
is(sql($node, $failures), '10', 'and begins to count anew');
set_and_reload($node, 'documentdb_upgrade.retry_max', '50ms');
sql($node, 'SELECT documentdb_upgrade.retry()');
ok($node->poll_query_until('postgres', "SELECT ($failures) > 20"), 'it goes on as long as it takes');
is(count_logged($node, qr{times in a row}, $offset), 3, 'with one warning each time');
is(shape($node), $shape_of{'1.2'}, 'nothing is half done');

$blocker->quit;
wait_for_state($node, 'up_to_date');
is(shape($node), '1.3 thing(id,one,two) last(id,three)', 'when the way is free it succeeds');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE outcome = 'succeeded'}), '1', 'once');
is(join('|', map { $_ // '' } @{ status_of($node) }{qw(next_retry last_error)}), '|', 'and is forgotten');

done_testing();
