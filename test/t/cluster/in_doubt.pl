# What can go wrong after the upgrade has been prepared on the nodes: a node that
# does not hear of the commit.  The worker of the coordinator says so until the
# node sees the schema; workers on the nodes look on.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Cluster;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

plan skip_all => 'the real Citus loses nothing on demand' if is_real_citus();

my ($coordinator, $one, $two) = my @nodes = citus_cluster(2);

sub state_is
{
	my ($node, $state, $like, $name) = @_;
	my $query = 'SELECT state, next_step FROM documentdb_upgrade.status';
	my $found = '';

	poll_until(sub { $found = sql($node, $query); return $found =~ /^\Q$state\E\|/ && $found =~ $like }, $name) or diag($found);
	return like($found, $like, $name);
}

# The coordinator alone acts.
set_and_reload($_, 'documentdb_upgrade.desired_schema_version', '1.1') foreach $one, $two;
wait_for_looks($one, 2);
is(versions_of(@nodes), '1.0 1.0 1.0', 'what a node is told to want does nothing');
is(sql($one, 'SELECT state FROM documentdb_upgrade.status'), 'worker_node', 'it says what it is');
sql($coordinator, q{ALTER SYSTEM SET citus_stub.fault = 'after_prepare'});
desire($coordinator, '1.1');
state_is($coordinator, 'verifying', qr/Node \S+ has extension "thing" at "1\.0", and the coordinator at "1\.1"\./, 'a node that was left behind is waited for');
is(versions_of(@nodes), '1.1 1.0 1.0', 'the upgrade is committed on the coordinator');
is(sql($_, 'SELECT count(*) FROM pg_prepared_xacts'), '1', $_->name . ' has it prepared') foreach $one, $two;
is(attempts($coordinator), '1.0 1.1 succeeded worker', 'by its worker');

# Over a crash of the node.
$one->stop('immediate');
$one->start;
like(sql($coordinator, q{SELECT status, problem FROM documentdb_upgrade.nodes WHERE groupid = 1}), qr/^other_version\|/, 'the node is named');
my $refused = try_sql($coordinator, q{SELECT documentdb_upgrade.finalize_to('1.2')});
like($refused->{detail}, qr/^nodes_ready: Node \S+:@{[ $one->port ]} has extension "thing" at "1\.0"/, 'nothing more is begun');
like($refused->{hint}, qr/recover_prepared_transactions\(\)/, 'and it is said what ends it');

is(sql($coordinator, 'SELECT recover_prepared_transactions()'), '2', 'what was prepared is committed');
is(versions_of(@nodes), '1.1 1.1 1.1', 'so all have it');
state_is($coordinator, 'up_to_date', qr/./, 'and the worker is content');
is(sql($_, q{SELECT actor, from_version, to_version FROM documentdb_upgrade.history WHERE outcome = 'succeeded'}), 'coordinator|1.0|1.1', $_->name . ' has its row') foreach $one, $two;

# A node that is away is no reason to act, and none to give up.
sql($coordinator, 'ALTER SYSTEM RESET citus_stub.fault');
sql($coordinator, 'SELECT pg_reload_conf()');
$two->stop;
desire($coordinator, '1.2');
state_is($coordinator, 'blocked', qr/nodes_ready refuses: Node \S+:@{[ $two->port ]} does not answer/, 'without a node nothing is begun');
$two->start;
state_is($coordinator, 'up_to_date', qr/./, 'with it the upgrade is made');
is(versions_of(@nodes), '1.2 1.2 1.2', 'on all nodes');
is(attempts($coordinator), "1.0 1.1 succeeded worker\n1.1 1.2 refused function\n1.1 1.2 succeeded worker", 'in one attempt');

done_testing();
