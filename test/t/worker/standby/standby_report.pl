# A standby reports to its upstream at its pace, and at once when something has
# changed; its log is calm.  Whatever keeps a report from arriving is said once,
# with what to do about it, and so is that it works again.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IO::Socket::INET;
use List::Util qw(sum);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = worker_node('primary', streaming => 1, conf => "documentdb_upgrade.standby_report_timeout = '1h'\n");
sql($primary, q{CREATE ROLE streamer LOGIN REPLICATION PASSWORD 'wrong-one'; CREATE DATABASE other});
$primary->backup('base');
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $primary->install_path);
$standby->init_from_backup($primary, 'base');
$standby->set_standby_mode;
my $upstream = $primary->connstr . ' user=streamer application_name=pod-2';
$standby->append_conf('postgresql.conf', "wal_retrieve_retry_interval = '100ms'\nprimary_conninfo = '$upstream'\n");
$standby->start;

# The reports that have arrived since, as the primary's log shows them.
sub reports { return count_logged($primary, qr/pod-2 LOG:  execute .*run_report_standby/, $_[0]); }
sub size_of { return -s $_[0]->logfile; }

ok(comes_true($primary, q{SELECT reported_at IS NOT NULL FROM documentdb_upgrade.standbys}), 'a report arrives');
my $start = sql($primary, q{SELECT reported_at FROM documentdb_upgrade.standbys});
is(sql($primary, q{SELECT name, depth, role, installed_version, binary_version FROM documentdb_upgrade.standbys}),
	'pod-2|1|standby|1.0|1.2', 'with the name of the WAL receiver, and what the standby sees');
is(reports(0), 1, 'one is enough until the next is due');

# At once when something changes.
my $worker = process_of($standby, 'worker');
sql($primary, q{SELECT FROM documentdb_upgrade.finalize_to('1.1')});
ok(comes_true($primary, q{SELECT installed_version = '1.1' FROM documentdb_upgrade.standbys}), 'a change is reported at once');
cmp_ok(reports(0), '<=', 3, 'without a storm');
is(sql($primary, q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pod-2' AND backend_type = 'client backend'}),
	'0', 'no connection stays');
is(sql($standby, q{SELECT reports_delivered_total > 0, reports_failed_total FROM documentdb_upgrade.metrics}), 't|0', 'metrics count it');

# A third of the timeout.
my ($mine, $theirs) = (size_of($standby), size_of($primary));
$standby->append_conf('postgresql.conf', "documentdb_upgrade.standby_report_timeout = '1500ms'");
$standby->reload;
poll_until(sub { reports($theirs) >= 8 }, 'eight reports arrive');
my @times = map { /:(\d\d)\.(\d+) UTC .* execute .*run_report_standby/ ? "$1.$2" : () } split /\n/, logged($primary, $theirs);
my @gaps = map { $times[$_] - $times[ $_ - 1 ] + ($times[$_] < $times[ $_ - 1 ] ? 60 : 0) } 2 .. 7;
# On a slow machine one may come late, and the next in time.
cmp_ok(sum(@gaps), '>=', 0.4 * @gaps, "on the whole they do not come too early: @gaps");
cmp_ok((sort { $a <=> $b } @gaps)[2], '<', patience(0.75), 'and they come in time');
is(count_logged($standby, qr/\[\d+\] LOG:  (?!.*(?:statement:|received SIGHUP|parameter))/, $mine), 0, 'the log of the standby stays calm');

# hinder(what, cause, problem, hint): something goes wrong and right again.
sub hinder
{
	my ($what, $cause, $problem, $hint) = @_;
	my $offset = size_of($standby);

	$cause->();
	ok(eval { $standby->wait_for_log(qr/does not report to its upstream\n.*DETAIL:  .*$problem/, $offset); 1 }, "$what: the log says what it is");
	like(logged($standby, $offset), qr/DETAIL:  .*$problem.*\n.*HINT:  $hint/, "$what: and what to do");
	my $failed = sql($standby, 'SELECT reports_failed_total FROM documentdb_upgrade.metrics');
	comes_true($standby, "SELECT reports_failed_total >= $failed + 3 FROM documentdb_upgrade.metrics");
	is(count_logged($standby, qr/DETAIL:  .*$problem/, $offset), 1, "$what: once");
	return;
}

sub cure
{
	my ($what, $cause) = @_;
	my $offset = size_of($standby);

	$cause->();
	ok(eval { $standby->wait_for_log(qr/standby reports to its upstream again/, $offset); 1 }, "$what: it works again");
	return;
}

# Rules for the role in front of those that let it replicate.
my $hba = slurp_file($primary->data_dir . '/pg_hba.conf');
sub rule
{
	my $file = $primary->data_dir . '/pg_hba.conf';

	unlink $file;
	append_to_file($file, "local replication streamer trust\n" . ($_[0] // '') . "local all postgres trust\n");
	$primary->reload;
	return;
}

hinder('no rule', sub { rule() }, qr/no pg_hba\.conf entry .* \(SQLSTATE 28000\)/, qr/Let pg_hba\.conf of the upstream admit/);
hinder('no password', sub { rule("local all streamer scram-sha-256\n") }, qr/it asks for a password/, qr/Put the password into primary_conninfo/);
cure('a rule', sub { rule("local all streamer trust\n") });
hinder('a role without rights', sub { sql($primary, 'ALTER ROLE streamer NOREPLICATION') },
	qr/permission denied .* \(SQLSTATE 42501\)\. .*REPLICATION attribute/, qr/Standbys report as the role/);
cure('rights', sub { sql($primary, 'ALTER ROLE streamer REPLICATION') });
hinder('no connections to the database', sub { sql($primary, 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC') },
	qr/permission denied for database .* \(SQLSTATE 42501\)/, qr/Grant CONNECT on database "postgres"/);
cure('connections', sub { sql($primary, 'GRANT CONNECT ON DATABASE postgres TO PUBLIC') });

# The standby does not see yet that the extension has gone.
sql($standby, 'SELECT pg_wal_replay_pause()');
ok(comes_true($standby, q{SELECT pg_get_wal_replay_pause_state() = 'paused'}), 'replay is paused');
hinder('an upstream without the extension', sub { sql($primary, 'DROP EXTENSION documentdb_upgrade') },
	qr/does not exist \(SQLSTATE 3F000\)/, qr/In database "postgres" of the primary, run CREATE EXTENSION documentdb_upgrade;/);
hinder('one without the procedure', sub { sql($primary, q{CREATE EXTENSION documentdb_upgrade;
		ALTER EXTENSION documentdb_upgrade DROP PROCEDURE documentdb_upgrade.run_report_standby; DROP PROCEDURE documentdb_upgrade.run_report_standby}) },
	qr/does not exist \(SQLSTATE 42883\)/, qr/Install the same release of documentdb_upgrade on the upstream/);
cure('the extension', sub { sql($primary, 'DROP EXTENSION documentdb_upgrade; CREATE EXTENSION documentdb_upgrade') });
sql($standby, 'SELECT pg_wal_replay_resume()');

# Elsewhere.  A listener that says nothing is a hanging server.
my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "could not listen: $!\n";
my $socket_dir = PostgreSQL::Test::Utils::tempdir();
sub stream_from
{
	$standby->append_conf('postgresql.conf', "primary_conninfo = '$_[0]'");
	$standby->reload;
	return;
}
hinder('a hanging upstream', sub { stream_from('host=127.0.0.1 user=streamer password=geheim port=' . $silent->sockport) },
	qr/127\.0\.0\.1:\d+: timed out/, qr/Check that the upstream answers/);
hinder('a wrong port', sub { stream_from('host=127.0.0.1 port=1 user=streamer password=geheim') },
	qr/127\.0\.0\.1:1: Connection refused/, qr/Check primary_conninfo/);
hinder('a wrong password', sub { rule("local all streamer scram-sha-256\n"); stream_from("$upstream password=geheim") },
	qr/password authentication failed .* \(SQLSTATE 28P01\)/, qr/Put the right password/);
my $offset = size_of($standby);
stream_from('geheim');
ok(eval { $standby->wait_for_log(qr/DETAIL:  The setting primary_conninfo is not valid\./, $offset); 1 }, 'what is not valid is said');
stream_from('');
ok(eval { $standby->wait_for_log(qr/DETAIL:  There is nobody to report to: primary_conninfo is empty\..*\n.*HINT:  Set primary_conninfo/, $offset); 1 }, 'and that there is nobody to report to');
cure('the way back', sub { rule("local all streamer trust\n"); stream_from($upstream) });

# Several hosts: the one that the WAL receiver is connected to, and no other
# that comes up later.
my $port = $silent->sockport;
close $silent;
stream_from(sprintf 'host=127.0.0.1,%s port=%d,%d user=streamer application_name=pod-2', $primary->host, $port, $primary->port);
ok(comes_true($standby, sprintf q{SELECT sender_host LIKE '/%%' AND sender_port = %d FROM pg_stat_wal_receiver WHERE conninfo ~ ' port=%d,'}, $primary->port, $port),
	'the WAL receiver is connected to the second host');
$silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1) or die "could not listen: $!\n";
($mine, $theirs) = (size_of($standby), size_of($primary));
poll_until(sub { reports($theirs) >= 4 }, 'reports arrive there');
is(count_logged($standby, qr/does not report/, $mine), 0, 'and nowhere else');
close $silent;

# The upstream stops, at once although somebody reports all the time.
hinder('an upstream that is down', sub { $primary->stop('smart') }, qr/No such file or directory|Connection refused/, qr/Check primary_conninfo/);
cure('its return', sub { $primary->start });
unlike(join("\n", grep { /\b(?:DETAIL|HINT):  / && !/parameter/ } split /\n/, logged($standby)), qr/geheim/, 'no password is shown');
is(process_of($standby, 'worker'), $worker, 'the worker has lived through it all');

# tick() has one made now, and a promoted server makes none.
$theirs = size_of($primary);
$standby->append_conf('postgresql.conf', "documentdb_upgrade.standby_report_timeout = '1h'");
$standby->reload;
poll_until(sub { sql($standby, 'SHOW documentdb_upgrade.standby_report_timeout') eq '1h' && reports($theirs) >= 1 }, 'there are no other reports');
$theirs = size_of($primary);
is(sql($standby, 'SELECT documentdb_upgrade.tick()'), 'standby', 'tick() tells the state');
poll_until(sub { reports($theirs) >= 1 }, 'it reports');
my $delivered = sql($standby, 'SELECT reports_delivered_total FROM documentdb_upgrade.metrics');
$standby->promote;
wait_for_state($standby, 'update_available');
is(sql($standby, "SELECT reports_delivered_total >= $delivered FROM documentdb_upgrade.metrics"), 't', 'metrics go on from there');
$theirs = size_of($primary);
wait_for_looks($standby, 40); # longer than the WAL receiver is waited for
is(reports($theirs), 0, 'a promoted server does not report');

done_testing();
