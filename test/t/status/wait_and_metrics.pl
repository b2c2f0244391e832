# wait_for() tells when a version is there, and metrics what a monitor needs,
# with a worker, without one, and over restarts.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;
use Time::HiRes qw(time);

my $node = worker_node('main', preload => '');

# Runs it and gives what it says and how long that took.
sub wait_for
{
	my ($target, $timeout) = @_;
	my $start = time;
	my $result = try_sql($node, "SELECT documentdb_upgrade.wait_for('$target', '$timeout')");
	return ($result->{stdout}, time - $start, $result);
}

sub waits
{
	my $how = shift;
	my ($answer, $seconds);

	($answer, $seconds) = wait_for('1.0', '10 min');
	is($answer, 't', "$how: what is there is there");
	cmp_ok($seconds, '<', 300, "$how: at once");
	is((wait_for('1.0.0', '0'))[0], 't', "$how: however it is spelled");
	($answer, $seconds) = wait_for('1.1', '300 ms');
	is($answer, 'f', "$how: what is not there is waited for");
	cmp_ok($seconds, '>=', 0.3, "$how: to the end");
	is((wait_for('1.1', '-1 s'))[0], 'f', "$how: or not at all");
	is((wait_for('newest', '1 s'))[2]->{sqlstate}, '22023', "$how: no version is an error");
	return;
}

# The columns that exporters are told of.
my $metrics = q{SELECT role, state, installed_version, desired, worker_up, attempts_total, attempts_failed_total, attempts_succeeded_total,
	blocked_guards, held, contact_age_seconds >= 0, next_retry_seconds, source_failures_total, reports_delivered_total,
	reports_failed_total, events_dropped_total, last_success_age_seconds >= 0 FROM documentdb_upgrade.metrics};
is(sql($node, q{SELECT count(*) FROM information_schema.columns WHERE table_schema = 'documentdb_upgrade' AND table_name = 'metrics'
		AND column_name !~ '_(seconds|total)$' AND column_name NOT IN ('role', 'state', 'installed_version', 'desired', 'worker_up', 'blocked_guards', 'held', 'standbys', 'standbys_ready', 'fenced', 'extension')}),
	'0', 'names tell the unit');

waits('without a worker');
is(sql($node, $metrics), 'primary|update_available|1.0||0|0|0|0|0|0||||0|0|0|0|' =~ s/\|\|\|\|0/||0|0/r, 'metrics without a worker')
  or diag(sql($node, $metrics));
ok(comes_true($node, 'SELECT update_available_seconds > 0 FROM documentdb_upgrade.metrics'), 'an update that waits grows old');

# The age is counted from when the binary was first seen, whatever restarts.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'documentdb_upgrade'\n");
sql($node, q{UPDATE documentdb_upgrade_internal.binaries_seen SET first_seen = first_seen - interval '2 days'});
$node->restart;
wait_for_state($node, 'update_available');
is(sql($node, 'SELECT update_available_seconds BETWEEN 172800 AND 172800 + 86400 FROM documentdb_upgrade.metrics'), 't', 'over restarts');
is(sql($node, $metrics), 'primary|update_available|1.0||1|0|0|0|0|0|t|0|0|0|0|0|', 'metrics with a worker');
is(sql($node, 'SELECT source_reads_total > 0 FROM documentdb_upgrade.metrics'), 't', 'which reads its source');
sql($node, q{SELECT documentdb_upgrade.hold('look')});
is(sql($node, 'SELECT held, blocked_guards, update_available_seconds > 172800 FROM documentdb_upgrade.metrics'), '1|1|t', 'a hold shows');
sql($node, 'SELECT documentdb_upgrade.release()');

# Who waits is told at the commit.
waits('with a worker');
my $gate = close_gate($node);
my @waiting = map { DocumentdbUpgrade::Session->new($node) } 1 .. 2;
$waiting[0]->start(q{SELECT documentdb_upgrade.wait_for('1.2', '1 h')});
$waiting[1]->start(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT extversion FROM pg_extension WHERE extname = 'thing';
	SELECT documentdb_upgrade.wait_for('1.2', '1 h')});
desire($node, '1.2');
attempt_at_gate($node);
is(sql($node, q{SELECT documentdb_upgrade.wait_for('1.2', '100 ms')}), 'f', 'an attempt that runs is not yet it');
$gate->quit;
is($waiting[0]->finish->{stdout}, 't', 'a session that waits hears of the commit');
is($waiting[1]->finish->{stdout}, "1.0\nt", 'also in a transaction that sees nothing new');
$_->quit foreach @waiting;
wait_for_state($node, 'up_to_date');
is(sql($node, $metrics), 'primary|up_to_date|1.2|1.2|1|1|0|1|0|0|t|0|0|0|0|0|t', 'metrics count what was done');
is(sql($node, 'SELECT update_available_seconds FROM documentdb_upgrade.metrics'), '0', 'and no update waits');

# A wait can be cancelled.
my $session = DocumentdbUpgrade::Session->new($node);
$session->start(q{SELECT documentdb_upgrade.wait_for('9.9', '1 h')});
$session->wait_for(q{state = 'active' AND wait_event_type = 'Extension'});
sql($node, 'SELECT pg_cancel_backend(' . $session->pid . ')');
is($session->finish->{sqlstate}, '57014', 'a wait can be cancelled');
is($session->run(q{SELECT documentdb_upgrade.wait_for('1.2', '1 h')})->{stdout}, 't', 'and another begun');
$session->quit;

done_testing();
