# A standby that is far behind in replay is waited for, by name; one that has
# replayed all there is never is, however long nothing was written.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

# What a standby may be behind while all is well depends on the machine.
my $max = int 1000 * patience(2);
my $p = fleet_primary('p', binary => '1.2', conf => "documentdb_upgrade.max_replication_lag = '${max}ms'\n");
my $a = add_standby($p, 'a');
my $b = add_standby($a, 'b');
my $guard = q{SELECT status, detail FROM documentdb_upgrade.preflight() WHERE guard = 'replication_lag'};
my $lag = qq{SELECT name || coalesce(replication_lag > '$max ms', false) FROM documentdb_upgrade.standbys ORDER BY 1};
sql($p, 'CREATE TABLE written (at timestamptz)');

sub write_until
{
	my ($code, $what) = @_;
	return poll_until(sub { sql($p, 'INSERT INTO written VALUES (now())'); return $code->() }, $what);
}

wait_for_standbys($p, a => 'ready', b => 'ready');
write_until(sub { sql($p, q{SELECT count(*) > 60 FROM written}) eq 't' }, 'much is written');
ok(write_until(sub { sql($p, $guard) =~ /^pass/ }, 'the guard passes'), 'with writes going on all is well');

sql($b, 'SELECT pg_wal_replay_pause()');
write_until(sub { sql($p, $guard) =~ /^fail/ }, 'the guard fails');
wait_for_standbys($p, a => 'ready', b => 'lagging');
like(sql($p, $guard), qr/^fail\|.*"b"/, 'one that does not replay is too far behind');
unlike(sql($p, $guard), qr/"a"/, 'it alone');
is(sql($p, $lag), "afalse\nbtrue", 'and the view shows by how much');
is(sql($p, q{SELECT blocked_by FROM documentdb_upgrade.status}), '{replication_lag}', 'nothing else is in the way');
my $result = try_sql($p, q{SELECT documentdb_upgrade.finalize_to('1.1')});
is($result->{sqlstate}, '55000', 'finalize_to is refused');
like("$result->{message} $result->{detail}", qr/replication_lag.*"b"/, 'by the guard, with the name');

# Not by the distance: nothing more is written, and it stays behind.
wait_for_report($p, $b) foreach 1 .. 2;
like(sql($p, $guard), qr/^fail/, 'that it is behind does not pass by itself');
set_and_reload($p, 'documentdb_upgrade.desired_schema_version', '1.1');
wait_for_state($p, 'blocked', qr/replication_lag refuses.*"b"/);
sql($b, 'SELECT pg_wal_replay_resume()');
wait_for_state($p, 'up_to_date');
is(attempts($p), "1.0 1.1 refused function\n1.0 1.1 succeeded worker", 'the worker goes on as soon as it has caught up');

# All replayed, and nothing written since for longer than it may be behind.
wait_for_standbys($p, a => 'ready', b => 'ready');
$p->wait_for_catchup($a);
my $now = sql($p, 'SELECT clock_timestamp()');
ok(comes_true($p, "SELECT bool_and(reported_at > '$now'::timestamptz + interval '1 s' + 1.5 * interval '$max ms') FROM documentdb_upgrade.standbys"), 'a while later');
is(sql($p, $lag), "afalse\nbfalse", 'nobody is behind where nothing happens');
like(sql($p, $guard), qr/^pass/, 'and the guard passes');

# Replay that waits is no lag as long as there is nothing to replay.
sql($b, 'SELECT pg_wal_replay_pause()');
$now = sql($p, 'SELECT clock_timestamp()');
set_and_reload($p, 'documentdb_upgrade.desired_schema_version', '');
sql($p, q{SELECT documentdb_upgrade.finalize_to('1.2', skip_guards => '{replication_lag}')});
wait_for_state($p, 'verifying', qr/"b"/);
ok(poll_until(sub { my %s = standby_status($p); $s{b} eq 'lagging' || $s{b} eq 'behind' }, 'b is named'), 'what it has not seen is said');
sql($b, 'SELECT pg_wal_replay_resume()');
wait_for_state($p, 'up_to_date');
has_schema($b, '1.2');

done_testing();
