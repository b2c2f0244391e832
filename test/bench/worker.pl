# What the worker costs and how fast it is, in one run on one machine: medians
# and ratios.  Run by test/bench/run; the arguments are rounds and seconds.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my ($rounds, $seconds) = @ARGV;
my ($extension, $old, $new) = ('pg_stat_statements', '1.4', '1.10');

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return $#sorted % 2 ? ($sorted[ $#sorted / 2 ] + $sorted[ $#sorted / 2 + 1 ]) / 2 : $sorted[ $#sorted / 2 ];
}

# CPU seconds and voluntary context switches of a process so far.
sub cost_of
{
	my $pid = shift;
	my @stat = split / /, slurp_file("/proc/$pid/stat") =~ s/^.*\) //rs;
	my ($switches) = slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
	return (($stat[11] + $stat[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK()), $switches);
}

# Milliseconds of a statement on a fresh copy of the extension.
sub plain_alter
{
	my $session = shift;
	my @times;

	foreach (1 .. $rounds)
	{
		$session->run("DROP EXTENSION IF EXISTS $extension; CREATE EXTENSION $extension VERSION '$old'");
		my $start = time;
		$session->run("ALTER EXTENSION $extension UPDATE");
		push @times, 1000 * (time - $start);
	}
	return @times;
}

# Milliseconds from a change of the resource until another session has seen
# the new version committed.
sub follow_changes
{
	my ($node, $api, $session) = @_;
	my @times;

	foreach my $round (1 .. $rounds)
	{
		$session->run("DROP EXTENSION IF EXISTS $extension; CREATE EXTENSION $extension VERSION '$old'");
		$api->patch_spec('db1', schemaVersion => '');
		wait_for_status($node, sub { $_[0]->{state} eq 'update_available' && $_[0]->{desired} eq '' }, 'a round begins');
		wait_for_watch($api);
		$session->start("SELECT documentdb_upgrade.wait_for('$new', '20 s')");
		$session->wait_for(q{wait_event_type IS NOT NULL AND state = 'active'});
		my $start = time;
		$api->patch_spec('db1', schemaVersion => '1.10.0');
		my $result = $session->finish;
		push @times, 1000 * (time - $start);
		$result->{stdout} eq 't' or die "the schema did not follow: $result->{stderr}\n";
	}
	return @times;
}

sub idle_cost
{
	my ($node, $api) = @_;
	my $pid = worker_pid($node);
	my $launcher = sql($node, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade launcher'});
	$api->mark;
	my @before = map { [ cost_of($_) ] } $pid, $launcher;

	select undef, undef, undef, $seconds;
	my @after = map { [ cost_of($_) ] } $pid, $launcher;
	my $hour = 3600 / $seconds;
	return (
		$hour * ($after[0][0] + $after[1][0] - $before[0][0] - $before[1][0]),
		$hour * ($after[0][1] + $after[1][1] - $before[0][1] - $before[1][1]),
		$hour * $api->requests);
}

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1, documentDBVersion => '1.10.0' });
my $node = new_node('bench', preload => 1, conf => follow_settings($api) . "fsync = on\n");
sql($node, 'CREATE EXTENSION documentdb_upgrade');
sql($node, "ALTER DATABASE postgres SET documentdb_upgrade.extension = '$extension'");
my $session = DocumentdbUpgrade::Session->new($node);

sql($node, q{ALTER SYSTEM SET documentdb_upgrade.source = 'setting'});
$node->reload;
my $plain = median(plain_alter($session));
sql($node, q{ALTER SYSTEM RESET documentdb_upgrade.source});
$node->reload;
my $followed = median(follow_changes($node, $api, $session));
note sprintf "Change of the resource until committed, ms (median of %d): %.1f; plain ALTER %.1f; above it %.1f   goal 50   %s",
  $rounds, $followed, $plain, $followed - $plain, $followed - $plain < 50 ? 'met' : 'MISSED';

# Idle at the default pace; a read anew belongs to each resync_interval.
$node->append_conf('postgresql.conf', "documentdb_upgrade.poll_interval = '5s'\ndocumentdb_upgrade.resync_interval = '${\ ($seconds / 6)}s'\n");
$node->restart;
wait_for_state($node, 'up_to_date');
wait_for_watch($api);
my ($cpu, $wakeups, $requests) = idle_cost($node, $api);
my $hourly = $requests * ($seconds / 6) / 600;
note sprintf "Idle with a watch, per hour: %.2f CPU seconds   goal 1   %s; %.0f wake-ups; %.1f requests at resync_interval 10 min   goal 15   %s",
  $cpu, $cpu < 1 ? 'met' : 'MISSED', $wakeups, $hourly, $hourly < 15 ? 'met' : 'MISSED';

done_testing();
