# Five failovers in a row while clients write and versions are finalized: no
# acknowledged row is lost, and each time the fleet ends where it should.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use DocumentdbUpgrade::Writers;
use PostgreSQL::Test::Utils;
use Test::More;

my $wish = PostgreSQL::Test::Utils::tempdir() . '/desired';
append_to_file($wish, "\n");

# Either is the other's synchronous standby, and a third follows who leads.
my $x = fleet_primary('x', binary => '1.6', conf => qq{
	documentdb_upgrade.source = 'file'
	documentdb_upgrade.desired_file = '$wish'
	documentdb_upgrade.expected_standbys = 2
	documentdb_upgrade.guard_severity = 'rehearsed=skip, replication_lag=skip, blocking_sessions=skip'
});
sql($x, 'CREATE TABLE written (id int PRIMARY KEY)');
my $y = add_standby($x, 'y');
my $z = add_standby($x, 'z');
put_setting($_, 'synchronous_standby_names', 'FIRST 1 (x, y)') foreach $x, $y;
my ($primary, $standby) = ($x, $y);
wait_for_standbys($x, y => 'ready', z => 'ready');

my $writers = DocumentdbUpgrade::Writers->new(3, $primary);

foreach my $round (1 .. 5)
{
	my $version = "1.$round";
	my $how = $round % 2 ? 'immediate' : 'fast';
	my $before = $writers->acknowledged;

	poll_until(sub { $writers->acknowledged > $before + 50 }, 'rows are written');

	# Lost while it finalizes, in a different phase each time.
	my $gate = $round != 3 && close_gate($primary);
	append_to_file("$wish.new", "$version\n");
	rename "$wish.new", $wish or die "could not rename: $!";
	attempt_at_gate($primary) if $gate;
	$gate->quit if $gate && $round > 3;
	$gate->vanish if $gate && $round <= 3;
	$primary->stop($how);
	$standby->promote;
	($primary, $standby) = ($standby, $primary);
	$primary->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
	$writers->write_to($primary);
	rewind_to($standby, $primary);

	# It may have got more from the old one than the new one has.
	$z->stop;
	rewind_to($z, $primary);
	wait_for_state($primary, 'up_to_date');
	wait_for_standbys($primary, $standby->name => 'ready', z => 'ready');
	has_schema($primary, $version, "failover $round: the new primary has the schema of $version");
	is(sql($primary, q{SELECT count(*), max(to_version) FROM documentdb_upgrade.history WHERE outcome = 'succeeded'}), "$round|$version",
		"failover $round: each version was finalized once");
}

my $before = $writers->acknowledged;
poll_until(sub { $writers->acknowledged > $before + 50 }, 'rows are written at last');
my @acknowledged = $writers->stop;
cmp_ok(scalar @acknowledged, '>', 300, 'many rows were acknowledged');
foreach my $node ($x, $y, $z)
{
	$primary->wait_for_catchup($node) if $node != $primary;
	has_schema($node, '1.5');
	my %there = map { $_ => 1 } split /\n/, sql($node, 'SELECT id FROM written');
	is(scalar(grep { !$there{$_} } @acknowledged), 0, $node->name . ' has every row that was acknowledged');
}
is(sql($primary, 'SELECT role, installed_version, state FROM documentdb_upgrade.status'), 'primary|1.5|up_to_date', 'the primary is up to date');
is(sql($primary, 'SELECT timeline_id FROM pg_control_checkpoint()') >= 5, 1, 'five timelines later');

done_testing();
