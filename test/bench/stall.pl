# What an upgrade costs those who read meanwhile: how long their statements take while
# a report holds a table that the script wants to change.  Run by test/bench/run; the
# argument is the number of rounds.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Bench;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IPC::Run;
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;

my ($rounds) = @ARGV;
my ($clients, $rate, $seconds, $report_seconds) = (8, 400, 8, 3);

# Each round two versions: one for each way.
my $versions = 2 * $rounds;
my $node = new_node('stall', preload => 1, own_installation => 1, start => 0, conf => "documentdb_upgrade.extension = 'thing'\n");
write_extension($node, 'thing', "1.$versions",
	'1.0' => 'CREATE TABLE thing_items AS SELECT i AS id FROM generate_series(1, 1000) i; GRANT SELECT ON thing_items TO PUBLIC;',
	map { ("1.$_--1." . ($_ + 1) => "ALTER TABLE thing_items ADD column_$_ int;") } 0 .. $versions - 1);
$node->start;
sql($node, q{CREATE EXTENSION thing VERSION '1.0'; CREATE EXTENSION documentdb_upgrade});
my $script = PostgreSQL::Test::Utils::tempdir() . '/read.sql';
append_to_file($script, "SELECT count(*) FROM thing_items;\n");

# Milliseconds of each statement of clients that send so many a second whatever happens
# to those before: a statement that had to wait for its turn counts from when it was due.
sub readers_while
{
	my ($code) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my ($out, $err) = ('', '');
	local $ENV{PGAPPNAME} = 'reader';
	my $readers = IPC::Run::start(
		[ $node->installed_command('pgbench'), '-n', '-c', $clients, '-R', $rate, '-T', $seconds, '-M', 'prepared', '-l', '--log-prefix', "$dir/log",
			'-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ], '<', \undef, '>', \$out, '2>', \$err);
	$ENV{PGAPPNAME} = 'report';
	my $report = DocumentdbUpgrade::Session->new($node);

	poll_until(sub {
		$readers->pumpable or die "pgbench failed: $err\n";
		$readers->pump_nb;
		sql($node, "SELECT count(*) >= $clients FROM pg_stat_activity WHERE application_name = 'reader' AND query <> ''") eq 't';
	}, 'the readers are there');
	$report->start("BEGIN; SELECT count(*) FROM thing_items; SELECT pg_sleep($report_seconds); COMMIT");
	$report->wait_for(q{wait_event = 'PgSleep'});
	$code->();
	$report->finish;
	$report->quit;
	$readers->finish or die "pgbench failed: $err\n";
	return map { 0 + (split ' ')[2] / 1000 } map { split /\n/, slurp_file($_) } glob "$dir/log*";
}

my $version = 0;
my %ways = (
	none => sub { },
	alter => sub { sql($node, "ALTER EXTENSION thing UPDATE TO '1." . ++$version . "'") },
	ours => sub {
		desire($node, '1.' . ++$version);
		comes_true($node, "SELECT extversion = '1.$version' FROM pg_extension WHERE extname = 'thing'");
	});
my %times;

foreach my $round (1 .. $rounds)
{
	foreach my $way (qw(none alter ours))
	{
		push @{ $times{$way} }, [ readers_while($ways{$way}) ];
	}
}

my %longest = map { my $way = $_; $way => median(map { max @$_ } @{ $times{$way} }) } keys %times;
my %slow = map { my $way = $_; $way => median(map { scalar grep { $_ > 600 } @$_ } @{ $times{$way} }) } keys %times;
my $what = "a report of $report_seconds s holds the table";
result("longest wait of a reader in an upgrade by the worker, $what, median of $rounds", $longest{ours}, 'ms',
	peer => '`ALTER EXTENSION`', theirs => $longest{alter});
result('the same', $longest{ours}, 'ms', peer => 'no upgrade', theirs => $longest{none});
result("readers' statements that waited for more than 600 ms, of " . $rate * $seconds, $slow{ours}, '', peer => '`ALTER EXTENSION`', theirs => $slow{alter});
points('stall', $_, exceeding(map { @$_ } @{ $times{$_} })) foreach sort keys %times;
$node->stop;
pass('came to its end');
done_testing();
