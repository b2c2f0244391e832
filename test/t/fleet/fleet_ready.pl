# A finalize waits until the last standby of a tree has the binary, however it
# is asked for; it is done when the last one has replayed it and has its version
# in force.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $p = fleet_primary('p', gate => 1);
my $a = add_standby($p, 'a', slot => 1);
my $b = add_standby($p, 'b');
my $c = add_standby($a, 'c', slot => 1);
my $d = add_standby($c, 'd');
my %node = (a => $a, b => $b, c => $c, d => $d);
my @all = sort keys %node;
my $desired = 'documentdb_upgrade.desired_schema_version';

sub can_finalize { return sql($p, 'SELECT documentdb_upgrade.can_finalize()'); }

# Each library keeps 1.0.0 in force, and listens.
foreach my $node ($p, values %node)
{
	sql($node, q{SELECT watch('thing'), set_gate(1, 0, 0)});
}
wait_for_standbys($p, map { $_ => 'ready' } @all);
ok(comes_true($p, q{SELECT count(*) FILTER (WHERE gate = '1.0.0') = 4 FROM documentdb_upgrade.standbys}), 'each tells its gate');
is(sql($p, q{SELECT string_agg(concat_ws(' ', s.name, s.depth, coalesce(u.name, 'here'), s.slot_name, s.required, s.installed_version, s.binary_version, s.gate, s.role, s.timeline), ', ' ORDER BY s.name)
		FROM documentdb_upgrade.standbys s LEFT JOIN documentdb_upgrade.standbys u ON u.identity = s.upstream}),
	'a 1 here a t 1.0 1.0 1.0.0 standby 1, b 1 here t 1.0 1.0 1.0.0 standby 1, c 2 a c t 1.0 1.0 1.0.0 standby 1, d 3 c t 1.0 1.0 1.0.0 standby 1',
	'the tree is known, and what each has');
is(sql($p, 'SELECT count(DISTINCT identity), count(DISTINCT fingerprint) FROM documentdb_upgrade.standbys'), '4|1',
	'all are different servers with equal files');
is(sql($p, 'SELECT standbys, standbys_ready, replication_lag_seconds < 30 FROM documentdb_upgrade.metrics'), '4|4|t', 'metrics count them');

# Raises one binary after the other; each time all that are left are named.
sub raise_one_by_one
{
	my ($version, @order) = @_;

	raise_binary($p, $version);
	while (my $next = shift @order)
	{
		my @old = sort $next, @order;
		my %is_old = map { $_ => 1 } @old;
		wait_for_standbys($p, map { $_ => $is_old{$_} ? 'old_binary' : 'ready' } @all);
		is(can_finalize(), 'f', "not while the binary of @old is old");
		is(blocker($p), "fail: @old", 'and preflight names each');
		like(status_of($p)->{next_step}, qr/standbys_ready refuses.*"$old[0]"/, 'so does status');
		is(sql($p, 'SELECT installed_version, blocked_by FROM documentdb_upgrade.status'), sql($p, 'SELECT documentdb_upgrade.schema_version()') . '|{standbys_ready}',
			'nothing else is in the way');
		raise_binary($node{$next}, $version);
	}
	return;
}

# By hand, to 1.1.
raise_one_by_one('1.1', qw(b d a c));
wait_for_standbys($p, map { $_ => 'ready' } @all);
is(can_finalize(), 't', 'it can when the last one has been raised');
is(blocker($p), '', 'and no guard is in the way');

sql($d, 'SELECT pg_wal_replay_pause()');
ok(comes_true($d, q{SELECT pg_get_wal_replay_pause_state() = 'paused'}), 'the last one stops replaying');
sql($b, 'SELECT watch(0)');
is(sql($p, q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.1')}), 'succeeded', 'finalize_to does it');
wait_for_standbys($p, a => 'ready', b => 'old_gate', c => 'ready', d => 'behind');
wait_for_state($p, 'verifying', qr/2 standbys do not see .*"[bd]"/);
is(sql($p, q{SELECT documentdb_upgrade.wait_for('1.1', '10 ms')}), 'f', 'wait_for waits for them');
is(sql($p, q{SELECT string_agg(concat_ws(' ', name, installed_version, gate), ', ' ORDER BY name) FROM documentdb_upgrade.standbys}),
	'a 1.1, b 1.1 1.0.0, c 1.1, d 1.0 1.0.0', 'what each sees is shown');
has_schema($c, '1.1');
sql($b, q{SELECT watch('thing'), set_gate(1, 1, 0)});
wait_for_standbys($p, a => 'ready', b => 'ready', c => 'ready', d => 'behind');
wait_for_state($p, 'verifying', qr/"d"/);
unlike(status_of($p)->{next_step}, qr/"b"/, 'who sees it is not named any more');
sql($d, 'SELECT pg_wal_replay_resume()');
ok(sql($p, q{SELECT documentdb_upgrade.wait_for('1.1', '1 min')}) eq 't', 'wait_for ends when the last one has replayed');
wait_for_state($p, 'up_to_date');
has_schema($d, '1.1');

# By the worker, to 1.2.
set_and_reload($p, $desired, 'auto');
wait_for_state($p, 'up_to_date');
sql($d, 'SELECT pg_wal_replay_pause()');
raise_one_by_one('1.2', qw(a c b d));
ok(sql($p, q{SELECT documentdb_upgrade.wait_for('1.2', '100 ms')}) eq 'f', 'not while one has not replayed');
wait_for_standbys($p, a => 'ready', b => 'ready', c => 'ready', d => 'behind');
wait_for_state($p, 'verifying', qr/"d"/);
sql($d, 'SELECT pg_wal_replay_resume()');
wait_for_state($p, 'up_to_date');
has_schema($_, '1.2') foreach $p, $a, $b, $c, $d;
is(attempts($p), "1.0 1.1 succeeded function\n1.1 1.2 succeeded worker", 'history has one attempt each');
is(attempts($d), attempts($p), 'on the last one too');

done_testing();
