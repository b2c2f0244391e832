# Standbys that share application_name, role and host are still told apart by
# how many they are: one that is old or silent is never hidden by another.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $p = fleet_primary('p', binary => '1.1');
my @standbys = map { add_standby($p, $_, binary => '1.0', conninfo => 'application_name=walreceiver') } qw(a b c);
my $statuses = q{SELECT string_agg(status, ' ' ORDER BY status) FROM documentdb_upgrade.standbys};

sub wait_for_statuses
{
	my ($expected, $name) = @_;
	my $found;

	poll_until(sub { $found = sql($p, $statuses); return $found eq $expected }, "$name: $expected");
	return is($found, $expected, $name) || diag(sql($p, 'SELECT * FROM documentdb_upgrade.standbys'));
}

wait_for_statuses('old_binary old_binary old_binary', 'three old ones');
is(sql($p, 'SELECT count(DISTINCT identity) FROM documentdb_upgrade.standbys'), '3', 'are three servers');
raise_binary($standbys[0], '1.1');
wait_for_statuses('old_binary old_binary ready', 'one is raised');
raise_binary($standbys[1], '1.1');
wait_for_statuses('old_binary ready ready', 'two are');
is(sql($p, 'SELECT documentdb_upgrade.can_finalize()'), 'f', 'which is not enough');
raise_binary($standbys[2], '1.1');
wait_for_statuses('ready ready ready', 'all are');

# Whoever falls silent, or goes, is one less.
foreach my $i (0 .. 2)
{
	my $worker = process_of($standbys[$i], 'worker');
	kill 'STOP', $worker;
	wait_for_statuses('ready ready stale', "standby $i falls silent");
	kill 'CONT', $worker;
	wait_for_statuses('ready ready ready', "standby $i speaks again");
	$standbys[$i]->stop;
	wait_for_statuses('ready ready', "standby $i goes");
	$standbys[$i]->start;
	wait_for_statuses('ready ready ready', "standby $i comes back");
}

# And one that has never spoken is one that is silent.
my $mute = add_standby($p, 'mute', conninfo => 'application_name=walreceiver', conf => "shared_preload_libraries = ''\n");
wait_for_statuses('ready ready ready silent', 'a fourth that says nothing');
is(sql($p, 'SELECT documentdb_upgrade.can_finalize()'), 'f', 'is waited for');
$standbys[0]->restart;
wait_for_statuses('ready ready ready silent', 'whatever happens to the others');
$mute->stop;
wait_for_statuses('ready ready ready', 'until it goes');

done_testing();
