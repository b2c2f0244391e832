# What the worker costs and how fast it follows, in one run on one machine:
# medians and ratios.  Run by test/bench/run; the arguments are rounds and
# seconds.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Bench;
use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my ($rounds, $seconds) = @ARGV;

# CPU seconds and voluntary context switches of a process so far.
sub cost_of
{
	my $pid = shift;
	my ($nanoseconds) = slurp_file("/proc/$pid/schedstat") =~ /^(\d+)/;
	my ($switches) = slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
	return ($nanoseconds / 1e9, $switches);
}

# From a change of the resource until another session has seen the new version
# committed, and the same step of the twin by a plain ALTER, in turns.
sub follow_changes
{
	my ($node, $api) = @_;
	my $session = DocumentdbUpgrade::Session->new($node);
	my (@followed, @plain);

	foreach my $round (1 .. $rounds)
	{
		wait_for_status($node, sub { $_[0]->{state} =~ /up_to_date|update_available/ }, 'a round begins');
		wait_for_watch($api);
		push @plain, milliseconds(sub { $session->run("ALTER EXTENSION plain UPDATE TO '1.$round'") });
		$session->start("SELECT documentdb_upgrade.wait_for('1.$round', '20 s')");
		$session->wait_for(q{wait_event_type IS NOT NULL AND state = 'active'});
		my $result;
		push @followed, milliseconds(sub {
			$api->patch_spec('db1', schemaVersion => "1.$round.0");
			$result = $session->finish;
		});
		$result->{stdout} eq 't' or die "the schema did not follow: $result->{stderr}\n";
	}
	$session->quit;
	return (\@followed, \@plain);
}

sub idle_cost
{
	my ($node, $api) = @_;
	my @pids = (worker_pid($node),
		sql($node, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade launcher'}));
	$api->mark;
	my @before = map { [ cost_of($_) ] } @pids;

	select undef, undef, undef, $seconds;
	my @after = map { [ cost_of($_) ] } @pids;
	my $hour = 3600 / $seconds;
	return (
		$hour * ($after[0][0] + $after[1][0] - $before[0][0] - $before[1][0]),
		$hour * ($after[0][1] + $after[1][1] - $before[0][1] - $before[1][1]),
		$hour * $api->requests);
}

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = bench_node('worker', $api, $rounds + 1);

my ($followed, $plain) = follow_changes($node, $api);
result("a change of the resource until it is committed, medians of $rounds", median(@$followed), 'ms',
	peer => '`ALTER EXTENSION`', theirs => median(@$plain),
	goal => 'at most 50 ms more', met => median(@$followed) - median(@$plain) < 50);
points('detection', 'ours', cumulative(@$followed));
points('detection', 'alter', cumulative(@$plain));

# Idle at the default pace; a read anew belongs to each resync_interval, of
# which there are six, in a time of its own.
sub idle_at
{
	my $resync = shift;

	$node->append_conf('postgresql.conf', "documentdb_upgrade.poll_interval = '5s'\ndocumentdb_upgrade.resync_interval = '$resync'\n");
	$node->restart;
	wait_for_status($node, sub { $_[0]->{state} eq 'up_to_date' }, 'all is quiet');
	wait_for_watch($api);
	select undef, undef, undef, 2;
	return idle_cost($node, $api);
}

my ($cpu, $wakeups) = idle_at('10min');
my (undef, undef, $requests) = idle_at(($seconds / 6) . 's');
my $hourly = $requests * ($seconds / 6) / 600;
result('processor time of an hour idle with a watch', $cpu, 's', goal => 'below 1', met => $cpu < 1);
result('wake-ups in an hour idle with a watch', $wakeups, '');
result('requests in an hour idle, `resync_interval` 10 min', $hourly, '', goal => 'below 15', met => $hourly < 15);

pass('came to its end');
done_testing();
