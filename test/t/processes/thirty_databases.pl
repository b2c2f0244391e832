# Thirty databases of one server, each with an extension and a version of its own:
# all are current after a rolling start from a server that served one of them,
# whatever happens to databases, to workers and to the server meanwhile.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my @extensions = ([ 'thing', '1.0' ], [ 'hstore', '1.4' ], [ 'pageinspect', '1.5' ], [ 'btree_gist', '1.2' ], [ 'pg_stat_statements', '1.4' ], [ 'thing', '1.1' ]);
my %extension_of = map { $_ => $extensions[ $_ % @extensions ] } 1 .. 30;
my $node = worker_node('main', create => 0, preload => 'documentdb_upgrade, pg_stat_statements', conf => q{
	documentdb_upgrade.database = 'd1'
	documentdb_upgrade.poll_interval = '1s'
	documentdb_upgrade.max_workers = 40
	max_worker_processes = 50
	restart_after_crash = on
});

sub behind { return sql($node, "SELECT count(*) FROM documentdb_upgrade.databases WHERE database LIKE 'd%' AND $_[0]", 'd1'); }

# What is at its newest version, by number.
sub current
{
	return join ' ', grep {
		sql($node, "SELECT e.extversion = a.default_version FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname
			WHERE e.extname = '$extension_of{$_}[0]'", "d$_") eq 't'
	} 1 .. 30;
}

foreach my $n (1 .. 30)
{
	my ($name, $version) = @{ $extension_of{$n} };
	sql($node, "CREATE DATABASE d$n");
	sql($node, "ALTER DATABASE d$n SET documentdb_upgrade.extension = '$name'");
	sql($node, "CREATE EXTENSION $name VERSION '$version'; CREATE EXTENSION documentdb_upgrade", "d$n");
}
ok(poll_until(sub { behind('behind') eq '30' }, 'every database is looked at'), 'all thirty are behind, which the view says while one is served')
  or diag(sql($node, 'SELECT * FROM documentdb_upgrade.databases', 'd1'));
is(behind('served'), '1', 'one is served');
is(current(), '', 'nobody has asked for anything');
sql($node, q{SELECT documentdb_upgrade.hold('not this one')}, 'd17');

# All of them, from now on; and databases that come, go and change their names.
$node->append_conf('postgresql.conf', q{
	documentdb_upgrade.database = 'd1, *'
	documentdb_upgrade.desired_schema_version = 'auto'
});
$node->restart;
my $offset = -s $node->logfile;
my $failures = 0;
foreach my $round (1 .. 8)
{
	foreach ("CREATE DATABASE x TEMPLATE d3", "ALTER DATABASE x RENAME TO y", "CREATE DATABASE z", "DROP DATABASE y", "DROP DATABASE z")
	{
		my $result = try_sql($node, $_);
		$failures++, diag("$_: $result->{stderr}") if !$result->{ok};
	}
}
is($failures, 0, 'forty statements about databases succeed meanwhile');

# Killed workers take the server along, as any process does.
foreach my $round (1 .. 3)
{
	my $victim = 1 + 9 * $round;
	ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker' AND datname = 'd$victim'"),
		"the worker of d$victim runs");
	my $started = sql($node, 'SELECT pg_postmaster_start_time()');
	kill 'KILL', sql($node, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker' AND datname = 'd$victim'");
	$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
	$offset = -s $node->logfile;
	comes_true($node, "SELECT pg_postmaster_start_time() = '$started'");
}

my $all = join ' ', grep { $_ != 17 } 1 .. 30;
ok(poll_until(sub { (eval { current() } // '') eq $all }, 'all are current'), 'all but the one that is held are current') or diag(current());
ok(poll_until(sub { behind(q{served AND state = 'up_to_date' AND NOT behind}) eq '29' }, 'the view says so'), 'and the view says so')
  or diag(sql($node, 'SELECT * FROM documentdb_upgrade.databases', 'd1'));
is(sql($node, q{SELECT state, behind FROM documentdb_upgrade.databases WHERE database = 'd17'}, 'd1'), 'held|t', 'a hold holds one');
is(join(' ', grep { sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE outcome = 'succeeded' AND actor = 'worker'}, "d$_") ne '1' } grep { $_ != 17 } 1 .. 30),
	'', 'each by one attempt of its worker that succeeded');
sql($node, 'SELECT documentdb_upgrade.release()', 'd17');
ok(poll_until(sub { current() eq "$all" =~ s/16 18/16 17 18/r }, 'the last follows'), 'and it follows when it is released');

done_testing();
