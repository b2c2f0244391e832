# What keeps a standby from being ready, each with its name, and what clears it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $p = fleet_primary('p');
my $a = add_standby($p, 'a', slot => 1);
my $b = add_standby($p, 'b');
raise_binary($_, '1.2') foreach $p, $a, $b;
wait_for_standbys($p, a => 'ready', b => 'ready');
is(blocker($p), '', 'at first both are ready');

sub problem { return sql($p, "SELECT problem FROM documentdb_upgrade.standbys WHERE '$_[0]' IN (name, slot_name)"); }

# A standby that is down, and owns a slot.
$a->stop;
ok(poll_until(sub { blocker($p) eq 'fail: a' }, 'the guard names it'), 'a standby that is down and has a slot is waited for');
wait_for_standbys($p, a => 'silent', b => 'ready');
like(problem('a'), qr/^[A-Z].*\.$/, 'the problem is a sentence');
my $result = try_sql($p, q{SELECT documentdb_upgrade.finalize_to('1.1')});
is($result->{sqlstate}, '55000', 'finalize_to is refused');
like("$result->{message} $result->{detail}", qr/standbys_ready.*"a"/, 'by the guard, with the name');
like($result->{hint}, qr/^[A-Z].*\.$/, 'and a hint');
$p->restart;
wait_for_standbys($p, a => 'silent', b => 'ready');
is(blocker($p), 'fail: a', 'of a slot alone that much is known');
sql($p, q{SELECT pg_drop_replication_slot('a')});
wait_for_standbys($p, b => 'ready');
is(blocker($p), '', 'without its slot it is no standby any more');
sql($p, q{SELECT pg_create_physical_replication_slot('a', true)});
wait_for_standbys($p, a => 'silent', b => 'ready');
$a->start;
wait_for_standbys($p, a => 'ready', b => 'ready');
is(blocker($p), '', 'back it is ready');

# One that streams and does not report.
my $worker = process_of($b, 'worker');
kill 'STOP', $worker;
wait_for_standbys($p, a => 'ready', b => 'stale');
is(blocker($p), 'fail: b', 'a standby that streams and says nothing is waited for');
is(sql($p, q{SELECT reported_at IS NOT NULL, binary_version FROM documentdb_upgrade.standbys WHERE name = 'b'}), 't|1.2', 'what it said last is shown');
kill 'CONT', $worker;
wait_for_standbys($p, a => 'ready', b => 'ready');

# How many there should be.
put_setting($p, 'documentdb_upgrade.expected_standbys', 3);
like(blocker($p), qr/^fail/, 'fewer than expected');
like(sql($p, q{SELECT detail FROM documentdb_upgrade.preflight() WHERE guard = 'standbys_ready'}), qr/\b3\b.*\b2\b|\b2\b.*\b3\b/, 'both numbers are said');
put_setting($p, 'documentdb_upgrade.expected_standbys', 2);
is(blocker($p), '', 'as many as expected');
$b->stop;
ok(poll_until(sub { blocker($p) =~ /^fail/ }, 'fewer again'), 'one that goes without a slot is missed by the number alone');
put_setting($p, 'documentdb_upgrade.expected_standbys', -1);
ok(poll_until(sub { blocker($p) eq '' }, 'it is forgotten'), 'and without a number only for a moment');
$b->start;

# Ignored, by name or by slot.
raise_binary($_, '1.1') foreach $a, $b;
wait_for_standbys($p, a => 'old_binary', b => 'old_binary');
is(blocker($p), 'fail: a b', 'both are too old for the binary');
is(blocker($p, '1.1'), '', 'and new enough for an older target');
put_setting($p, 'documentdb_upgrade.ignore_standbys', 'x, b');
wait_for_standbys($p, a => 'old_binary', b => 'ignored');
is(sql($p, q{SELECT string_agg(name || ' ' || required, ',' ORDER BY name) FROM documentdb_upgrade.standbys}), 'a true,b false', 'it is not required');
is(blocker($p), 'fail: a', 'and not waited for');

# Overridden, which history keeps.
$result = try_sql($p, q{SELECT outcome, skipped_guards FROM documentdb_upgrade.finalize_to('1.2', skip_guards => '{standbys_ready}')});
is($result->{stdout}, 'succeeded|{standbys_ready}', 'it can be overridden') or diag($result->{stderr});
is(sql($p, q{SELECT outcome, skipped_guards, refused_by FROM documentdb_upgrade.history ORDER BY id}),
	"refused|{}|{standbys_ready}\nsucceeded|{standbys_ready}|{}", 'history tells both');
wait_for_standbys($p, a => 'old_binary', b => 'ignored');
wait_for_state($p, 'verifying', qr/"a"/);
raise_binary($a, '1.2');
wait_for_state($p, 'up_to_date');

done_testing();
