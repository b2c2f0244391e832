# An upstream that answers reports wrongly: the standby says what is wrong, its
# worker goes on, and all is well when the answers are.
# DU_HOSTILE_REPORTS=N asks for more of those by chance.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(has_not_grown memory_of status_of);
use DocumentdbUpgrade::HostileServer;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use Test::More;

BEGIN { $ENV{DU_FLOOD_MB} = 100; }

my $wanted = $ENV{DU_HOSTILE_REPORTS} // 60;
my $p = fleet_primary('p', binary => '1.1');
my $hostile = DocumentdbUpgrade::HostileServer->new($p);
my ($dir) = $hostile->connstr('x') =~ /host=(\S+)/;
my $s = add_standby($p, 's', conf => "documentdb_upgrade.retry_min = '10ms'\n");
$s->append_conf('postgresql.conf', "primary_conninfo = 'host=$dir port=5432 user=streamer application_name=s'\ndocumentdb_upgrade.standby_report_timeout = '300ms'");
$s->reload;
comes_true($p, q{SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'});
wait_for_standbys($p, s => 'ready');
my $worker = process_of($s, 'worker');
my $started = sql($s, 'SELECT pg_postmaster_start_time()');
my $memory = memory_of($worker);

# Each of them, with what the standby says.
sub says { return status_of($s)->{next_step} // ''; }

my $empty = qr/the answer is empty/;
my $lost = qr/Could not report to \S+: (?!timed out)./;
my %expected = (
	(map { $_ => $empty } qw(no_row null no_column copy_in copy_out copy_both empty_query begin_alone)),
	two_rows => qr/the answer has several rows/,
	(map { $_ => qr/the answer is not text/ } qw(binary nul)),
	bad_encoding => qr/cannot be understood/,
	error_alone => qr/the answer is an error without a message/,
	error_no_state => qr/Could not report to \S+: it is broken\./,
	error_odd_state => qr/Could not report to \S+: odd\./,
	error_long_state => qr/Could not report to \S+: long\./,
	error_latin => qr/Could not report to \S+: ge\?ndert    \(SQLSTATE 22012\)\. \?/,
	error_long => qr/Could not report to \S+: \x{e4}{150} \(SQLSTATE 22012\)/,
	error_twice => qr/Could not report to \S+: once \(SQLSTATE 22012\)/,
	(map { $_ => $lost } qw(no_results silence http old_error length_zero length_wrong huge_value)),
	rows_flood => qr/the answer has several rows/,
	(map { $_ => qr/Could not report to \S+: ./ } qw(notices_flood notifications_flood errors_flood)));
foreach my $name (sort keys %expected)
{
	my $before = () = $hostile->faults;

	$hostile->plan("at_report_$name");
	# Before the next report it may still say what was wrong with the one before.
	poll_until(sub { (() = $hostile->faults) > $before + 1 }, "$name is met");
	my $said = '';
	poll_until(sub { $said = says(); return $said =~ $expected{$name} }, "$name is told");
	like($said, $expected{$name}, $name);
}
is(process_of($s, 'worker'), $worker, 'the worker is the same');
has_not_grown($worker, $memory, 20_000, 'and has not grown');
$hostile->plan('faithful');
wait_for_standbys($p, s => 'ready');
ok(comes_true($s, q{SELECT reports_failed_total > 0 FROM documentdb_upgrade.metrics}), 'failures were counted');
poll_until(sub { says() !~ /Could not report/ }, 'the trouble is over');

# By chance.
my $before = () = $hostile->faults;
$hostile->plan('seed');
poll_until(sub { (() = $hostile->faults) >= $before + $wanted || (process_of($s, 'worker') // '') ne $worker }, 'so many answers were wrong');
is(process_of($s, 'worker'), $worker, 'the worker is still the same: ' . ((() = $hostile->faults) - $before) . ' wrong answers');
$hostile->plan('faithful');
wait_for_standbys($p, s => 'ready');
is(sql($s, 'SELECT pg_postmaster_start_time()'), $started, 'no process has crashed');
unlike(slurp_file($s->logfile), qr/XX000|terminated by signal/, 'nor is there an internal error in the log');
has_not_grown($worker, $memory, 20_000, 'and nothing has grown');
is(sql($s, q{SELECT count(*) FROM documentdb_upgrade.status WHERE next_step::bytea IS NULL}), '0', 'what is shown is text');

done_testing();
