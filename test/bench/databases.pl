# What it costs to serve databases.  Run by test/bench/run; the arguments are
# numbers of databases.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Bench;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use POSIX qw(sysconf _SC_CLK_TCK);
use Test::More;
use Time::HiRes qw(sleep);

my $idle_seconds = 60;

sub workers { return split /\n/, sql($_[0], q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker'}); }

# Of some processes, in milliseconds.
sub cpu
{
	my $ticks = 0;

	foreach my $pid (@_)
	{
		my @stat = split / /, slurp_file("/proc/$pid/stat") =~ s/^.*\) //r;
		$ticks += $stat[11] + $stat[12];
	}
	return 1000 / sysconf(_SC_CLK_TCK) * $ticks;
}

# What a process has for itself, in kB.
sub private_memory
{
	my $sum = 0;

	$sum += $_ foreach slurp_file("/proc/$_[0]/smaps_rollup") =~ /^Private_\w+:\s+(\d+) kB/mg;
	return $sum;
}

foreach my $count (@ARGV)
{
	my $node = worker_node("databases$count", create => 0, conf => "
		documentdb_upgrade.database = '*'
		documentdb_upgrade.poll_interval = '10s'
		documentdb_upgrade.max_databases = " . ($count + 10) . "
		documentdb_upgrade.max_workers = " . ($count + 10) . "
		max_worker_processes = " . ($count + 30) . "
		max_connections = " . ($count + 100) . "
	");

	sql($node, 'CREATE DATABASE seed');
	create_thing($node, 'seed');
	sql($node, "CREATE DATABASE d$_ TEMPLATE seed STRATEGY file_copy") foreach 2 .. $count;
	my $served = milliseconds(sub {
		$node->poll_query_until('seed', "SELECT count(*) >= $count FROM documentdb_upgrade.databases WHERE served AND database <> 'postgres'");
	});
	my @pids = workers($node);
	my $before = cpu(@pids);
	sleep $idle_seconds;
	my $idle = (cpu(@pids) - $before) * 60 / $idle_seconds / @pids;

	my $memory = median(map { private_memory($_) } @pids);

	result("$count databases: from the last `CREATE DATABASE` until all are served", $served / 1000, 's');
	result("$count databases: memory of a worker, median", $memory, 'kB');
	result("$count databases: processor time of an idle worker a minute, looks every 10 s", $idle, 'ms');
	points('databases', 'time', [ $count, $idle * @pids ]);
	points('databases', 'memory', [ $count, $memory * @pids / 1024 ]);
	$node->stop('immediate');
}

ok(1, 'measured');
done_testing();
