# What the reports of many standbys cost their upstream.  Run by test/bench/run;
# the arguments are numbers of standbys.  The standbys are receivers of WAL, which
# give each report its WAL sender, and sessions that report in their names.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Bench;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(sysconf _SC_CLK_TCK);
use Test::More;
use Time::HiRes qw(usleep);

my @sizes = @ARGV;
my $rounds = 5;
my $per_minute = 6;    # reports of one standby at the default standby_report_timeout

# Processor time of finished sessions and of one process, in milliseconds.
sub children_cpu { return 1000 / sysconf(_SC_CLK_TCK) * sum_of_stat($_[0]->{_pid}, 15, 16); }
sub own_cpu { return 1000 / sysconf(_SC_CLK_TCK) * sum_of_stat($_[0], 13, 14); }

sub sum_of_stat
{
	my ($pid, @fields) = @_;
	my @stat = split / /, slurp_file("/proc/$pid/stat") =~ s/^.*\) //r;
	my $sum = 0;

	$sum += $stat[ $_ - 2 ] foreach @fields;
	return $sum;
}

sub report_of
{
	my $n = shift;
	my $id = sprintf '%032x', $n;

	return qq({"protocol": 1, "members": [{"identity": "$id", "incarnation": "00000000000000aa", "name": "", "host": "pod-$n", )
	  . qq("slot": "", "status": "ok", "designated": false, "expected": -1, "timeline": 1, "received": "0/3000000", "replayed": "0/3000000", )
	  . qq("paused": false, "library": "current", "server": 150000, "program": "0.6.0", "gate": "1.0-0", "fingerprint": ")
	  . 'ab' x 32 . qq(", "extensions": [)
	  . join(', ', map { qq({"name": "$_", "installed": "1.0-0", "binary": "1.0-0", "loaded": "1.0-0"}) } qw(thing documentdb_core documentdb))
	  . ']}]}';
}

# So many sessions one after the other, each with that statement.
sub sessions
{
	my ($node, $count, $statement) = @_;
	my $script = '';

	foreach my $n (1 .. $count)
	{
		$script .= "\\connect \"dbname=postgres application_name=standby$n\"\n" . $statement->($n) . ";\n";
	}
	$node->psql('postgres', $script, on_error_die => 1, stdout => \my $ignored);
	usleep(200_000);    # until the last session has ended
	return;
}

# Milliseconds of processor time of each session, median of some rounds.
sub cost
{
	my ($node, $count, $statement) = @_;

	return median(map { my $before = children_cpu($node); sessions($node, $count, $statement); (children_cpu($node) - $before) / $count } 1 .. $rounds);
}

sub start_receivers
{
	my ($node, $count) = @_;
	my @receivers;

	foreach my $n (1 .. $count)
	{
		my $dir = PostgreSQL::Test::Utils::tempdir();
		local $ENV{PGAPPNAME} = "standby$n";
		push @receivers, IPC::Run::start([ 'pg_receivewal', '-D', $dir, '-h', $node->host, '-p', $node->port, '--no-sync' ], '&>', '/dev/null');
	}
	comes_true($node, "SELECT count(*) = $count FROM pg_stat_replication WHERE state = 'streaming'");
	return @receivers;
}

foreach my $count (@sizes)
{
	my $node = DocumentdbUpgrade::Node->new("fleet$count", install_path => fresh_installation());
	$node->init(allows_streaming => 1, extra => ['--wal-segsize=1']);
	$node->append_conf('postgresql.conf', q{
		shared_preload_libraries = 'documentdb_upgrade'
		documentdb_upgrade.extension = 'thing'
		max_wal_senders = 320
		max_connections = 40
		min_wal_size = '2MB'
	});
	write_extension($node, 'thing', '1.0', '1.0' => 'SELECT 1;');
	$node->start;
	sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing});
	my $worker = process_of($node, 'worker');
	my @receivers = start_receivers($node, $count);

	my $call = sub { 'CALL documentdb_upgrade.run_report_standby($j$' . report_of($_[0]) . '$j$)' };
	my $empty = cost($node, $count, sub { 'SELECT 1' });
	my $worker_before = own_cpu($worker);
	my $full = cost($node, $count, $call);
	my $worker_cost = (own_cpu($worker) - $worker_before) / $rounds / $count;
	my $bytes = length(report_of(1)) + length(sql($node, q{SELECT '{"identity": "00000000000000000000000000000000", "recovery": false, "root": true, "path": []}'}));
	is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.standbys WHERE identity IS NOT NULL}), $count, "all $count are heard");
	my $look = median(map { milliseconds(sub { sql($node, 'SELECT count(*) FROM documentdb_upgrade.standbys') }) } 1 .. 11)
	  - median(map { milliseconds(sub { sql($node, 'SELECT 1') }) } 1 .. 11);

	result("$count standbys: processor time of one report", $full, 'ms', peer => 'a session that does nothing', theirs => $empty);
	result("$count standbys: reports a minute, bytes", $count * $per_minute * $bytes / 1024, 'kB');
	result("$count standbys: reports a minute, processor time of the upstream", $count * $per_minute * ($full + $worker_cost), 'ms');
	result("$count standbys: view `standbys`", $look, 'ms');
	points('fleet', 'reports', [ $count, $count * $per_minute * ($full + $worker_cost) ]);
	points('fleet', 'connecting', [ $count, $count * $per_minute * $empty ]);

	$_->kill_kill foreach @receivers;
	$node->stop('immediate');
}
done_testing();
