# In a replica region nothing ever tries to write, whatever is desired there:
# no error 25006, neither at the designated primary nor below it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use List::Util qw(uniq);
use Test::More;

my $p = fleet_primary('p', binary => '1.2');
my $wants = "documentdb_upgrade.desired_schema_version = 'auto'\n";
my $r = add_standby($p, 'r', conf => $wants . "documentdb_upgrade.designated_primary = on\n");
my $s = add_standby($r, 's', conf => $wants);

# What this server refuses, and not what the one above refuses its WAL receiver.
my $forbidden = qr/cannot execute .*(?:during recovery|in a read-only transaction)|cannot finalize|not_in_recovery|finalizing/;

wait_for_standbys($p, r => 'ready', s => 'ready');
is(sql($p, q{SELECT string_agg(concat_ws(' ', name, role, depth), ', ' ORDER BY name) FROM documentdb_upgrade.standbys}),
	'r designated_primary 1, s standby 2', 'the head of a region is told apart');
wait_for_report($p, $_) foreach ($r, $s) x 4;
is(count_logged($_, $forbidden), 0, $_->name . ': nothing was tried') foreach $r, $s;
is(sql($_, q{SELECT role, state, worker_pid IS NOT NULL FROM documentdb_upgrade.status}), 'standby|standby|t', $_->name . ' is a standby with a worker') foreach $r, $s;
is(sql($_, 'SELECT count(*) FROM documentdb_upgrade.history'), '0', $_->name . ': nothing happened') foreach $p, $r, $s;

# Asked for by hand it is refused each time, and no more than that.
foreach my $node ($r, $s)
{
	my $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')});
	is($result->{sqlstate}, '25006', $node->name . ': finalize_to is refused');
	wait_for_report($p, $node) foreach 1 .. 2;
	is(count_logged($node, qr/ERROR:/), 1, $node->name . ': that is the one error in the log');
}

# What the primary does arrives, and is still none of theirs.
sql($p, q{SELECT documentdb_upgrade.finalize_to('1.1')});
wait_for_state($p, 'update_available');
wait_for_report($p, $_) foreach ($r, $s) x 3;
foreach my $node ($r, $s)
{
	has_schema($node, '1.1');
	is(count_logged($node, qr/ERROR:/), 1, $node->name . ': and nothing more in the log');
	is(attempts($node), '1.0 1.1 succeeded function', $node->name . ': nothing more in history');
}

# With no primary above them they are as calm.
my @offset = map { -s $_->logfile } $r, $s;
$p->stop;
ok(comes_true($r, q{SELECT count(*) = 0 FROM pg_stat_wal_receiver}), 'the primary goes');
wait_for_report($r, $s) foreach 1 .. 4;
is(count_logged($r, $forbidden, $offset[0]), 0, 'r: nothing was tried');
is(count_logged($s, $forbidden, $offset[1]), 0, 's: nothing was tried');
poll_until(sub { count_logged($r, qr/does not report/, $offset[0]) }, 'r says that it cannot report');
my @reasons = logged($r, $offset[0]) =~ /does not report.*\n.*DETAIL:  (.*)/g;
is(join("\n", @reasons), join("\n", uniq @reasons), 'r: and each reason is said once');
$p->start;
wait_for_standbys($p, r => 'ready', s => 'ready');

done_testing();
