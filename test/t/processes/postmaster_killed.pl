# The postmaster alone is killed while a watch is open and an attempt runs:
# all our processes end by themselves, and a new start goes on from there.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower qw(follow_settings wait_for_state wait_for_watch);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });

# Nothing ends because it looks at the clock.
my $node = worker_node('main', conf => follow_settings($api) . "documentdb_upgrade.poll_interval = '1h'\n");

sub is_there { return kill 0, $_[0]; }

foreach my $round (1 .. 2)
{
	my $gate = close_gate($node);
	my %pids;

	wait_for_state($node, 'update_available');
	if ($round == 2)
	{
		$api->patch_spec('db1', schemaVersion => '1.2.0');
		$pids{attempt} = attempt_at_gate($node);
	}
	wait_for_watch($api);
	$pids{$_} = process_of($node, $_) foreach qw(worker launcher);

	$node->kill9;
	foreach my $what (sort keys %pids)
	{
		poll_until(sub { !is_there($pids{$what}) }, "the $what ends");
		ok(!is_there($pids{$what}), "round $round: the $what ends by itself");
		kill 'KILL', $pids{$what};    # a test leaves nothing behind
	}
	poll_until(sub { $api->counts->{connections} == 0 }, 'the API server is left alone');
	is($api->counts->{connections}, 0, "round $round: the API server is left alone");
	poll_until(sub { !is_there($gate->pid) }, 'the session ends');
	$gate->vanish;

	$node->start;
	is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^documentdb_upgrade (attempt|recorder)'}), '0',
		"round $round: nothing is left") if $round == 1;
}
wait_for_state($node, 'up_to_date');
is(shape($node), $shape_of{'1.2'}, 'what is desired is done');
is(attempts($node), '1.0 1.2 succeeded worker', 'once');
is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^documentdb_upgrade'}), '2', 'by one launcher and one worker');

done_testing();
