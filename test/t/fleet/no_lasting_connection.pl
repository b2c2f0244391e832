# Reports leave no session behind: a smart shutdown of the upstream ends, its
# database can be dropped, and a standby stops at once while its upstream hangs.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $p = fleet_primary('p', conf => "log_connections = on\nlog_disconnections = on\n");
my $s = add_standby($p, 's');
my $c = add_standby($s, 'c');
wait_for_standbys($p, s => 'ready', c => 'ready');

# Each report is a short session; at most one at a time.
my $offset = -s $p->logfile;
my $began = time;
wait_for_report($p, 's') foreach 1 .. 3;
my $log = logged($p, $offset);
my $sessions = () = $log =~ /connection authorized: user=streamer database=postgres/g;
cmp_ok($sessions, '>=', 3, 'each report is a session of its own');
cmp_ok($sessions, '<=', 20 + 2 * (time - $began), 'and there are not many');
my @times = $log =~ /disconnection: session time: 0:00:(\d+\.\d+) user=streamer/g;
my $longest = patience(2);
is(scalar(grep { $_ > $longest } @times), 0, 'each is short');
like($log, qr/user=streamer database=postgres application_name=\S+/, 'which can be told apart in the log') or diag($log);

$began = time;
ok($p->stop('smart', fail_ok => 1), 'a smart shutdown of the primary ends') || $p->stop('immediate');
cmp_ok(time - $began, '<', patience(15), 'without waiting for anybody');
$began = time;
ok($s->stop('smart', fail_ok => 1), 'one of a standby that has one below it too') || $s->stop('immediate');
cmp_ok(time - $began, '<', patience(15), 'as fast');
$_->start foreach $p, $s;
wait_for_standbys($p, s => 'ready', c => 'ready');

# An upstream that accepts and never answers.
my $postmaster = $p->{_pid};
kill 'STOP', $postmaster;
my $now = sql($s, 'SELECT clock_timestamp()');
ok(comes_true($s, "SELECT clock_timestamp() > '$now'::timestamptz + interval '3 s'"), 'the upstream hangs for a while');
is(sql($s, q{SELECT state FROM documentdb_upgrade.status}), 'standby', 'the standby answers');
$began = time;
ok($s->stop('fast'), 'and can be stopped');
cmp_ok(time - $began, '<', patience(15), 'at once');
kill 'CONT', $postmaster;
$s->start;
wait_for_standbys($p, s => 'ready', c => 'ready');

# Promoted while it waits for an answer, it acts as a primary at once.
raise_binary($_, '1.1') foreach $s, $c;
put_setting($s, 'documentdb_upgrade.desired_schema_version', 'auto');
kill 'STOP', $postmaster;
$now = sql($s, 'SELECT clock_timestamp()');
comes_true($s, "SELECT clock_timestamp() > '$now'::timestamptz + interval '2 s'");
my $worker = process_of($s, 'worker');
$s->promote;
wait_for_state($s, 'up_to_date');
has_schema($s, '1.1');
is(process_of($s, 'worker'), $worker, 'by the same worker');
kill 'CONT', $postmaster;
wait_for_standbys($s, c => 'ready');
has_schema($c, '1.1');

done_testing();
