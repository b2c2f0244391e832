# A synchronous standby that is lost while a finalize commits: nobody is told
# that it is done before the standby has it, or is not asked for any more.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $p = fleet_primary('p', binary => '1.4');
my $s = add_standby($p, 's', slot => 1);
my $desired = 'documentdb_upgrade.desired_schema_version';
my $waiting = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade attempt' AND wait_event = 'SyncRep'};

# The standby goes while the worker's attempt is about to commit.
sub lose_standby
{
	my ($version) = @_;
	my $gate;

	wait_for_standbys($p, s => 'ready');
	$gate = close_gate($p);
	set_and_reload($p, $desired, $version);
	attempt_at_gate($p);
	require_standby_named('s');
	$s->stop('immediate');
	$gate->quit;
	return ok(comes_true($p, $waiting), "$version: the commit waits for the standby that has gone");
}

sub require_standby_named
{
	put_setting($p, 'synchronous_standby_names', $_[0]);
	sql($p, 'CHECKPOINT');
	return;
}

# For several looks of the worker.
sub is_not_done
{
	my ($name) = @_;
	my %seen;

	foreach (1 .. 4)
	{
		my $before = sql($p, 'SELECT clock_timestamp()');
		$seen{ status_of($p)->{state} }++;
		comes_true($p, "SELECT clock_timestamp() > '$before'::timestamptz + interval '300 ms'");
	}
	is(join(' ', keys %seen), 'finalizing', "$name: the state is finalizing all the time");
	like(status_of($p)->{next_step}, qr/synchronous/, "$name: and says what it waits for");
	is(sql($p, 'SELECT documentdb_upgrade.cancel()'), 'f', "$name: it is too late to cancel");
	return;
}

# It comes back.
lose_standby('1.1');
is_not_done('lost');
$s->start;
wait_for_state($p, 'up_to_date');
has_schema($s, '1.1');
wait_for_standbys($p, s => 'ready');
is(attempts($p), '1.0 1.1 succeeded worker', 'it was one attempt');

# It is not asked for any more: committed here, and not there.
require_standby_named('');
lose_standby('1.2');
is_not_done('lost again');
require_standby_named('');
wait_for_state($p, 'verifying', qr/"s"/);
has_schema($p, '1.2');
$s->start;
wait_for_state($p, 'up_to_date');
has_schema($s, '1.2');

# The wait is cut short by force: the same.
lose_standby('1.3');
sql($p, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade attempt'});
wait_for_state($p, 'verifying', qr/"s"/);
has_schema($p, '1.3');
is(sql($p, q{SELECT count(*), max(outcome) FROM documentdb_upgrade.history WHERE to_version = '1.3'}), '1|succeeded', 'history says that it is committed');
$s->start;
wait_for_state($p, 'up_to_date');
require_standby_named('');

# A server that crashes meanwhile has it, and knows nothing of the wait.
lose_standby('1.4');
$p->stop('immediate');
$p->start;
wait_for_state($p, 'verifying', qr/"s"/);
has_schema($p, '1.4');
$s->start;
wait_for_state($p, 'up_to_date');
has_schema($s, '1.4');
is(sql($p, q{SELECT string_agg(to_version || ' ' || outcome, ', ' ORDER BY id) FROM documentdb_upgrade.history}),
	'1.1 succeeded, 1.2 succeeded, 1.3 succeeded, 1.4 succeeded', 'each once');

done_testing();
