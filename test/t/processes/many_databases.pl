# One worker for each database that has this extension, as databases and
# extensions come and go: each with its own wishes, holds and history, one attempt
# after the other, and none in the way of statements about databases.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my @copies = map { "d$_" } 1 .. 12;
my $node = worker_node('main', create => 0, streaming => 1, conf => q{
	documentdb_upgrade.database = '*'
	documentdb_upgrade.max_workers = 30
	documentdb_upgrade.poll_interval = '1s'
	max_worker_processes = 40
	restart_after_crash = on
});

# How often something is so in view databases.
sub count_databases { return sql($node, "SELECT count(*) FROM documentdb_upgrade.databases WHERE $_[0]", 'seed'); }
sub becomes
{
	my ($count, $condition, $what) = @_;
	return ok($node->poll_query_until('seed', "SELECT count(*) = $count FROM documentdb_upgrade.databases WHERE $condition"), $what)
	  || diag(sql($node, 'SELECT * FROM documentdb_upgrade.databases', 'seed'));
}
sub version { return sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'thing'}, $_[0]); }
sub version_becomes
{
	my ($dbname, $version) = @_;
	return ok(poll_until(sub { version($dbname) eq $version }, "$dbname is at $version"), "$dbname goes to $version");
}

sql($node, 'CREATE DATABASE seed');
sql($node, 'CREATE DATABASE bare');
sql($node, q{CREATE EXTENSION thing VERSION '1.0'}, 'bare');
create_thing($node, 'seed');
sql($node, "CREATE DATABASE $_ TEMPLATE seed") foreach @copies;

# The main database has a worker, whether or not it has this extension.
becomes(14, 'served', 'each database that has this extension is served');
is(count_databases(q{served AND database IN ('bare', 'template0', 'template1')}), '0', 'and none that does not');
is(sql($node, q{SELECT count(DISTINCT datname) || ' ' || count(*) FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker'}), '14 14', 'by one worker each');
like(sql($node, q{SELECT note FROM documentdb_upgrade.databases WHERE database = 'bare'}, 'seed'), qr/CREATE EXTENSION documentdb_upgrade/, 'what others need is said');

# Wishes, holds and failures are of one database.
sql($node, q{SELECT documentdb_upgrade.hold('not yet')}, 'd3');
sql($node, q{ALTER DATABASE d4 SET documentdb_upgrade.desired_schema_version = '1.1'});
sql($node, q{ALTER DATABASE d5 SET documentdb_upgrade.desired_schema_version = ''});
desire($node, 'auto');
version_becomes($_, '1.2') foreach 'seed', grep { !/^d[345]$/ } @copies;
version_becomes('d4', '1.1');
becomes(1, q{database = 'd3' AND state = 'held' AND installed_version = '1.0'}, 'one database\'s hold holds one');
becomes(1, q{database = 'd5' AND state = 'update_available' AND installed_version = '1.0'}, 'and one without a wish waits for a human');
is(version('bare'), '1.0', 'one without this extension is left alone');
like(sql($node, 'SELECT next_step FROM documentdb_upgrade.status', 'd1'), qr/bare \(thing 1\.0\), d3 \(thing 1\.0\), d4 \(thing 1\.1\), d5 \(thing 1\.0\)/, 'all others tell of these');
is(attempts($node, 'd1'), '1.0 1.2 succeeded worker', 'each has its own history');
is(attempts($node, 'd3'), '', 'the held one has none');

# One after the other.
my @times = sort map { sql($node, q{SELECT started_at, finished_at FROM documentdb_upgrade.history WHERE outcome = 'succeeded'}, $_) } 'd1', 'd2', 'd4', 'd6' .. 'd9', 'd10' .. 'd12';
my $overlapping = grep { (split /\|/, $times[$_])[1] gt (split /\|/, $times[$_ + 1])[0] } 0 .. $#times - 1;
is($overlapping, 0, 'never two attempts at the same time') or diag(join "\n", @times);
sql($node, 'SELECT documentdb_upgrade.release()', 'd3');
sql($node, 'ALTER DATABASE d5 RESET documentdb_upgrade.desired_schema_version');
version_becomes($_, '1.2') foreach qw(d3 d5);

# Databases come, go and change their names beside that.
my $offset = -s $node->logfile;
my $failures = 0;
foreach my $round (1 .. 5)
{
	foreach ("CREATE DATABASE x$round TEMPLATE d1", "CREATE DATABASE z$round", "ALTER DATABASE x$round RENAME TO y$round", "ALTER DATABASE d1 RENAME TO e$round",
		"ALTER DATABASE e$round RENAME TO d1", "DROP DATABASE y$round", "DROP DATABASE z$round")
	{
		my $result = try_sql($node, $_);
		$failures++, diag("$_: $result->{stderr}") if !$result->{ok};
	}
}
is($failures, 0, 'thirty-five statements about databases beside the workers succeed');
is(lines_logged($node, qr/FATAL|ERROR/, $offset), '', 'and no process has failed');
becomes(14, 'served', 'then all are served as before');

# Extensions too.
sql($node, 'CREATE DATABASE late');
sql($node, q{CREATE EXTENSION thing VERSION '1.1'; CREATE EXTENSION documentdb_upgrade}, 'late');
version_becomes('late', '1.2');
sql($node, 'DROP EXTENSION documentdb_upgrade', 'd8');
becomes(1, q{database = 'd8' AND NOT served AND installed_version = '1.2'}, 'a database that loses this extension loses its worker');
sql($node, 'CREATE EXTENSION documentdb_upgrade', 'd8');
becomes(1, q{database = 'd8' AND served}, 'and gets another one with it');

# A killed worker takes the server along, as any process does; all come back.
kill 'KILL', sql($node, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker' AND datname = 'd7'});
comes_true($node, q{SELECT pg_postmaster_start_time() IS NOT NULL AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup')});
ok(poll_until(sub { (eval { try_sql($node, q{SELECT count(*) FROM documentdb_upgrade.databases WHERE served AND state = 'up_to_date'}, dbname => 'seed')->{stdout} } // '') eq '14' }, 'all are back'),
	'after a crash all are served and up to date');

# More databases than workers: a state with its cure.
$node->append_conf('postgresql.conf', 'documentdb_upgrade.max_workers = 3');
$node->stop;
$offset = -s $node->logfile;
$node->start;
becomes(12, q{NOT served AND note ~ 'No worker serves it: The 3 workers that may run serve other databases\. Raise documentdb_upgrade\.max_workers and reload; max_worker_processes'},
	'those without a worker say why and what helps');
is(count_databases('served'), '3', 'three have one');
becomes(15, 'looked_at IS NOT NULL AND installed_version IS NOT NULL', 'the others are looked at');
my $without = sql($node, 'SELECT database FROM documentdb_upgrade.databases WHERE NOT served AND looked_at IS NOT NULL AND installed_version IS NOT NULL AND note ~ $$No worker$$ ORDER BY 1 DESC LIMIT 1', 'seed');
set_and_reload($node, 'documentdb_upgrade.max_workers', '16');
ok($node->poll_query_until('seed', "SELECT served FROM documentdb_upgrade.databases WHERE database = '$without'"), 'with more allowed they get theirs');
is(count_logged($node, qr/PANIC|FATAL/, $offset), count_logged($node, qr/FATAL:  the database system is/, $offset), 'nothing has failed');

# A standby has a worker for each database too.  None acts there, one speaks to the
# upstream, and after a promotion each does its work.
create_thing($node, 'postgres');
$node->backup('base');
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $node->install_path);
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
ok($standby->poll_query_until('seed', q{SELECT count(*) = 15 FROM documentdb_upgrade.databases WHERE served}), 'a standby serves the same databases')
  or diag(sql($standby, 'SELECT * FROM documentdb_upgrade.databases', 'seed'));
ok($node->poll_query_until('seed', q{SELECT count(*) = 1 FROM documentdb_upgrade.standbys WHERE status = 'ready'}), 'and reports once')
  or diag(sql($node, 'SELECT * FROM documentdb_upgrade.standbys', 'seed'));
sql($node, q{ALTER SYSTEM SET documentdb_upgrade.desired_schema_version = ''; SELECT pg_reload_conf(); CREATE DATABASE later TEMPLATE d2});
sql($node, q{SET documentdb_upgrade.enforce = off; DROP EXTENSION thing; CREATE EXTENSION thing VERSION '1.0'}, 'd9');
ok($standby->poll_query_until('seed', q{SELECT count(*) = 16 FROM documentdb_upgrade.databases WHERE served}), 'one that is made later too');
ok($standby->poll_query_until('seed', q{SELECT behind FROM documentdb_upgrade.databases WHERE database = 'd9'}), 'it sees what is behind');
$node->stop;
$standby->promote;
desire($standby, 'auto');
ok(poll_until(sub { sql($standby, q{SELECT extversion FROM pg_extension WHERE extname = 'thing'}, 'd9') eq '1.2' }, 'd9 is at 1.2'), 'once promoted it raises that');
$standby->stop;
$node->start;
sql($node, 'DROP DATABASE later');

# A list, of which the first is the main one.
$node->append_conf('postgresql.conf', q{documentdb_upgrade.database = 'd2, d1, missing'});
$node->restart;
becomes(2, 'served', 'a list means these');
is(count_databases(q{served AND database IN ('d1', 'd2')}), '2', 'and no others');
$node->wait_for_log(qr/LOG:  documentdb_upgrade worker of database "missing" does not run\n.*DETAIL:  Database "missing" does not exist\./);
done_testing();
