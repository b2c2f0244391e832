# Any of our processes, or the whole server, is killed at any point of an
# attempt: after recovery it converges, nothing is half done and nothing is
# done twice.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

# Each script locks a table, computes as long as it may not go on, and waits.
my $last = 20;
my $node = worker_node('main', streaming => 1, conf => q{
	documentdb_upgrade.guard_severity = 'blocking_sessions=skip, rehearsed=skip'
	autovacuum = off
	restart_after_crash = on
	fsync = on
}, scripts => { map { my $n = $_; ("1.$n--1." . ($n + 1) => qq{
	ALTER TABLE thing ADD c$n int;
	DO \$\$ BEGIN LOOP EXIT WHEN pg_try_advisory_xact_lock(41); END LOOP; END \$\$;
	SELECT pg_advisory_xact_lock(42);
	CREATE TABLE t$n (id int);}) } 0 .. $last });
write_extension($node, 'thing', "1.$last");

# Where an attempt is to be met: what stands in its way, and how its process
# looks in pg_stat_activity then.
my @places = (
	[ 'before it has connected', 'BEGIN; LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE',
		q{SELECT pid FROM pg_locks WHERE relation = 'pg_database'::regclass AND NOT granted} ],
	[ 'waiting for a table', 'BEGIN; LOCK TABLE thing IN ACCESS SHARE MODE', q{wait_event = 'relation'} ],
	[ 'in the middle of a script', 'SELECT pg_advisory_lock(41)', q{wait_event IS NULL AND backend_xid IS NOT NULL} ],
	[ 'waiting in a script', 'SELECT pg_advisory_lock(42)', q{wait_event = 'advisory'} ],
	[ 'in its commit', 'SELECT 1', q{wait_event = 'SyncRep'} ]);

sub pid_query
{
	my ($what, $condition) = @_;
	return "SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade $what' AND $condition";
}

my $version = 0;
foreach my $place (@places)
{
	my ($where, $obstacle, $condition) = @$place;
	my $query = $condition =~ /^SELECT/ ? $condition : pid_query('attempt', $condition);

	foreach my $victim (qw(worker launcher attempt server))
	{
		my $case = "$victim killed, attempt $where";
		my ($from, $to) = ("1.$version", '1.' . ++$version);
		my $session = DocumentdbUpgrade::Session->new($node);
		my %pids;

		require_standby($node, 'nobody') if $where =~ /commit/;
		$pids{$_} = $session->run(pid_query($_, 'true'))->{stdout} foreach qw(worker launcher);
		$session->run($obstacle);
		$node->append_conf('postgresql.auto.conf', "documentdb_upgrade.desired_schema_version = '$to'");
		$session->run('SELECT pg_reload_conf()');
		$pids{attempt} = poll_until(
			sub {
				$session->run('DO $$ BEGIN PERFORM pg_stat_clear_snapshot(); END $$');
				return $session->run($query)->{stdout};
			}, "$case: it is there") or BAIL_OUT('no way on from here');

		if ($victim eq 'server')
		{
			$node->stop('immediate');
			$node->start;
		}
		else
		{
			kill 'KILL', $pids{$victim};
		}
		$session->vanish;
		if ($where =~ /commit/)
		{
			ok(comes_true($node, qq{SELECT extversion = '$to' FROM pg_extension WHERE extname = 'thing'}), "$case: committed");
			require_standby($node, '');
		}
		ok(comes_true($node, qq{SELECT installed_version = '$to' AND state = 'up_to_date' FROM documentdb_upgrade.status}), "$case: done");
		is(sql($node, qq{SELECT string_agg(concat_ws(' ', from_version, outcome, actor), ', ') FROM documentdb_upgrade.history WHERE to_version = '$to'}),
			"$from succeeded worker", "$case: once");
	}
}
my @n = 0 .. $version - 1;
is(shape($node), sprintf('1.%d thing(%s) %s', $version, join(',', 'id', map { "c$_" } @n), join(' ', reverse sort map { "t$_(id)" } @n)),
	'all of each step is there');
is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^documentdb_upgrade (worker|launcher|attempt)'}), '2',
	'one launcher and one worker are left');

done_testing();
