# The clock is set, by an hour in either direction: what waits goes on when its time has
# passed, by a clock that nobody sets, and nothing is taken for older or newer than it is.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Clock;
use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state worker_pid);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use Test::More;

use constant HOUR => 3600;

need_clock;
my $file = PostgreSQL::Test::Utils::tempdir() . '/desired';
my $p = fleet_primary('p', binary => '1.2', conf => "documentdb_upgrade.source = 'file'\ndocumentdb_upgrade.desired_file = '$file'\ndocumentdb_upgrade.lock_timeout = '300ms'\n"
  # The server ends a connection that seems to be silent for long.
  . "wal_sender_timeout = 0\n");
my $installed = q{SELECT (SELECT extversion FROM pg_extension WHERE extname = 'thing')};
my $recorded = 'SELECT sum(1 + repeats) FROM documentdb_upgrade.history';
my $reported = q{SELECT reported_at FROM documentdb_upgrade.standbys};

sub desired
{
	my ($version) = @_;

	append_to_file("$file.new", $version);
	rename "$file.new", $file or die "could not rename: $!\n";
	return;
}

# Two more, whatever time they bear.
sub report_again
{
	foreach (1 .. 2)
	{
		my $last = sql($p, $reported);
		poll_until(sub { sql($p, $reported) ne $last }, 'the standby reports again');
	}
	return;
}

desired('1.0');
give_clock($p);
$p->restart;
my $a = add_standby($p, 'a');
wait_for_standbys($p, a => 'ready');
wait_for_state($p, 'up_to_date');
my $real = time;
set_clock($p, HOUR);
cmp_ok(sql($p, 'SELECT extract(epoch FROM clock_timestamp())::bigint'), '>', $real + HOUR - 60, 'the clock of the server is set');
is({ standby_status($p) }->{a}, 'ready', 'a report that came just now is no old one when the clock is set forward');

# Everything has looked and waits for its time; then the clock goes back.
report_again();
set_clock($p, 0);
report_again();

# A file is read at each poll_interval.
desired('1.1');
ok(comes_true($p, "$installed = '1.1'"), 'what is desired is read after that');
wait_for_state($p, 'up_to_date');

# A standby that falls silent.
set_clock($p, HOUR);
report_again();
my $silent = worker_pid($a);
kill 'STOP', $silent;
set_clock($p, 0);
wait_for_standbys($p, a => 'stale');
kill 'CONT', $silent;
wait_for_standbys($p, a => 'ready');

# An attempt that failed is repeated.
set_clock($p, HOUR);
my $reader = DocumentdbUpgrade::Session->new($p);
$reader->run('BEGIN');
$reader->run('LOCK TABLE thing IN ACCESS SHARE MODE');
desired('1.2');
ok(comes_true($p, q{SELECT next_retry > clock_timestamp() - interval '1 minute' FROM documentdb_upgrade.status}), 'an attempt has failed');
set_clock($p, 0);
ok(comes_true($p, q{SELECT next_retry < clock_timestamp() + interval '1 minute' FROM documentdb_upgrade.status}), 'the next one is announced by the clock as it is');

# The server's timeouts come as much later, and whoever waits for a lock has others behind him.
set_clock($p, HOUR);
set_and_reload($p, 'documentdb_upgrade.lock_timeout', '50 min');
ok(comes_true($p, q{SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'thing'::regclass AND NOT granted
	AND waitstart BETWEEN clock_timestamp() - interval '10 min' AND clock_timestamp() - interval '2 s')}), 'an attempt waits for a lock');
set_clock($p, 0);
ok(comes_true($p, q{SELECT EXISTS (SELECT FROM documentdb_upgrade.history WHERE outcome = 'cancelled' AND message ~ 'the clock was set back')}),
	'it ends when the clock is set back');
set_and_reload($p, 'documentdb_upgrade.lock_timeout', '300ms');
$reader->run('COMMIT');
ok(comes_true($p, "$installed = '1.2'"), 'and comes');
wait_for_state($p, 'up_to_date');

# A worker that has ended is started again.
set_clock($p, HOUR);
my $worker = worker_pid($p);
kill 'TERM', $worker;
poll_until(sub { !kill 0, $worker }, 'the worker ends');
set_clock($p, 0);
ok(poll_until(sub { (status_of($p)->{worker_pid} // $worker) != $worker }, 'there is another'), 'a worker is started again');

# What a session waits for.
set_clock($p, HOUR);
my $waiting = DocumentdbUpgrade::Session->new($p);
$waiting->start(q{SELECT documentdb_upgrade.wait_for('1.9', '1 s')});
$waiting->wait_for(q{query ~ 'wait_for'});
set_clock($p, 0);
is($waiting->finish->{stdout}, 'f', 'wait_for() ends');

# What fails is recorded.
my $before = sql($p, $recorded);
my $failing = DocumentdbUpgrade::Session->new($p);
foreach my $seconds (HOUR, 0)
{
	set_clock($p, $seconds);
	$failing->run(q{SELECT documentdb_upgrade.finalize_to('1.0')});
}
is(sql($p, $recorded), $before + 2, 'refusals on either side of it are in the history');

# Who began before it still writes when a fence is raised after it.
set_clock($p, HOUR);
my $writer = DocumentdbUpgrade::Session->new($p);
$writer->run('CREATE TABLE written (id int)');
$writer->run('BEGIN');
$writer->run('INSERT INTO written VALUES (1)');
set_clock($p, 0);
is(sql($p, q{SELECT writers FROM documentdb_upgrade.fence_writes('x', '0')}), '1', 'a writer of before is awaited');
$writer->run('COMMIT');
is(sql($p, q{SELECT writers FROM documentdb_upgrade.fence_writes('x', '10 s')}), '0', 'until it has ended');
is(sql($p, 'SELECT documentdb_upgrade.lift_fence()'), 't', 'the fence is lifted');
$_->quit foreach $reader, $waiting, $failing, $writer;

done_testing();
